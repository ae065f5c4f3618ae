//! A pipeline that is driven by hand, for tests of rules and of Pelton itself: the real worker and the real component on the
//! log in memory, under a clock that the test moves.
//!
//! Rules: one thread, no sleep, no chance that is not a seed's; nothing is replaced but the clock, the log, and the external
//! services. Whatever the way it is run in ([`Way`]), a scenario must come to the same.
//!
//! [`Stage`] is the pipeline as its bytes; [`Scenario`] speaks JSON and times since the start, in the schemas of the rules;
//! [`file`](mod@file) has scenarios as files, and [`play`] runs these in every way. The crate `pelton-testkit` is the same for tests in Rust.

mod compiler;
mod diff;
pub mod file;
mod json;
mod life;
mod look;
pub mod play;
mod scenario;
mod schemas;
mod script;
mod setup;
mod shadow;
mod time;

pub use crate::state::Stored;
pub use compiler::Compiler;
pub use diff::{differences, words};
pub use life::Prepared;
pub use look::{Letter, Outcome, Sent, Timer};
pub use scenario::{Question, Scenario};
pub use script::{Script, Which};
pub use setup::{Dice, MakeServices, Setup, Way};
pub use time::{parse_time, show_time};

use crate::binding::{Layout, Wiring};
use crate::config::Config;
use crate::deploy::Orders;
use crate::deploy::compile::declared;
use crate::deploy::protocol::Declared;
use crate::deploy::view::Board;
use crate::error::{Failure, Result};
use crate::instance::driven::Instance;
use crate::log::embedded::{Clock, Embedded, Owned, Record};
use crate::metrics::Metrics;
use crate::record::{Millis, Offset, Partition};
use crate::shadow::Player;
use std::sync::Arc;
use std::time::Duration;

/// How far a turn moves the clock.
const TURN: Duration = Duration::from_millis(10);

/// So many turns in which nothing happens: an epoch is committed after five of them, and its outcome told after a few more.
const AT_REST: u32 = 16;

/// More turns than any scenario takes.
const RESTLESS: u32 = 100_000;

/// See the module. Its calls panic nowhere; what can't be is a [`Failure::Fatal`] that says why.
pub struct Stage {
    setup: Setup,
    cluster: Embedded,
    clock: Clock,
    layout: Arc<Layout>,
    wiring: Arc<Wiring>,
    /// Everything that was deployed: the versions, and what each has declared.
    orders: Arc<Orders>,
    declared: Vec<Arc<Declared>>,
    metrics: Arc<Metrics>,
    script: Script,
    /// What its tasks open with.
    board: Arc<Board>,
    life: Option<Instance>,
    dice: Option<Dice>,
    /// Who plays the shadow, unless it is held.
    player: Option<(Player, bool)>,
    /// The process dies after so many turns; and then each time again, where there is a second number.
    fatal: Option<(u32, Option<u32>)>,
}

impl Stage {
    /// Makes the topics and starts the instance. Err: what of the rules does not fit.
    pub fn new(setup: Setup) -> Result<Stage> {
        let start = setup.start;
        Stage::at(setup, start)
    }

    fn at(setup: Setup, wall: Millis) -> Result<Stage> {
        let mut stage = Stage::idle(setup, wall)?;
        stage.start()?;
        Ok(stage)
    }

    /// Everything but a running instance.
    fn idle(setup: Setup, wall: Millis) -> Result<Stage> {
        let clock = Clock::manual(wall);
        let cluster = Embedded::new(&setup.cluster, clock.clone());
        let config = &setup.config;
        let stamped: &[_] = match setup.append_time {
            true => &[("message.timestamp.type", "LogAppendTime")],
            false => &[],
        };
        for input in &config.inputs {
            cluster.create_topic(&input.topic, setup.partitions, stamped)?;
        }
        for output in &config.outputs {
            cluster.create_topic(&output.topic, setup.output_partitions, &[])?;
        }
        for owned in config.owned_topics(setup.partitions) {
            cluster.create_topic(&owned.name, owned.partitions, &[])?;
        }
        let wiring = setup
            .wire(&setup.component, &config.rules.settings)
            .map_err(Failure::Fatal)?;
        let dice = match setup.way {
            Way::Restless(seed) if setup.restless => Some(Dice::new(seed.wrapping_add(2000))),
            _ => None,
        };
        let wiring = Arc::new(wiring);
        let stage = Stage {
            orders: Arc::new(Orders::only(wiring.clone())),
            declared: vec![declared(&wiring)],
            layout: Arc::new(Layout::new(config, setup.partitions)),
            metrics: Arc::new(Metrics::of(config)),
            wiring,
            setup,
            cluster,
            clock,
            script: Script::default(),
            board: Arc::default(),
            life: None,
            dice,
            player: None,
            fatal: None,
        };
        stage.let_loose();
        Ok(stage)
    }

