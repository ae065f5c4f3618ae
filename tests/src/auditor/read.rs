//! Reads the Avro and JSON of the money pipeline's topics, by hand.

mod avro;
mod fields;
mod json;

use super::{Format, Millis};
use avro::Avro;
use fields::Fields;
use json::Json;

pub use fields::Decimal;

/// The content of an input record, as far as the rules use it.
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
    /// All other kinds.
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
    /// `changes`. `None` if rules that don't count wrote it.
    pub changes: Option<i64>,
}

/// An output value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enriched {
    /// `money`
    pub money: Money,
    /// `userInfo`
    pub user: Option<UserInfo>,
    /// `sessionInfo.clientCountryCode`
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

/// The value of an input record. `None` if it can't be read.
pub fn read(format: Format, rank: usize, value: &[u8]) -> Option<Event> {
    match format {
        Format::Avro => {
            let mut fields = Avro::new(value, rank)?;
            // The schema ids and the branches of the unions, as in `guest-enrich/schemas`.
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

/// The event time of an input record, whatever the rest of it is. `None` if it can't be read up to there.
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

/// The value of an output record. `None` if it is not one.
pub fn read_enriched(format: Format, value: &[u8]) -> Option<Enriched> {
    match format {
        Format::Avro => {
            // Schema 5 also has the count of a user's changes.
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

/// The country in a reply of the session service. `None` if it can't be read.
pub(super) fn country_of(body: &[u8]) -> Option<String> {
    Json::new(body)?.text("clientCountryCode")
}

/// Reads the fields of an event, in the schema's order.
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

/// Reads `id`, `userId` and `processedAt`, and returns the first and the last.
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

/// Reads the money of an input or of an output. An output has neither an opening balance nor a field of its own kind.
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
