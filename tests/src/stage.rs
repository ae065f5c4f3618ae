//! A stage for scenarios: the real worker and real rules on the log in memory, under a clock that the test moves.
//!
//! Rules: one thread, no sleep, no chance that is not a seed's; nothing is replaced but the clock and, where a test wants it
//! so, the external service. Times are milliseconds since [`START`].
//!
//! ```no_run
//! use pelton_tests::stage::{SECOND, always, money};
//!
//! always(|stage| {
//!     stage.user("u1").session("s1", "DE", 0);
//!     stage.put(money("u1", "m1", SECOND).session("s1"));
//!     stage.flow_to(2 * SECOND);
//!     assert_eq!(stage.enriched(), ["m1 first session DE"]);
//! });
//! ```

mod event;
mod life;
mod look;
mod seen;
mod service;
mod setup;

pub use crate::auditor::Format;
pub use event::{
    Event, Money, Stream, address, birth_date, bytes, kind_of_wallet, long, money, nothing, other_user, session,
    session_closed,
};
pub use seen::{Cell, DeadLetter, Output};
pub use service::Script;
pub use setup::{Dice, Setup, Way, always, always_with, compile};

use life::Life;
use pelton::config::Config;
use pelton::error::Failure;
use pelton::log::embedded::{Clock, Embedded, Owned};
use pelton::metrics::Metrics;
use pelton::murmur2;
use pelton::record::Partition;
use pelton::service::Answer;
use pelton::task::{Layout, Orders, Wiring};
use std::sync::Arc;
use std::time::Duration;

/// Milliseconds.
pub type Millis = i64;

/// 2020-12-16T00:00:00Z: event times of scenarios begin here.
pub const START: Millis = 1_608_076_800_000;

/// In milliseconds.
pub const SECOND: Millis = 1000;
/// In milliseconds.
pub const MINUTE: Millis = 60 * SECOND;
/// In milliseconds.
pub const HOUR: Millis = 60 * MINUTE;
/// In milliseconds.
pub const DAY: Millis = 24 * HOUR;

/// Out of orderness of the contract's inputs.
const DISORDER: Millis = 20 * SECOND;

/// How far a turn moves the clock.
const TURN: Duration = Duration::from_millis(10);

/// So many turns in which nothing happens: an epoch is committed after five of them, and its outcome told after a few more.
const AT_REST: u32 = 16;

/// More turns than any scenario takes.
const RESTLESS: u32 = 100_000;

/// See the module.
pub struct Stage {
    setup: Setup,
    /// The log.
    pub cluster: Embedded,
    clock: Clock,
    layout: Arc<Layout>,
    wiring: Arc<Wiring>,
    /// Everything that was deployed.
    orders: Arc<Orders>,
    metrics: Arc<Metrics>,
    script: Script,
    life: Option<Life>,
    dice: Option<Dice>,
    /// The process dies after so many turns; and then each time again, where there is a second number.
    fatal: Option<(u32, Option<u32>)>,
}

/// A user, to be told something about.
pub struct User<'a> {
    stage: &'a mut Stage,
    id: &'a str,
}

