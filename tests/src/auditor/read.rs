//! What the bytes of the topics say: Avro and JSON of the contract, read by hand.

use super::{Format, Millis};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A decimal in units of 1/10,000.
pub type Decimal = i64;

/// 18 digits.
const MOST: i128 = 999_999_999_999_999_999;

/// What an input record says, as far as the rules look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// `PaymentEvent`, `TransactionEvent`
    Money(Money),
    /// `UserSessionCreatedEvent`
    Session { id: String, country: String, time: Millis },
    /// `ChangeBirthDateEvent`
    BirthDate { year: String, time: Millis },
    /// `ChangeAddressEvent`
    Address { country: String, time: Millis },
    /// All others.
    Ignored { time: Millis },
}

impl Event {
    /// Its event time.
    pub fn time(&self) -> Millis {
        match self {
            Event::Money(money) => money.time,
            Event::Session { time, .. }
            | Event::BirthDate { time, .. }
            | Event::Address { time, .. }
            | Event::Ignored { time } => *time,
        }
    }
}

/// The money of an output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Money {
    /// `id`
    pub id: String,
    /// `userId`
    pub user: String,
    /// `userSessionId`
    pub session: Option<String>,
    /// `processedAt`
    pub time: Millis,
    /// `amount`
    pub amount: Decimal,
    /// `currency`
    pub currency: String,
    /// `closingBalance`
    pub balance: Decimal,
    /// `moneyType`
    pub kind: String,
    /// `isOldMoneyEvent`
    pub old: bool,
}

/// Who the user is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserInfo {
    /// `birthYear`
    pub birth_year: Option<String>,
    /// `residentCountryCode`
    pub country: Option<String>,
    /// `changes`; none: it was written by rules that don't count.
    pub changes: Option<i64>,
}

/// An output value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enriched {
    /// `money`
    pub money: Money,
    /// `userInfo`
    pub user: Option<UserInfo>,
    /// `sessionInfo`: its `clientCountryCode`
    pub session_country: Option<String>,
    /// `firstOccurrence`
    pub first: bool,
}

impl Enriched {
    pub(super) fn with(mut self, session_country: Option<String>) -> Enriched {
        self.session_country = session_country;
        self
    }
}

/// The value of an input record. None: it can't be read.
pub fn read(format: Format, rank: usize, value: &[u8]) -> Option<Event> {
    match format {
        Format::Avro => {
            let mut fields = Avro::new(value, rank)?;
            // The schema ids and the branches of the unions, as in the contract.
            let name = *[
                &["UserSessionCreatedEvent", "UserSessionClosedEvent"][..],
                &["ChangeBirthDateEvent", "ChangeAddressEvent", "OtherUserEvent"],
                &["PaymentEvent", "TransactionEvent", "KindOfWalletEvent"],
            ]
            .get(rank)?
            .get(usize::try_from(fields.long()?).ok()?)?;
            event(&mut fields, rank, name).filter(|_| fields.0.is_empty())
        }
        Format::Json => {
            let mut fields = Json::new(value)?;
            let name = fields.text("type")?;
            event(&mut fields, rank, &name)
        }
    }
}

/// The event time of an input record, whatever else it says. None: it can't be read as far as that.
pub(super) fn time_of(format: Format, rank: usize, value: &[u8]) -> Option<Millis> {
    match format {
        Format::Avro => {
            let mut fields = Avro::new(value, rank)?;
            let branch = fields.long()?;
            if branch < 0 || branch > if rank == 0 { 1 } else { 2 } {
                return None;
            }
            fields.text("id")?;
            fields.text("userId")?;
            if rank == 2 && branch < 2 {
                fields.optional("userSessionId")?;
            }
            fields.time("processedAt")
        }
        Format::Json => Json::new(value)?.time("processedAt"),
    }
}

/// The value of an output record. None: it is not one.
pub fn read_enriched(format: Format, value: &[u8]) -> Option<Enriched> {
    match format {
        Format::Avro => {
            // Schema 5 says how often a user has changed, too.
            let (id, datum) = value.strip_prefix(&[0, 0, 0, 0])?.split_first()?;
            let mut all = [4, 5].contains(id).then_some(Avro(datum))?;
            let money = money(&mut all, None)?;
            let user = all.nullable(|all| {
                Some(UserInfo {
                    birth_year: all.nullable(|all| all.text(""))?,
                    country: all.nullable(|all| all.text(""))?,
                    changes: if *id == 5 { Some(all.long()?) } else { None },
                })
            })?;
            let session_country = all.nullable(|all| all.text(""))?;
            let first = all.boolean("")?;
            all.0.is_empty().then_some(Enriched {
                money,
                user,
                session_country,
                first,
            })
        }
        Format::Json => {
            let mut all = Json::new(value)?;
            let money = money(&mut all.object("money")??, None)?;
            let user = match all.object("userInfo")? {
                None => None,
                Some(mut user) => Some(UserInfo {
                    birth_year: user.optional("birthYear")?,
                    country: user.optional("residentCountryCode")?,
                    changes: None,
                }),
            };
            let session_country = match all.object("sessionInfo")? {
                None => None,
                Some(mut session) => Some(session.text("clientCountryCode")?),
            };
            Some(Enriched {
                money,
                user,
                session_country,
                first: all.boolean("firstOccurrence")?,
            })
        }
    }
}

