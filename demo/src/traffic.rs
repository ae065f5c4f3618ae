//! Generated traffic: users with their sessions, their changes and their money.
//!
//! Rule: everything follows from the seed and the parameters. Records come in the order of arrival. Except for late
//! records, event time is at most `disorder` behind arrival. A record's content follows from its number, so a duplicate
//! is equal byte by byte.

mod encode;
mod item;
mod make;
mod parameters;
mod planned;
mod random;
#[cfg(test)]
mod tests;

pub use encode::{Writer, iso, uuid};
pub use item::{Item, Stream};
pub use make::Made;
pub use parameters::{Format, Millis, Parameters};
pub use random::Random;

use encode::USER;
use make::Maker;
use pelton::record::Partition;
use planned::{Again, Money, Planned, What};
use random::Zipf;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Sessions with this bit are never opened.
const NEVER_OPENED: u64 = 1 << 31;

#[derive(Clone, Copy, Debug, Default)]
struct User {
    /// Number of sessions so far.
    sessions: u32,
    /// Event time of the last session.
    session_time: Millis,
    partition: Partition,
}

/// The traffic. [`Traffic::next`] gives all of it, and [`Traffic::due`] gives what has arrived by now.
pub struct Traffic {
    parameters: Parameters,
    random: Random,
    zipf: Zipf,
    users: Vec<User>,
    /// Number of money events planned so far.
    planned: u64,
    changes: f64,
    /// Records to hand over now.
    ready: VecDeque<Planned>,
    /// Records that arrive later, as (arrival, sequence number, record).
    later: BinaryHeap<Reverse<(Millis, u64, Planned)>>,
    arrival: Millis,
    sequence: u64,
    closed: bool,
    maker: Maker,
}

impl Traffic {
    /// Traffic with these parameters.
    ///
    /// # Panics
    /// Without users or partitions.
    pub fn new(parameters: Parameters) -> Traffic {
        assert!(
            parameters.users > 0 && parameters.partitions > 0,
            "traffic needs users and partitions"
        );
        let user = |number: u32| User {
            partition: partition(&uuid(USER, u64::from(number)), parameters.partitions),
            ..User::default()
        };
        Traffic {
            random: Random::new(parameters.seed),
            zipf: Zipf::new(parameters.users, parameters.zipf),
            users: (0..parameters.users).map(user).collect(),
            planned: 0,
            changes: 0.0,
            ready: VecDeque::new(),
            later: BinaryHeap::new(),
            arrival: parameters.start,
            sequence: 0,
            closed: false,
            maker: Maker::new(&parameters),
            parameters,
        }
    }

    /// How many records were handed over so far.
    pub fn made(&self) -> Made {
        self.maker.made
    }