impl Stage {
    fn new(setup: Setup, wall: Millis) -> Stage {
        let clock = Clock::manual(wall);
        let cluster = Embedded::new(&setup.cluster, clock.clone());
        let config = &setup.config;
        let stamped: &[_] = if setup.append_time {
            &[("message.timestamp.type", "LogAppendTime")]
        } else {
            &[]
        };
        for input in &config.inputs {
            cluster
                .create_topic(&input.topic, setup.partitions, stamped)
                .expect("a new topic");
        }
        for output in &config.outputs {
            cluster
                .create_topic(&output.topic, setup.output_partitions, &[])
                .expect("a new topic");
        }
        for owned in config.owned_topics(setup.partitions) {
            cluster
                .create_topic(&owned.name, owned.partitions, &[])
                .expect("a new topic");
        }
        let limits = pelton::rules::Limits {
            memory: config.rules.memory_limit,
            time: config.rules.time_limit,
            ..pelton::rules::Limits::default()
        };
        let rules = compile(&setup.component, &config.rules.settings, limits).expect("rules that fit");
        let outputs = vec![setup.output_partitions; config.outputs.len()];
        let wiring = Wiring::new(rules, config, Some(setup.schemas.as_ref()), &outputs);
        let wiring = wiring.unwrap_or_else(|misfits| panic!("the rules don't fit: {misfits:?}"));
        let dice = match setup.way {
            Way::Restless(seed) if setup.restless => Some(Dice::new(seed + 2000)),
            _ => None,
        };
        let wiring = Arc::new(wiring);
        let mut stage = Stage {
            orders: Arc::new(Orders::only(wiring.clone())),
            layout: Arc::new(Layout::new(config, setup.partitions)),
            metrics: Arc::new(Metrics::of(config)),
            wiring,
            setup,
            cluster,
            clock,
            script: Script::default(),
            life: None,
            dice,
            fatal: None,
        };
        stage.let_loose();
        stage.start();
        stage
    }

    /// Another stage, where the same inputs come again from their start, with the journal: it must give the same.
    pub fn replay(&self) -> Stage {
        self.replay_with(|_| {})
    }

    /// As [`replay`](Stage::replay), with a change of the pipeline's file.
    pub fn replay_with(&self, change: impl FnOnce(&mut Config)) -> Stage {
        let mut setup = Setup {
            way: Way::Burst,
            disk: None,
            ..self.setup.clone()
        };
        change(&mut setup.config);
        let mut stage = Stage::new(setup, self.clock.wall());
        stage.crash();
        stage.orders = self.orders.clone();
        let journal = self.setup.config.journal_topic();
        let inputs = self.setup.config.inputs.iter().map(|input| &input.topic);
        for topic in inputs.chain([&journal]) {
            for partition in 0..self.setup.partitions {
                for record in self.committed(topic, partition) {
                    stage.append(topic, partition, &record);
                }
            }
        }
        stage.start();
        stage.settle();
        stage
    }