/// The country in a reply of the session service. None: it can't be read.
pub(super) fn country_of(body: &[u8]) -> Option<String> {
    Json::new(body)?.text("clientCountryCode")
}

/// The fields of an event, in the schema's order.
fn event(fields: &mut impl Fields, rank: usize, name: &str) -> Option<Event> {
    match (rank, name) {
        (2, "PaymentEvent") => money(fields, Some("paymentRelatedThing")).map(Event::Money),
        (2, "TransactionEvent") => money(fields, Some("transactionRelatedThing")).map(Event::Money),
        (2, "KindOfWalletEvent") => ignored(fields, "somethingInteresting"),
        (0, "UserSessionCreatedEvent") => {
            let (id, time) = head(fields)?;
            Some(Event::Session {
                id,
                time,
                country: fields.text("clientCountryCode")?,
            })
        }
        (0, "UserSessionClosedEvent") => ignored(fields, "reason"),
        (1, "ChangeBirthDateEvent") => {
            let (_, time) = head(fields)?;
            let year = fields.text("birthYear")?;
            fields.text("birthCityPlace")?;
            Some(Event::BirthDate { year, time })
        }
        (1, "ChangeAddressEvent") => {
            let (_, time) = head(fields)?;
            fields.text("address")?;
            let country = fields.text("residentCountryCode")?;
            fields.text("postalCode")?;
            Some(Event::Address { country, time })
        }
        (1, "OtherUserEvent") => ignored(fields, "somethingUtil"),
        _ => None,
    }
}

/// `id` and `processedAt`, with `userId` between them.
fn head(fields: &mut impl Fields) -> Option<(String, Millis)> {
    let id = fields.text("id")?;
    fields.text("userId")?;
    Some((id, fields.time("processedAt")?))
}

fn ignored(fields: &mut impl Fields, last: &str) -> Option<Event> {
    let (_, time) = head(fields)?;
    fields.text(last)?;
    Some(Event::Ignored { time })
}

/// An input's money, or an output's, which has neither an opening balance nor a thing of its own.
fn money(fields: &mut impl Fields, thing: Option<&str>) -> Option<Money> {
    let (id, user, session) = (
        fields.text("id")?,
        fields.text("userId")?,
        fields.optional("userSessionId")?,
    );
    let time = fields.time("processedAt")?;
    let (amount, currency) = (fields.decimal("amount")?, fields.text("currency")?);
    if thing.is_some() {
        fields.decimal("openingBalance")?;
    }
    let (balance, kind) = (fields.decimal("closingBalance")?, fields.text("moneyType")?);
    if let Some(thing) = thing {
        fields.text(thing)?;
    }
    let old = fields.boolean("isOldMoneyEvent")?;
    Some(Money {
        id,
        user,
        session,
        time,
        amount,
        currency,
        balance,
        kind,
        old,
    })
}

/// Fields, asked for in the schema's order.
trait Fields {
    fn text(&mut self, name: &str) -> Option<String>;
    fn optional(&mut self, name: &str) -> Option<Option<String>>;
    fn time(&mut self, name: &str) -> Option<Millis>;
    fn decimal(&mut self, name: &str) -> Option<Decimal>;
    fn boolean(&mut self, name: &str) -> Option<bool>;
}

/// What is left of a datum.
struct Avro<'a>(&'a [u8]);

