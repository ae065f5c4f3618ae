//! Generates small traffic with many collisions: every case of the rules, within a few users and a few seconds.

use super::dice::Dice;
use crate::auditor::{Format, Millis};
use pelton::record::Partition;
use pelton_demo::traffic::{Writer, uuid};

/// Prefixes for the kinds of ids.
const USER: u64 = 1;
const SESSION: u64 = 2;
const MONEY: u64 = 3;
const OTHER: u64 = 4;

/// The start of the simulated time, in milliseconds since 1970.
pub const START: Millis = 1_608_076_800_000;

/// A record that arrives.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Milliseconds since the start.
    pub at: Millis,
    /// Rank of its stream.
    pub rank: usize,
    /// Partition of the topic.
    pub partition: Partition,
    /// The key. `None` is a null key.
    pub key: Option<Vec<u8>>,
    /// The value. `None` is a null value.
    pub value: Option<Vec<u8>>,
}

/// The shape of the traffic.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The format of values.
    pub format: Format,
    /// The number of partitions of each topic.
    pub partitions: i32,
    /// How many of them get no record.
    pub empty: i32,
    /// The number of records.
    pub records: usize,
    /// The number of users.
    pub users: usize,
    /// The time over which they arrive, in milliseconds.
    pub span: Millis,
    /// The number of phases in which they arrive, with silence between them. 0 means evenly.
    pub phases: usize,
    /// The most that an event's time may be behind its arrival.
    pub disorder: Millis,
    /// Event times are multiples of this.
    pub grain: Millis,
    /// The share of records that are late.
    pub late: f64,
    /// The share of records that can't be read.
    pub bad: f64,
    /// The least distance between the clock and a time that is too far ahead.
    pub ahead: Millis,
    /// If set, each partition of each topic gets an ignored record at the end, whose time is this much later.
    pub closing: Option<Millis>,
}

/// The records of a seed.
pub fn records(shape: &Shape, seed: u64) -> Vec<Arrival> {
    make(shape, &mut Dice::new(seed))
}

/// Makes the records, in the order of their arrival.
pub fn make(shape: &Shape, dice: &mut Dice) -> Vec<Arrival> {
    let mut arrivals = Vec::with_capacity(shape.records);
    let mut times: Vec<Millis> = (0..shape.records).map(|_| time(shape, dice)).collect();
    times.sort_unstable();
    let mut maker = Maker {
        shape,
        dice,
        money: 0,
        others: 0,
    };
    for at in times {
        arrivals.push(maker.record(at));
    }
    if let Some(after) = shape.closing {
        for partition in Partition::all(shape.partitions) {
            for rank in 0..3 {
                let value = maker.ignored(rank, &uuid(USER, 0), START + shape.span + after);
                arrivals.push(Arrival {
                    at: shape.span,
                    rank,
                    partition,
                    key: Some(uuid(USER, 0).to_vec()),
                    value: Some(value),
                });
            }
        }
    }
    arrivals
}

/// The time at which a record arrives.
fn time(shape: &Shape, dice: &mut Dice) -> Millis {
    match shape.phases {
        0 => dice.between(0..=shape.span),
        phases => {
            let length = shape.span / phases as Millis;
            // The records of a phase arrive within a tenth of it.
            dice.below(phases) as Millis * length + dice.between(0..=length / 10)
        }
    }
}

struct Maker<'a> {
    shape: &'a Shape,
    dice: &'a mut Dice,
    money: u64,
    others: u64,
}

