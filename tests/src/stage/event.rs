//! Events of the money pipeline's inputs, and their form in the topics: Avro or JSON.
//!
//! Rule: the bytes are made here by hand, without the host's or the SDK's code, so that they can prove both right or
//! wrong.

use super::time::{Millis, START};
use crate::auditor::Format;

/// An input topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// `user-session-events`
    Session,
    /// `user-events`
    User,
    /// `wallet-events`
    Wallet,
}

impl Stream {
    /// All streams, by rank.
    pub const ALL: [Stream; 3] = [Stream::Session, Stream::User, Stream::Wallet];

    /// The name of its topic.
    pub fn topic(self) -> &'static str {
        ["user-session-events", "user-events", "wallet-events"][self as usize]
    }

    /// The id of its schema.
    pub fn schema(self) -> u32 {
        [2, 3, 1][self as usize]
    }
}

/// An event, before it is written in a format.
#[derive(Clone, Debug)]
pub struct Event {
    /// The stream that it belongs to.
    pub stream: Stream,
    /// The key of its record.
    pub user: String,
    name: &'static str,
    branch: i64,
    fields: Vec<(&'static str, Field)>,
}

#[derive(Clone, Debug)]
enum Field {
    Text(String),
    Optional(Option<String>),
    Time(Millis),
    /// In units of 1/10,000.
    Decimal(i64),
    Boolean(bool),
}

/// A money event. By default, a payment of 1 EUR.
#[derive(Clone, Debug)]
pub struct Money {
    user: String,
    id: String,
    at: Millis,
    session: Option<String>,
    kind: String,
    amount: i64,
    balance: i64,
    old: bool,
    transaction: bool,
}

/// A payment of a user.
pub fn money(user: &str, id: &str, at: Millis) -> Money {
    Money {
        user: user.to_owned(),
        id: id.to_owned(),
        at,
        session: None,
        kind: "DEPOSIT".to_owned(),
        amount: 10_000,
        balance: 10_000,
        old: false,
        transaction: false,
    }
}

impl Money {
    /// Sets the session.
    pub fn session(mut self, id: &str) -> Money {
        self.session = Some(id.to_owned());
        self
    }

    /// Sets the `moneyType`. The default is `DEPOSIT`.
    pub fn kind(mut self, kind: &str) -> Money {
        self.kind = kind.to_owned();
        self
    }

    /// Sets the amount and the closing balance, in units of 1/10,000.
    pub fn amounts(mut self, amount: i64, balance: i64) -> Money {
        (self.amount, self.balance) = (amount, balance);
        self
    }

    /// Sets `isOldMoneyEvent`.
    pub fn old(mut self) -> Money {
        self.old = true;
        self
    }

    /// Makes it a `TransactionEvent`.
    pub fn transaction(mut self) -> Money {
        self.transaction = true;
        self
    }
}

impl From<Money> for Event {
    fn from(money: Money) -> Event {
        let (name, thing) = match money.transaction {
            true => ("TransactionEvent", "transactionRelatedThing"),
            false => ("PaymentEvent", "paymentRelatedThing"),
        };
        let fields = vec![
            ("id", Field::Text(money.id)),
            ("userId", Field::Text(money.user.clone())),
            ("userSessionId", Field::Optional(money.session)),
            ("processedAt", Field::Time(START + money.at)),
            ("amount", Field::Decimal(money.amount)),
            ("currency", Field::Text("EUR".to_owned())),
            ("openingBalance", Field::Decimal(0)),
            ("closingBalance", Field::Decimal(money.balance)),
            ("moneyType", Field::Text(money.kind)),
            (thing, Field::Text("a thing".to_owned())),
            ("isOldMoneyEvent", Field::Boolean(money.old)),
        ];
        Event {
            stream: Stream::Wallet,
            user: money.user,
            name,
            branch: i64::from(money.transaction),
            fields,
        }
    }
}

/// A session opens.
pub fn session(user: &str, id: &str, country: &str, at: Millis) -> Event {
    let of = Event::new(Stream::Session, 0, "UserSessionCreatedEvent", user, id, at);
    of.text("clientCountryCode", country)
}

/// A session ends. The rules ignore this.
pub fn session_closed(user: &str, id: &str, at: Millis) -> Event {
    Event::new(Stream::Session, 1, "UserSessionClosedEvent", user, id, at).text("reason", "bye")
}

/// A user's birth year becomes known.
pub fn birth_date(user: &str, year: &str, at: Millis) -> Event {
    let of = Event::new(Stream::User, 0, "ChangeBirthDateEvent", user, "a change", at);
    of.text("birthYear", year).text("birthCityPlace", "Malmö")
}

/// A user has moved.
pub fn address(user: &str, country: &str, at: Millis) -> Event {
    let of = Event::new(Stream::User, 1, "ChangeAddressEvent", user, "a change", at);
    of.text("address", "1, Street")
        .text("residentCountryCode", country)
        .text("postalCode", "12345")
}

/// Some other event of a user. The rules ignore it.
pub fn other_user(user: &str, at: Millis) -> Event {
    Event::new(Stream::User, 2, "OtherUserEvent", user, "other", at).text("somethingUtil", "util")
}

/// Some other event of a wallet. The rules ignore it.
pub fn kind_of_wallet(user: &str, at: Millis) -> Event {
    Event::new(Stream::Wallet, 2, "KindOfWalletEvent", user, "kind", at).text("somethingInteresting", "no")
}

/// An event that only moves the event time of its stream.
pub fn nothing(stream: Stream, user: &str, at: Millis) -> Event {
    match stream {
        Stream::Session => session_closed(user, "none", at),
        Stream::User => other_user(user, at),
        Stream::Wallet => kind_of_wallet(user, at),
    }
}

impl Event {
    fn new(stream: Stream, branch: i64, name: &'static str, user: &str, id: &str, at: Millis) -> Event {
        Event {
            stream,
            user: user.to_owned(),
            name,
            branch,
            fields: vec![
                ("id", Field::Text(id.to_owned())),
                ("userId", Field::Text(user.to_owned())),
                ("processedAt", Field::Time(START + at)),
            ],
        }
    }