impl<'a> Avro<'a> {
    /// Without the header, which must name the schema of the stream.
    fn new(value: &'a [u8], rank: usize) -> Option<Avro<'a>> {
        let schema = [2, 3, 1].get(rank)?;
        value.strip_prefix(&[0, 0, 0, 0, *schema]).map(Avro)
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn long(&mut self) -> Option<i64> {
        let mut value = 0_u128;
        for at in 0..10 {
            let byte = self.bytes(1)?[0];
            value |= u128::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                let value = u64::try_from(value).ok()?;
                return Some((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        None
    }

    fn nullable<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.long()? {
            0 => Some(None),
            1 => read(self).map(Some),
            _ => None,
        }
    }
}

impl Fields for Avro<'_> {
    fn text(&mut self, _: &str) -> Option<String> {
        let length = usize::try_from(self.long()?).ok()?;
        String::from_utf8(self.bytes(length)?.to_vec()).ok()
    }

    fn optional(&mut self, name: &str) -> Option<Option<String>> {
        self.nullable(|fields| fields.text(name))
    }

    fn time(&mut self, _: &str) -> Option<Millis> {
        self.long()
    }

    fn decimal(&mut self, _: &str) -> Option<Decimal> {
        let length = usize::try_from(self.long()?).ok()?;
        let bytes = self.bytes(length)?;
        let negative = bytes.first()? & 0x80 != 0;
        let mut value = if negative { -1_i128 } else { 0 };
        for byte in bytes {
            value = value.checked_mul(256)? | i128::from(*byte);
        }
        (value.abs() <= MOST).then_some(value as Decimal)
    }

    fn boolean(&mut self, _: &str) -> Option<bool> {
        match self.bytes(1)? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }
}

/// An object's fields, with their values as text.
struct Json(BTreeMap<String, Box<RawValue>>);

impl Json {
    fn new(text: &[u8]) -> Option<Json> {
        serde_json::from_slice(text).ok().map(Json)
    }

    /// The text of a value that is there and is not null.
    fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.get()).filter(|text| *text != "null")
    }

    fn object(&mut self, name: &str) -> Option<Option<Json>> {
        match self.raw(name) {
            None => Some(None),
            Some(text) => Json::new(text.as_bytes()).map(Some),
        }
    }
}

impl Fields for Json {
    fn text(&mut self, name: &str) -> Option<String> {
        serde_json::from_str(self.raw(name)?).ok()
    }

    fn optional(&mut self, name: &str) -> Option<Option<String>> {
        match self.raw(name) {
            None => Some(None),
            Some(_) => self.text(name).map(Some),
        }
    }

    fn time(&mut self, name: &str) -> Option<Millis> {
        iso(&self.text(name)?)
    }

    fn decimal(&mut self, name: &str) -> Option<Decimal> {
        let text = self.raw(name)?;
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.trim_start_matches('+').parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let mut units: i128 = format!("{whole}{fraction}").parse().ok()?;
        // In units of 1/10,000: so many zeros are missing, or too many digits there.
        let missing = 4 + exponent - fraction.len() as i32;
        for _ in 0..missing.abs() {
            match missing > 0 {
                true if units.abs() <= MOST => units *= 10,
                false if units % 10 == 0 => units /= 10,
                _ => return None,
            }
        }
        (units.abs() <= MOST).then_some(units as Decimal)
    }

    fn boolean(&mut self, name: &str) -> Option<bool> {
        self.raw(name)?.parse().ok()
    }
}

/// `2020-12-16T00:03:00.000Z`, with any offset, with or without a fraction.
fn iso(text: &str) -> Option<Millis> {
    let number = |text: Option<&str>| {
        text.filter(|t| t.bytes().all(|b| b.is_ascii_digit()))?
            .parse::<i64>()
            .ok()
    };
    let (date, time) = text.split_once(['T', 't'])?;
    let mut date = date.splitn(3, '-').map(Some);
    let (year, month, day) = (number(date.next()?)?, number(date.next()?)?, number(date.next()?)?);
    let zone = time.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = time.split_at(zone);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut time = time.split(':');
    let (hour, minute) = (number(time.next())?, number(time.next())?);
    let second = time.next().map_or(Some(0), |text| number(Some(text)))?;
    number(Some(fraction))?;
    let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let offset = match zone.as_bytes()[0] {
        b'Z' | b'z' if zone.len() == 1 => 0,
        sign @ (b'+' | b'-') => {
            let digits: String = zone[1..].chars().filter(|c| *c != ':').collect();
            let (hours, minutes) = (number(digits.get(..2))?, number(digits.get(2..4).or(Some("0")))?);
            (hours * 60 + minutes) * if sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, 28 + i64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *lengths.get(usize::try_from(month - 1).ok()?)?;
    if !(1..=length).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let leaps = |year: i64| year / 4 - year / 100 + year / 400;
    let years = (year - 1970) * 365 + leaps(year - 1) - leaps(1969);
    let days = years + lengths[..month as usize - 1].iter().sum::<i64>() + day - 1;
    Some((((days * 24 + hour) * 60 + minute - offset) * 60 + second) * 1000 + millis)
}