    /// The next record, or `None` at the end.
    #[expect(
        clippy::should_implement_trait,
        reason = "it lends its buffers, which an Iterator can't"
    )]
    pub fn next(&mut self) -> Option<Item<'_>> {
        self.due(Millis::MAX)
    }

    /// The next record, if it arrives by this time. With the wall clock as `now` and as `start`, this is live traffic.
    /// See also [`Traffic::ended`].
    pub fn due(&mut self, now: Millis) -> Option<Item<'_>> {
        while self.ready.is_empty() {
            let money = self.planned < self.parameters.money;
            let arrival = self.arrival_of(self.planned);
            match self.later.peek() {
                Some(Reverse((at, _, planned))) if !money || *at <= arrival => {
                    if *at > now {
                        return None;
                    }
                    (self.arrival, _) = (*at, self.ready.push_back(*planned));
                    self.later.pop();
                }
                _ if money => {
                    if arrival > now {
                        return None;
                    }
                    self.arrival = arrival;
                    self.plan();
                }
                _ if self.closed || self.arrival > now => return None,
                _ => self.close(),
            }
        }
        let planned = self.ready.pop_front()?;
        let partition = self.partition_of(planned.user);
        Some(self.maker.make(planned, partition, self.arrival))
    }

    /// Whether everything was handed over.
    pub fn ended(&self) -> bool {
        self.closed && self.ready.is_empty()
    }

    fn arrival_of(&self, number: u64) -> Millis {
        let Parameters { start, span, money, .. } = self.parameters;
        start + (number as i128 * i128::from(span) / i128::from(money.max(1))) as Millis
    }

    /// Plans the next money event and the records around it.
    fn plan(&mut self) {
        let number = self.planned;
        self.planned += 1;
        self.changes += self.parameters.user_changes;
        if self.changes >= 1.0 {
            self.changes -= 1.0;
            self.plan_now(What::UserChange(number));
        }
        let ignored = self.parameters.ignored;
        for kind in 0..3 {
            if ignored > 0.0 && self.random.chance(ignored) {
                self.plan_now(What::Ignored(kind, number));
            }
        }
        self.plan_money(number);
    }

    /// Plans what happens to some user now.
    fn plan_now(&mut self, what: What) {
        let (user, time) = (self.zipf.draw(&mut self.random), self.before(self.arrival));
        self.ready.push_back(Planned { user, time, what });
    }

    fn plan_money(&mut self, number: u64) {
        let Parameters { late, old, .. } = self.parameters;
        let user = self.zipf.draw(&mut self.random);
        let mut time = self.before(self.arrival);
        let session = self.session(user, time, number);
        if session.is_some() {
            // Money does not come before its session, unless that is wanted.
            time = time.max(self.users[user as usize].session_time);
        }
        if late > 0.0 && self.random.chance(late) {
            time = self.arrival - 30_000 - self.random.below(60_000) as Millis;
        }
        let old = old > 0.0 && self.random.chance(old);
        let money = |again| Planned {
            user,
            time,
            what: What::Money(Money {
                number,
                session,
                old,
                again,
            }),
        };
        self.ready.push_back(money(Again::No));
        let p = &self.parameters;
        for (share, again, least, most) in [
            (p.duplicates, Again::Soon, 1, p.duplicate_delay),
            (p.duplicates_after_ttl, Again::Forgotten, 90_000, 120_000),
        ] {
            if share > 0.0 && self.random.chance(share) {
                let at = self.arrival + least + self.random.below((most - least).max(1) as u64) as Millis;
                self.plan_later(at, money(again));
            }
        }
    }

    /// The session of the next money event, which may open it. `None` if the event has no session.
    fn session(&mut self, user: u32, time: Millis, number: u64) -> Option<u64> {
        let Parameters {
            without_session,
            session_never,
            money_per_session,
            ..
        } = self.parameters;
        if self.random.chance(without_session) {
            return None;
        }
        let of_user = u64::from(user) << 32;
        if session_never > 0.0 && self.random.chance(session_never) {
            return Some(of_user | NEVER_OPENED | number & (NEVER_OPENED - 1));
        }
        if self.users[user as usize].sessions == 0 || self.random.chance(1.0 / money_per_session) {
            self.open_session(user, time);
        }
        Some(of_user | u64::from(self.users[user as usize].sessions))
    }

    /// Opens a session before the user's money at this time, or some time after it.
    fn open_session(&mut self, user: u32, money: Millis) {
        let Parameters {
            sessions_after_money,
            session_delay,
            disorder,
            ..
        } = self.parameters;
        let state = &mut self.users[user as usize];
        state.sessions += 1;
        let what = What::Session(u64::from(user) << 32 | u64::from(state.sessions));
        if self.random.chance(sessions_after_money) {
            state.session_time = 0;
            let at = self.arrival + 1 + self.random.below(session_delay.max(1) as u64) as Millis;
            let time = self.before(at);
            self.plan_later(at, Planned { user, time, what });
        } else {
            let time = money - self.random.below((money - (self.arrival - disorder) + 1) as u64) as Millis;
            state.session_time = time;
            self.ready.push_back(Planned { user, time, what });
        }
    }

    /// An event time for a record that arrives at this time.
    fn before(&mut self, arrival: Millis) -> Millis {
        arrival - self.random.below(self.parameters.disorder as u64 + 1) as Millis
    }

    fn plan_later(&mut self, at: Millis, planned: Planned) {
        self.later.push(Reverse((at, self.sequence, planned)));
        self.sequence += 1;
    }

    /// Plans the closing records.
    fn close(&mut self) {
        self.closed = true;
        let Some(after) = self.parameters.closing else { return };
        let time = self.arrival.max(self.parameters.start + self.parameters.span) + after;
        for partition in Partition::all(self.parameters.partitions) {
            // With few users, none may be in this partition. Then a new user gets the closing record.
            let mut user = (0_u32..).filter(|user| self.partition_of(*user) == partition);
            let Some(user) = user.next() else { continue };
            for kind in 0..3 {
                let number = self.parameters.money + partition.index() as u64;
                self.ready.push_back(Planned {
                    user,
                    time,
                    what: What::Ignored(kind, number),
                });
            }
        }
    }

    fn partition_of(&self, user: u32) -> Partition {
        let known = self.users.get(user as usize).map(|user| user.partition);
        known.unwrap_or_else(|| partition(&uuid(USER, u64::from(user)), self.parameters.partitions))
    }
}

/// Kafka's default partitioner.
fn partition(key: &[u8], partitions: i32) -> Partition {
    pelton::record::murmur2::partition(key, partitions)
}