    /// Appends a record of another log.
    fn append(&self, topic: &str, partition: Partition, record: &Owned) {
        let headers = record
            .headers
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_slice()));
        let headers: Vec<(&[u8], &[u8])> = headers.collect();
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        let offset = self
            .cluster
            .append(topic, partition, key, value, record.timestamp, &headers);
        offset.expect("a record fits");
    }

    /// Something about a user.
    pub fn user<'a>(&'a mut self, id: &'a str) -> User<'a> {
        User { stage: self, id }
    }

    /// An event comes into its topic. Its offset.
    pub fn put(&mut self, event: impl Into<Event>) -> i64 {
        let event = event.into();
        let partition = murmur2::partition(event.user.as_bytes(), self.setup.partitions);
        let bytes = event.bytes(self.setup.format);
        self.raw(event.stream, partition, Some(event.user.as_bytes()), Some(&bytes))
    }

    /// Any record comes into an input topic. Its offset.
    pub fn raw(&mut self, stream: Stream, partition: Partition, key: Option<&[u8]>, value: Option<&[u8]>) -> i64 {
        let wall = self.clock.wall();
        let appended = self.cluster.append(stream.topic(), partition, key, value, wall, &[]);
        appended.expect("a record fits")
    }

    /// Event time comes to `at` on every partition, by events that nobody cares about: all that is before is final, and
    /// done.
    pub fn flow_to(&mut self, at: Millis) {
        for stream in Stream::ALL {
            self.flow(stream, at);
        }
        self.settle();
    }

    /// Event time of one stream comes to `at`.
    pub fn flow(&mut self, stream: Stream, at: Millis) {
        for partition in 0..self.setup.partitions {
            let user = self.user_of(partition);
            let bytes = nothing(stream, &user, at + DISORDER).bytes(self.setup.format);
            self.raw(stream, partition, Some(user.as_bytes()), Some(&bytes));
        }
    }

    /// A user whose key belongs to this partition, and who does nothing else.
    fn user_of(&self, partition: Partition) -> String {
        let mut users = (0..).map(|number| format!("nobody-{number}"));
        let its = |user: &String| murmur2::partition(user.as_bytes(), self.setup.partitions) == partition;
        users.find(its).expect("murmur2 leaves no partition out")
    }

    /// Nothing comes for so long.
    pub fn advance(&mut self, by: Duration) {
        let end = self.clock.now() + by;
        while self.clock.now() < end {
            self.clock
                .advance(Duration::from_millis(500).min(end - self.clock.now()));
            self.turn().unwrap_or_else(|why| panic!("the worker has ended: {why}"));
        }
        self.settle();
    }

    /// The session service answers the open questions for a session; asked again, it says the same again.
    pub fn reply(&mut self, session: &str, answer: Answer) {
        assert!(self.script.always(session, answer) > 0, "nobody asks for {session}");
        self.settle();
    }

    /// The session service answers that the client is in this country.
    pub fn reply_country(&mut self, session: &str, country: &str) {
        self.reply(
            session,
            Answer::Body(format!("{{\"clientCountryCode\":\"{country}\"}}").into_bytes()),
        );
    }

    /// The service is a real one, so that time passes by itself: waits until every question has its answer.
    pub fn answered(&mut self) {
        let begun = std::time::Instant::now();
        while self.status().iter().any(|status| status.lookups > 0) {
            self.turn().unwrap_or_else(|why| panic!("the worker has ended: {why}"));
            assert!(begun.elapsed() < Duration::from_secs(60), "no answer");
            std::thread::yield_now();
        }
        self.settle();
    }

    /// Moves the clock alone.
    pub fn pass(&mut self, by: Duration) {
        self.clock.advance(by);
    }

    /// The script of the session service.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// All that can be done is done, and committed.
    pub fn settle(&mut self) {
        self.try_settle()
            .unwrap_or_else(|why| panic!("the worker has ended: {why}"));
    }

    /// As [`settle`](Stage::settle). Err: the instance has ended, why; it is gone.
    pub fn try_settle(&mut self) -> Result<(), Failure> {
        let mut quiet = 0;
        for _ in 0..RESTLESS {
            if self.dies() {
                self.crash();
                self.start();
                quiet = 0;
            }
            self.clock.advance(TURN);
            quiet = if self.turn()? { 0 } else { quiet + 1 };
            if quiet > AT_REST {
                return Ok(());
            }
        }
        panic!("it never comes to rest");
    }

    fn dies(&mut self) -> bool {
        let by_chance = self.dice.as_mut().is_some_and(|dice| dice.below(64) == 0);
        let Some((left, again)) = &mut self.fatal else {
            return by_chance;
        };
        if *left > 0 {
            *left -= 1;
            return by_chance;
        }
        self.fatal = again.map(|turns| (turns, Some(turns)));
        true
    }

    /// The process dies after so many turns more, and is started again.
    pub fn crash_after(&mut self, turns: u32) {
        self.fatal = Some((turns, None));
    }

    /// The process dies after so many turns, again and again.
    pub fn crash_every(&mut self, turns: u32) {
        self.fatal = Some((turns, Some(turns)));
    }
}

impl User<'_> {
    /// Opens a session.
    pub fn session(self, id: &str, country: &str, at: Millis) -> i64 {
        self.stage.put(session(self.id, id, country, at))
    }

    /// Tells the birth year.
    pub fn birth_date(self, year: &str, at: Millis) -> i64 {
        self.stage.put(birth_date(self.id, year, at))
    }

    /// Moves to another country.
    pub fn address(self, country: &str, at: Millis) -> i64 {
        self.stage.put(address(self.id, country, at))
    }

    /// Money without a session. [`money`] makes any other.
    pub fn money(self, id: &str, at: Millis) -> i64 {
        self.stage.put(money(self.id, id, at))
    }
}