    fn text(mut self, name: &'static str, text: &str) -> Event {
        self.fields.push((name, Field::Text(text.to_owned())));
        self
    }

    /// The bytes of the event in its topic.
    pub fn bytes(&self, format: Format) -> Vec<u8> {
        match format {
            Format::Avro => self.avro(),
            Format::Json => self.json().into_bytes(),
        }
    }

    fn avro(&self) -> Vec<u8> {
        let mut to = vec![0];
        to.extend(self.stream.schema().to_be_bytes());
        long(&mut to, self.branch);
        for (_, field) in &self.fields {
            match field {
                Field::Text(text) => bytes(&mut to, text.as_bytes()),
                Field::Optional(None) => long(&mut to, 0),
                Field::Optional(Some(text)) => {
                    long(&mut to, 1);
                    bytes(&mut to, text.as_bytes());
                }
                Field::Time(time) => long(&mut to, *time),
                Field::Decimal(units) => bytes(&mut to, &shortest(*units)),
                Field::Boolean(value) => to.push(u8::from(*value)),
            }
        }
        to
    }

    fn json(&self) -> String {
        let mut object = serde_json::Map::new();
        object.insert("type".to_owned(), self.name.into());
        for (name, field) in &self.fields {
            let value = match field {
                Field::Text(text) | Field::Optional(Some(text)) => text.as_str().into(),
                Field::Optional(None) => continue,
                Field::Time(time) => iso(*time).into(),
                // There are few digits here, so a double is exact enough.
                Field::Decimal(units) => (*units as f64 / 10_000.0).into(),
                Field::Boolean(value) => (*value).into(),
            };
            object.insert((*name).to_owned(), value);
        }
        serde_json::Value::Object(object).to_string()
    }
}

/// Appends an Avro long: zigzag, seven bits in each byte.
pub fn long(to: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        to.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    to.push(rest as u8);
}

/// Appends Avro bytes or a string.
pub fn bytes(to: &mut Vec<u8>, value: &[u8]) {
    long(to, value.len() as i64);
    to.extend_from_slice(value);
}

/// The shortest two's complement. Zero is one byte.
fn shortest(units: i64) -> Vec<u8> {
    let bytes = units.to_be_bytes();
    let sign = if units < 0 { 0xff } else { 0 };
    let repeated = |at: &usize| bytes[*at] == sign && (bytes[at + 1] ^ sign) & 0x80 == 0;
    let from = (0..7).take_while(repeated).count();
    bytes[from..].to_vec()
}

/// ISO-8601 in UTC. Only within a year of [`START`], a 16th of December, from which the days are counted.
fn iso(time: Millis) -> String {
    let (mut day, millis) = ((time - START).div_euclid(86_400_000) + 16, time.rem_euclid(86_400_000));
    let (mut year, mut month) = (2020, 12);
    while day > 31 && month == 12 {
        (day, month, year) = (day - 31, 1, year + 1);
    }
    assert!(
        (1..=31).contains(&day) && time >= START,
        "a time that the tests need no calendar for"
    );
    let (hour, minute, second) = (millis / 3_600_000, millis / 60_000 % 60, millis / 1000 % 60);
    format!(
        "{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
        millis % 1000
    )
}
