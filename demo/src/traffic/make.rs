//! Encodes planned records.
//!
//! Rule: a record's content follows only from its plan.

use super::encode::{MONEY, OTHER, SESSION, USER, Writer, uuid};
use super::item::{Item, Stream};
use super::parameters::{Format, Millis, Parameters};
use super::planned::{Again, Money, Planned, What};
use super::random::{Random, mix};
use crate::session_service::country;
use pelton::record::Partition;

/// Ids of the contract's schemas.
const WALLET_SCHEMA: u32 = 1;
const SESSION_SCHEMA: u32 = 2;
const USER_SCHEMA: u32 = 3;

const MONEY_TYPES: [&str; 6] = ["deposit", "withdrawal", "bet", "win", "refund", "fee"];
const CURRENCIES: [&str; 4] = ["EUR", "USD", "CAD", "SEK"];
const COUNTRIES: [&str; 5] = ["CA", "DE", "FR", "SE", "MT"];

/// How many records of each kind were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Money events, without repetitions.
    pub money: u64,
    /// Money events that were repeated soon.
    pub duplicates: u64,
    /// Money events that were repeated after the rules have forgotten them.
    pub repeated: u64,
    /// Sessions that were created.
    pub sessions: u64,
    /// Changes of users.
    pub user_changes: u64,
    /// Events that the rules ignore, including the closing ones.
    pub ignored: u64,
}

impl Made {
    /// Number of all records.
    pub fn records(&self) -> u64 {
        self.money + self.duplicates + self.repeated + self.sessions + self.user_changes + self.ignored
    }
}

/// Makes records of plans. Its buffers are reused for the next record.
pub struct Maker {
    seed: u64,
    format: Format,
    pub made: Made,
    key: [u8; 36],
    value: Vec<u8>,
}

impl Maker {
    /// Of the traffic with these parameters.
    pub fn new(parameters: &Parameters) -> Maker {
        Maker {
            seed: parameters.seed,
            format: parameters.format,
            made: Made::default(),
            key: [0; 36],
            value: Vec::with_capacity(512),
        }
    }

    /// Encodes a record into the buffers.
    pub fn make(&mut self, planned: Planned, partition: Partition, arrival: Millis) -> Item<'_> {
        let Planned { user, time, what } = planned;
        self.key = uuid(USER, u64::from(user));
        let stream = match what {
            What::Money(money) => self.money(time, money),
            What::Session(session) => self.session_created(time, session),
            What::UserChange(number) => self.user_change(time, number),
            What::Ignored(kind, number) => self.ignored(time, kind, number),
        };
        Item {
            stream,
            partition,
            key: &self.key,
            timestamp: arrival,
            value: &self.value,
        }
    }

    /// Begins the value of a record.
    fn begin(&mut self, schema: u32, branch: i64, name: &'static str) -> Writer<'_> {
        Writer::begin(&mut self.value, self.format, schema, branch, name)
    }

    fn money(&mut self, time: Millis, money: Money) -> Stream {
        match money.again {
            Again::No => self.made.money += 1,
            Again::Soon => self.made.duplicates += 1,
            Again::Forgotten => self.made.repeated += 1,
        }
        let key = self.key;
        let mut random = Random::new(self.seed ^ mix(money.number));
        let payment = random.below(2) == 0;
        let (branch, name, thing) = match payment {
            true => (0, "PaymentEvent", "paymentRelatedThing"),
            false => (1, "TransactionEvent", "transactionRelatedThing"),
        };
        let amount = random.below(20_000_000) as i64 - 10_000_000;
        let opening = random.below(1_000_000_000) as i64;
        let session = money.session.map(|session| uuid(SESSION, session));
        self.begin(WALLET_SCHEMA, branch, name)
            .text("id", &uuid(MONEY, money.number))
            .text("userId", &key)
            .optional("userSessionId", session.as_ref().map(|id| &id[..]))
            .time("processedAt", time)
            .decimal("amount", amount)
            .text("currency", CURRENCIES[random.below(4) as usize].as_bytes())
            .decimal("openingBalance", opening)
            .decimal("closingBalance", opening + amount)
            .text("moneyType", MONEY_TYPES[random.below(6) as usize].as_bytes())
            .text(thing, b"something that nobody reads")
            .boolean("isOldMoneyEvent", money.old)
            .end();
        Stream::Wallet
    }

    fn session_created(&mut self, time: Millis, session: u64) -> Stream {
        self.made.sessions += 1;
        let (id, key) = (uuid(SESSION, session), self.key);
        self.begin(SESSION_SCHEMA, 0, "UserSessionCreatedEvent")
            .text("id", &id)
            .text("userId", &key)
            .time("processedAt", time)
            .text("clientCountryCode", country(&id).as_bytes())
            .end();
        Stream::Session
    }

    fn user_change(&mut self, time: Millis, number: u64) -> Stream {
        self.made.user_changes += 1;
        let mut random = Random::new(self.seed ^ mix(number ^ OTHER << 56));
        let (id, key) = (uuid(OTHER, number), self.key);
        if random.below(2) == 0 {
            let mut year = *b"1950";
            year[2] = b'5' + random.below(5) as u8;
            year[3] = b'0' + random.below(10) as u8;
            self.begin(USER_SCHEMA, 0, "ChangeBirthDateEvent")
                .text("id", &id)
                .text("userId", &key)
                .time("processedAt", time)
                .text("birthYear", &year)
                .text("birthCityPlace", b"Lester")
                .end();
        } else {
            self.begin(USER_SCHEMA, 1, "ChangeAddressEvent")
                .text("id", &id)
                .text("userId", &key)
                .time("processedAt", time)
                .text("address", b"1 Water Street")
                .text("residentCountryCode", COUNTRIES[random.below(5) as usize].as_bytes())
                .text("postalCode", b"12345")
                .end();
        }
        Stream::User
    }

    fn ignored(&mut self, time: Millis, kind: u8, number: u64) -> Stream {
        self.made.ignored += 1;
        let (id, key) = (uuid(OTHER, 1 << 48 | u64::from(kind) << 40 | number), self.key);
        let (stream, schema, branch, name, field) = match kind {
            0 => (Stream::Session, SESSION_SCHEMA, 1, "UserSessionClosedEvent", "reason"),
            1 => (Stream::User, USER_SCHEMA, 2, "OtherUserEvent", "somethingUtil"),
            _ => (
                Stream::Wallet,
                WALLET_SCHEMA,
                2,
                "KindOfWalletEvent",
                "somethingInteresting",
            ),
        };
        self.begin(schema, branch, name)
            .text("id", &id)
            .text("userId", &key)
            .time("processedAt", time)
            .text(field, b"nothing")
            .end();
        stream
    }
}