impl Maker<'_> {
    fn record(&mut self, at: Millis) -> Arrival {
        let Shape {
            users,
            disorder,
            grain,
            late,
            bad,
            partitions,
            empty,
            ..
        } = *self.shape;
        let user = self.dice.below(users);
        let partition = Partition(user as i32 % (partitions - empty).max(1));
        let key = uuid(USER, user as u64);
        let mut time = START + at - self.dice.between(0..=disorder);
        if self.dice.chance(late) {
            time -= self.dice.between(1..=60_000);
        }
        time = time.div_euclid(grain) * grain;
        let rank = self.dice.pick(&[0, 1, 2, 2, 2]);
        let value = match rank {
            0 if self.dice.chance(0.8) => self.session(user, &key, time),
            1 if self.dice.chance(0.8) => self.change(&key, time),
            2 if self.dice.chance(0.9) => self.money(user, &key, time),
            rank => self.ignored(rank, &key, time),
        };
        let mut arrival = Arrival {
            at,
            rank,
            partition,
            key: Some(key.to_vec()),
            value: Some(value),
        };
        if self.dice.chance(bad) {
            self.spoil(&mut arrival);
        }
        arrival
    }

    /// A session of a user. There are only a few, so that money meets them and they occur again.
    fn session_id(&mut self, user: usize) -> [u8; 36] {
        uuid(SESSION, (user * 8 + self.dice.below(4)) as u64)
    }

    fn session(&mut self, user: usize, key: &[u8], time: Millis) -> Vec<u8> {
        let id = self.session_id(user);
        let country = self.dice.pick(&["CA", "DE", "FR", "MT"]);
        let mut value = vec![];
        Writer::begin(&mut value, self.format(), 2, 0, "UserSessionCreatedEvent")
            .text("id", &id)
            .text("userId", key)
            .time("processedAt", time)
            .text("clientCountryCode", country.as_bytes())
            .end();
        value
    }

    fn change(&mut self, key: &[u8], time: Millis) -> Vec<u8> {
        let mut value = vec![];
        let id = self.other_id();
        if self.dice.chance(0.5) {
            let year = self.dice.pick(&["1970", "1981", "1999"]);
            Writer::begin(&mut value, self.format(), 3, 0, "ChangeBirthDateEvent")
                .text("id", &id)
                .text("userId", key)
                .time("processedAt", time)
                .text("birthYear", year.as_bytes())
                .text("birthCityPlace", b"Lester")
                .end();
        } else {
            let country = self.dice.pick(&["CA", "DE", "SE"]);
            Writer::begin(&mut value, self.format(), 3, 1, "ChangeAddressEvent")
                .text("id", &id)
                .text("userId", key)
                .time("processedAt", time)
                .text("address", b"1 Water Street")
                .text("residentCountryCode", country.as_bytes())
                .text("postalCode", b"12345")
                .end();
        }
        value
    }

    fn money(&mut self, user: usize, key: &[u8], time: Millis) -> Vec<u8> {
        // Every third id was used before, perhaps by another user.
        let number = match self.money > 0 && self.dice.chance(0.3) {
            true => self.dice.below(self.money as usize) as u64,
            false => self.money,
        };
        self.money = self.money.max(number + 1);
        let never = uuid(SESSION, 1 << 40 | number);
        let session = match self.dice.below(10) {
            0 | 1 => None,
            2 => Some(never),
            _ => Some(self.session_id(user)),
        };
        let (branch, name, thing) = match self.dice.chance(0.5) {
            true => (0, "PaymentEvent", "paymentRelatedThing"),
            false => (1, "TransactionEvent", "transactionRelatedThing"),
        };
        let amount = self.dice.between(-10_000_000..=10_000_000);
        let kind = self.dice.pick(&["deposit", "withdrawal", "bet", "win"]);
        let old = self.dice.chance(0.08);
        let mut value = vec![];
        Writer::begin(&mut value, self.format(), 1, branch, name)
            .text("id", &uuid(MONEY, number))
            .text("userId", key)
            .optional("userSessionId", session.as_ref().map(|id| &id[..]))
            .time("processedAt", time)
            .decimal("amount", amount)
            .text("currency", b"EUR")
            .decimal("openingBalance", 10_000)
            .decimal("closingBalance", amount + 10_000)
            .text("moneyType", kind.as_bytes())
            .text(thing, b"x")
            .boolean("isOldMoneyEvent", old)
            .end();
        value
    }

    fn ignored(&mut self, rank: usize, key: &[u8], time: Millis) -> Vec<u8> {
        let id = self.other_id();
        let (schema, branch, name, last) = [
            (2, 1, "UserSessionClosedEvent", "reason"),
            (3, 2, "OtherUserEvent", "somethingUtil"),
            (1, 2, "KindOfWalletEvent", "somethingInteresting"),
        ][rank];
        let mut value = vec![];
        Writer::begin(&mut value, self.format(), schema, branch, name)
            .text("id", &id)
            .text("userId", key)
            .time("processedAt", time)
            .text(last, b"nothing")
            .end();
        value
    }

    fn other_id(&mut self) -> [u8; 36] {
        self.others += 1;
        uuid(OTHER, self.others)
    }

    fn format(&self) -> pelton_demo::traffic::Format {
        match self.shape.format {
            Format::Avro => pelton_demo::traffic::Format::Avro,
            Format::Json => pelton_demo::traffic::Format::Json,
        }
    }

    /// Makes a record unreadable, or moves its time too far ahead.
    fn spoil(&mut self, arrival: &mut Arrival) {
        let json = self.shape.format == Format::Json;
        match self.dice.below(7) {
            0 => arrival.key = None,
            1 => arrival.value = None,
            2 => arrival.value = Some(b"{".to_vec()),
            // An id that no schema has, or a branch that no union has.
            3 if !json => arrival.value.as_mut().expect("made just before")[4] = 9,
            4 if !json => arrival.value.as_mut().expect("made just before")[5] = 40,
            3 => arrival.value = Some(b"{\"type\":\"NewEvent\"}".to_vec()),
            // It has a time, and is otherwise unknown.
            4 => {
                let value = arrival.value.take().expect("made just before");
                let text = String::from_utf8(value).expect("JSON");
                let start = text.find("\"processedAt\"").expect("every event has a time");
                let end = start + text[start..].find([',', '}']).expect("behind the time");
                arrival.value = Some(format!("{{\"type\":\"NewEvent\",{}}}", &text[start..end]).into_bytes());
            }
            5 if !json => _ = arrival.value.as_mut().expect("made just before").pop(),
            _ => {
                let key = arrival.key.clone().expect("made just before");
                let ahead = self.shape.ahead + self.dice.between(-2_000..=2_000);
                arrival.value = Some(self.ignored(arrival.rank, &key, START + arrival.at + ahead));
            }
        }
    }
}
