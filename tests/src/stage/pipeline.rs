//! The money pipeline on a stage: events go in, and time passes.

use super::event::{Event, Stream, address, birth_date, money, nothing, session};
use super::time::{Millis, SECOND};
use crate::auditor::Format;
use pelton::config::Config;
use pelton::error::Failure;
use pelton::log::embedded::{Embedded, Owned};
use pelton::record::{Offset, Partition, murmur2};
use pelton::service::Answer;
use pelton::testkit::{self, Script, Which};
use std::time::Duration;

/// The out-of-orderness of the pipeline's inputs.
const DISORDER: Millis = 20 * SECOND;

/// The money pipeline on a stage.
pub struct Stage {
    pub(super) engine: testkit::Stage,
    pub(super) format: Format,
    /// The log.
    pub cluster: Embedded,
}

/// A user, for writing events about.
pub struct User<'a> {
    stage: &'a mut Stage,
    id: &'a str,
}

/// The result, or the end of the test.
#[track_caller]
pub(super) fn alive<T>(done: Result<T, Failure>) -> T {
    done.unwrap_or_else(|why| panic!("the instance has ended: {why}"))
}

impl Stage {
    pub(super) fn of(engine: testkit::Stage, format: Format) -> Stage {
        Stage {
            cluster: engine.cluster().clone(),
            engine,
            format,
        }
    }

    /// Another stage that gets the same inputs from their start, with the journal. It must give the same results.
    pub fn replay(&self) -> Stage {
        self.replay_with(|_| {})
    }

    /// Like [`replay`](Stage::replay), with a change to the pipeline's file.
    pub fn replay_with(&self, change: impl FnOnce(&mut Config)) -> Stage {
        Stage::of(alive(self.engine.replay(change)), self.format)
    }

    /// Selects a user to write events about.
    pub fn user<'a>(&'a mut self, id: &'a str) -> User<'a> {
        User { stage: self, id }
    }

    /// Appends an event to its topic. Returns its offset.
    pub fn put(&mut self, event: impl Into<Event>) -> Offset {
        let event = event.into();
        let partition = murmur2::partition(event.user.as_bytes(), self.partitions());
        let bytes = event.bytes(self.format);
        self.raw(event.stream, partition, Some(event.user.as_bytes()), Some(&bytes))
    }

    /// Appends any record to an input topic. Returns its offset.
    pub fn raw(&mut self, stream: Stream, partition: Partition, key: Option<&[u8]>, value: Option<&[u8]>) -> Offset {
        let record = Owned {
            offset: Offset::ZERO,
            timestamp: self.engine.clock().wall(),
            key: key.map(<[u8]>::to_vec),
            value: value.map(<[u8]>::to_vec),
            headers: vec![],
        };
        let appended = self.engine.append(stream.topic(), partition, &record);
        appended.expect("a record fits")
    }

    /// Moves event time to `at` on every partition, with events that the rules ignore. Everything before it becomes
    /// final and is processed.
    pub fn flow_to(&mut self, at: Millis) {
        for stream in Stream::ALL {
            self.flow(stream, at);
        }
        self.settle();
    }

    /// Moves event time to `at` in one stream.
    pub fn flow(&mut self, stream: Stream, at: Millis) {
        for partition in Partition::all(self.partitions()) {
            let user = self.user_of(partition);
            let bytes = nothing(stream, &user, at + DISORDER).bytes(self.format);
            self.raw(stream, partition, Some(user.as_bytes()), Some(&bytes));
        }
    }

    pub(super) fn partitions(&self) -> i32 {
        self.engine.setup().topics.partitions
    }

    /// A user whose key belongs to this partition, and who does nothing else.
    pub(super) fn user_of(&self, partition: Partition) -> String {
        let mut users = (0..).map(|number| format!("nobody-{number}"));
        let its = |user: &String| murmur2::partition(user.as_bytes(), self.partitions()) == partition;
        users.find(its).expect("murmur2 leaves no partition out")
    }

    /// Lets time pass without any records.
    pub fn advance(&mut self, by: Duration) {
        alive(self.engine.advance(by));
    }

    /// Lets the session service answer the open questions for a session. Later questions get the same answer.
    pub fn reply(&mut self, session: &str, answer: Answer) {
        let which = Which {
            service: None,
            end: format!("/{session}"),
        };
        assert!(self.script().always(which, answer) > 0, "nobody asks for {session}");
        self.settle();
    }

    /// Lets the session service answer that the client is in this country.
    pub fn reply_country(&mut self, session: &str, country: &str) {
        self.reply(
            session,
            Answer::Body(format!("{{\"clientCountryCode\":\"{country}\"}}").into_bytes()),
        );
    }

    /// Waits until every question has its answer. For a real service, where time passes by itself.
    pub fn answered(&mut self) {
        let begun = std::time::Instant::now();
        while self.status().iter().any(|status| status.state.lookups > 0) {
            alive(self.turn());
            assert!(begun.elapsed() < Duration::from_secs(60), "no answer");
            std::thread::yield_now();
        }
        self.settle();
    }

    /// Moves only the clock.
    pub fn pass(&mut self, by: Duration) {
        self.engine.clock().advance(by);
    }

    /// The script of the session service.
    pub fn script(&self) -> &Script {
        self.engine.script()
    }

    /// Runs until everything that can be done is done and committed.
    pub fn settle(&mut self) {
        alive(self.try_settle());
    }

    /// Like [`settle`](Stage::settle). The error says why the instance has ended; then it is gone.
    pub fn try_settle(&mut self) -> Result<(), Failure> {
        self.engine.settle()
    }

    /// Kills the process after this many more turns, and starts it again.
    pub fn crash_after(&mut self, turns: u32) {
        self.engine.crash_after(turns);
    }

    /// Kills the process after this many turns, again and again.
    pub fn crash_every(&mut self, turns: u32) {
        self.engine.crash_every(turns);
    }
}

impl User<'_> {
    /// Opens a session.
    pub fn session(self, id: &str, country: &str, at: Millis) -> Offset {
        self.stage.put(session(self.id, id, country, at))
    }

    /// Sets the birth year.
    pub fn birth_date(self, year: &str, at: Millis) -> Offset {
        self.stage.put(birth_date(self.id, year, at))
    }

    /// Sets the country that the user lives in.
    pub fn address(self, country: &str, at: Millis) -> Offset {
        self.stage.put(address(self.id, country, at))
    }

    /// Money without a session. For any other money, use [`money`].
    pub fn money(self, id: &str, at: Millis) -> Offset {
        self.stage.put(money(self.id, id, at))
    }
}
