//! A pipeline that a test drives by hand: the real worker and the real component on the log in memory, with a clock
//! that the test moves.
//!
//! Rule: it has one thread, never sleeps, and takes chance only from a seed. Only the clock, the log and the external
//! services are replaced. A scenario must have the same results in every [`Way`] to run it.
//!
//! [`Stage`] is a pipeline that speaks bytes. [`Scenario`] speaks JSON and times since the start, with the schemas of
//! the rules. [`file`](mod@file) reads scenarios from files, and [`play`] runs them in every way. The crate
//! `pelton-testkit` offers scenarios to tests in Rust.

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
use crate::deploy::RulesSchedule;
use crate::deploy::compile::declared;
use crate::deploy::protocol::Declared;
use crate::deploy::view::DeployView;
use crate::error::{Failure, Result};
use crate::instance::driven::Instance;
use crate::log::embedded::{Clock, Embedded, Owned, Record};
use crate::metrics::Metrics;
use crate::record::{Millis, Offset, Partition};
use crate::shadow::Player;
use std::sync::Arc;
use std::time::Duration;

/// How far each turn moves the clock.
const TURN: Duration = Duration::from_millis(10);

/// The stage is at rest after this many turns in which nothing happens. An epoch is committed after five of them, and
/// its outcome is known a few turns later.
const AT_REST: u32 = 16;

/// More turns than any scenario takes.
const RESTLESS: u32 = 100_000;

/// A pipeline under test. Its methods don't panic: what should be impossible is a [`Failure::Fatal`] that says why.
pub struct Stage {
    setup: Setup,
    cluster: Embedded,
    clock: Clock,
    layout: Arc<Layout>,
    wiring: Arc<Wiring>,
    /// Everything that was deployed: the versions, and what each one has declared.
    schedule: Arc<RulesSchedule>,
    declared: Vec<Arc<Declared>>,
    metrics: Arc<Metrics>,
    script: Script,
    /// Shared data that its tasks need to open.
    view: Arc<DeployView>,
    life: Option<Instance>,
    dice: Option<Dice>,
    /// Runs the shadow, unless the flag says that it is held.
    player: Option<(Player, bool)>,
    /// The process crashes after this many turns; and, if there is a second number, again and again after that many
    /// more.
    fatal: Option<(u32, Option<u32>)>,
}

impl Stage {
    /// Creates the topics and starts the instance. Fails if the rules don't fit the pipeline.
    pub fn new(setup: Setup) -> Result<Stage> {
        let start = setup.start;
        Stage::at(setup, start)
    }

    fn at(setup: Setup, wall: Millis) -> Result<Stage> {
        let mut stage = Stage::idle(setup, wall)?;
        stage.start()?;
        Ok(stage)
    }

    /// Everything except a running instance.
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
            schedule: Arc::new(RulesSchedule::only(wiring.clone())),
            declared: vec![declared(&wiring)],
            layout: Arc::new(Layout::new(config, setup.partitions)),
            metrics: Arc::new(Metrics::of(config)),
            wiring,
            setup,
            cluster,
            clock,
            script: Script::default(),
            view: Arc::default(),
            life: None,
            dice,
            player: None,
            fatal: None,
        };
        stage.let_loose();
        Ok(stage)
    }

    /// Another stage that gets the same inputs and the same journal from the start. It must have the same results.
    /// `change` changes its configuration.
    pub fn replay(&self, change: impl FnOnce(&mut Config)) -> Result<Stage> {
        let mut setup = Setup {
            way: Way::Burst,
            disk: None,
            ..self.setup.clone()
        };
        change(&mut setup.config);
        let mut stage = Stage::idle(setup, self.clock.wall())?;
        // The journal says which version took over when.
        stage.schedule = self.schedule.clone();
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

    /// Appends a record to any topic, outside of any transaction.
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

    /// Advances the event time of every input to `at`, by heartbeats, as if the inputs were idle. Everything before it
    /// is then final and processed.
    pub fn beat(&mut self, at: Millis) -> Result<()> {
        // A heartbeat comes after everything that was read.
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

    /// Lets this much time pass by the clock, without records.
    pub fn advance(&mut self, by: Duration) -> Result<()> {
        let end = self.clock.now() + by;
        while self.clock.now() < end {
            let step = Duration::from_millis(500).min(end - self.clock.now());
            self.clock.advance(step);
            self.turn()?;
        }
        self.settle()
    }

    /// Runs until everything is processed and committed. Fails if the instance has ended; then it is gone.
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
            "the pipeline never comes to rest: do the rules set a timer for a past time again and again?".into(),
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

    /// Lets the process crash and restart after this many more turns; if `again`, repeatedly.
    pub fn crash_after(&mut self, turns: u32, again: bool) {
        self.fatal = Some((turns, again.then_some(turns)));
    }

    /// The script of the external services.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// The cluster in memory.
    pub fn cluster(&self) -> &Embedded {
        &self.cluster
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The setup that it was made with.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The rules that run, or that the next start will run.
    pub fn wiring(&self) -> &Wiring {
        &self.wiring
    }

    /// Whether processes crash and outcomes get lost. Then counters are not exact, because they belong to a process.
    pub fn is_restless(&self) -> bool {
        self.dice.is_some()
    }
}