    /// Another stage, where the same inputs come again from their start, with the journal: it must give the same. `change`:
    /// of the pipeline's file.
    pub fn replay(&self, change: impl FnOnce(&mut Config)) -> Result<Stage> {
        let mut setup = Setup {
            way: Way::Burst,
            disk: None,
            ..self.setup.clone()
        };
        change(&mut setup.config);
        let mut stage = Stage::idle(setup, self.clock.wall())?;
        // What took over when stands in the journal.
        stage.orders = self.orders.clone();
        let journal = self.setup.config.journal_topic();
        let inputs = self.setup.config.inputs.iter().map(|input| &input.topic);
        for topic in inputs.chain([&journal]) {
            for partition in 0..self.setup.partitions {
                for record in self.committed(topic, partition)? {
                    stage.append(topic, partition, &record)?;
                }
            }
        }
        stage.start()?;
        stage.settle()?;
        Ok(stage)
    }

    /// A record comes into any topic, outside of any transaction.
    pub fn append(&self, topic: &str, partition: Partition, record: &Owned) -> Result<Offset> {
        let headers = record.headers.iter();
        let headers: Vec<(&[u8], &[u8])> = headers
            .map(|(name, value)| (name.as_bytes(), value.as_slice()))
            .collect();
        let record = Record {
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            timestamp: record.timestamp,
            headers: &headers,
        };
        self.cluster.append(topic, partition, record)
    }

    /// Event time of every input comes to `at`, by heartbeats, as silence brings it: what is before it is final, and done.
    pub fn beat(&mut self, at: Millis) -> Result<()> {
        // A heartbeat stands behind everything that was read.
        self.settle()?;
        for _ in 0..RESTLESS {
            if self.status().iter().all(|task| task.watermark >= at) {
                return Ok(());
            }
            let now = self.now();
            self.worker()?.advance_event_time(at, now);
            self.settle()?;
        }
        Err(Failure::Fatal("event time does not move".into()))
    }

    /// Nothing comes for so long, by the clock.
    pub fn advance(&mut self, by: Duration) -> Result<()> {
        let end = self.clock.now() + by;
        while self.clock.now() < end {
            let step = Duration::from_millis(500).min(end - self.clock.now());
            self.clock.advance(step);
            self.turn()?;
        }
        self.settle()
    }

    /// All that can be done is done, and committed. Err: the instance has ended, why; it is gone.
    pub fn settle(&mut self) -> Result<()> {
        let mut quiet = 0;
        for _ in 0..RESTLESS {
            if self.dies() {
                self.crash();
                self.start()?;
                quiet = 0;
            }
            self.clock.advance(TURN);
            quiet = if self.turn()? { 0 } else { quiet + 1 };
            if quiet > AT_REST {
                return Ok(());
            }
        }
        Err(Failure::Fatal(
            "the pipeline never comes to rest: do the rules set a timer again and again, for a time that is past?"
                .into(),
        ))
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

    /// The process dies after so many turns more, and is started again; `again`: so often.
    pub fn crash_after(&mut self, turns: u32, again: bool) {
        self.fatal = Some((turns, again.then_some(turns)));
    }

    /// The script of the external services.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// The log.
    pub fn cluster(&self) -> &Embedded {
        &self.cluster
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What is on it.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The rules that run, or come with the next start.
    pub fn wiring(&self) -> &Wiring {
        &self.wiring
    }

    /// True where processes die and outcomes are never told: then numbers, which are of a process, are not exact.
    pub fn is_restless(&self) -> bool {
        self.dice.is_some()
    }
}
