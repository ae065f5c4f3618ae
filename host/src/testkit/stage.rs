//! A pipeline under test: everything except a running instance.

use super::script::Script;
use super::setup::{Dice, Setup, Way};
use crate::binding::{Layout, Wiring};
use crate::deploy::RulesSchedule;
use crate::deploy::compile::declared;
use crate::deploy::protocol::Declarations;
use crate::deploy::view::DeployView;
use crate::error::{Failure, Result};
use crate::instance::driven::DrivenInstance;
use crate::log::embedded::{Clock, Embedded, NewRecord, Owned};
use crate::metrics::Metrics;
use crate::record::{Millis, Offset, Partition};
use crate::shadow::Player;
use std::sync::Arc;

/// A pipeline under test. Its methods don't panic: what should be impossible is a [`Failure::Fatal`] that says why.
pub struct Stage {
    pub(super) setup: Setup,
    pub(super) cluster: Embedded,
    pub(super) clock: Clock,
    pub(super) layout: Arc<Layout>,
    pub(super) deployed: StagedDeploys,
    pub(super) metrics: Arc<Metrics>,
    pub(super) script: Script,
    /// Shared data that its tasks need to open.
    pub(super) view: Arc<DeployView>,
    pub(super) life: Option<DrivenInstance>,
    pub(super) dice: Option<Dice>,
    pub(super) shadow: StagedShadow,
    /// When the process crashes.
    pub(super) crash: Option<PlannedCrash>,
}

/// Everything that was deployed.
pub(super) struct StagedDeploys {
    /// The version that runs.
    pub wiring: Arc<Wiring>,
    pub schedule: Arc<RulesSchedule>,
    /// What each version has declared.
    pub declared: Vec<Arc<Declarations>>,
}

/// The shadow of a stage.
#[derive(Default)]
pub(super) struct StagedShadow {
    pub player: Option<Player>,
    /// Whether it gets no turns, like one that can't keep up.
    pub held: bool,
}

/// A crash that is to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlannedCrash {
    /// Turns until then.
    pub turns: u32,
    /// Turns between it and the next crash, and so on. `None` if it is the only one.
    pub every: Option<u32>,
}

impl Stage {
    /// Everything except a running instance.
    pub(super) fn idle(setup: Setup, wall: Millis) -> Result<Stage> {
        let clock = Clock::manual(wall);
        let cluster = Embedded::new(&setup.cluster, clock.clone());
        let config = &setup.config;
        let stamped: &[_] = match setup.topics.append_time {
            true => &[("message.timestamp.type", "LogAppendTime")],
            false => &[],
        };
        for input in &config.inputs {
            cluster.create_topic(&input.topic, setup.topics.partitions, stamped)?;
        }
        for output in &config.outputs {
            cluster.create_topic(&output.topic, setup.topics.output_partitions, &[])?;
        }
        for owned in config.owned_topics(setup.topics.partitions) {
            cluster.create_topic(&owned.name, owned.partitions, &[])?;
        }
        let wiring = setup
            .wire(&setup.component, &config.rules.settings)
            .map_err(|why| Failure::Fatal(why.to_string()))?;
        let dice = match setup.way {
            Way::Restless(seed) if setup.restless => Some(Dice::new(seed.wrapping_add(2000))),
            _ => None,
        };
        let wiring = Arc::new(wiring);
        let stage = Stage {
            deployed: StagedDeploys {
                schedule: Arc::new(RulesSchedule::only(wiring.clone())),
                declared: vec![declared(&wiring)],
                wiring,
            },
            layout: Arc::new(Layout::new(config, setup.topics.partitions)),
            metrics: Arc::new(Metrics::of(config)),
            setup,
            cluster,
            clock,
            script: Script::default(),
            view: Arc::default(),
            life: None,
            dice,
            shadow: StagedShadow::default(),
            crash: None,
        };
        stage.setup.let_loose(&stage.cluster);
        Ok(stage)
    }

    /// Appends a record to any topic, outside of any transaction.
    pub fn append(&self, topic: &str, partition: Partition, record: &Owned) -> Result<Offset> {
        let headers = record.headers.iter();
        let headers: Vec<(&[u8], &[u8])> = headers
            .map(|(name, value)| (name.as_bytes(), value.as_slice()))
            .collect();
        let record = NewRecord {
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            timestamp: record.timestamp,
            headers: &headers,
        };
        self.cluster.append(topic, partition, record)
    }

    /// Lets the process crash and restart once, after this many more turns.
    pub fn crash_after(&mut self, turns: u32) {
        self.crash = Some(PlannedCrash { turns, every: None });
    }

    /// Lets the process crash and restart each time after this many turns.
    pub fn crash_every(&mut self, turns: u32) {
        let every = Some(turns);
        self.crash = Some(PlannedCrash { turns, every });
    }

    pub(super) fn dies(&mut self) -> bool {
        let by_chance = self.dice.as_mut().is_some_and(|dice| dice.below(64) == 0);
        let Some(crash) = &mut self.crash else {
            return by_chance;
        };
        if crash.turns > 0 {
            crash.turns -= 1;
            return by_chance;
        }
        let every = crash.every;
        self.crash = every.map(|turns| PlannedCrash { turns, every });
        true
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
        &self.deployed.wiring
    }

    /// Whether processes crash and outcomes get lost. Then counters are not exact, because they belong to a process.
    pub fn is_restless(&self) -> bool {
        self.dice.is_some()
    }
}
