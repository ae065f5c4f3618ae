//! Runs a stage: until it is at rest, or for some time.

use super::setup::{Setup, Way};
use super::stage::Stage;
use crate::config::Config;
use crate::error::{Failure, Result};
use crate::record::{Millis, Partition};
use std::time::Duration;

/// How far each turn moves the clock.
pub(super) const TURN: Duration = Duration::from_millis(10);

/// The stage is at rest after this many turns in which nothing happens. An epoch is committed after five of them, and
/// its outcome is known a few turns later.
const AT_REST: u32 = 16;

/// More turns than any scenario takes.
const RESTLESS: u32 = 100_000;

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
        stage.deployed.schedule = self.deployed.schedule.clone();
        let journal = self.setup.config.journal_topic();
        let inputs = self.setup.config.inputs.iter().map(|input| &input.topic);
        for topic in inputs.chain([&journal]) {
            for partition in Partition::all(self.setup.topics.partitions) {
                for record in self.committed(topic, partition)? {
                    stage.append(topic, partition, &record)?;
                }
            }
        }
        stage.start()?;
        stage.settle()?;
        Ok(stage)
    }

    /// Advances the event time of every input to `at`, by heartbeats, as if the inputs were idle. Everything before it
    /// is then final and processed.
    pub fn advance_event_time(&mut self, at: Millis) -> Result<()> {
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
}
