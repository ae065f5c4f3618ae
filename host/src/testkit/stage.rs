//! A pipeline under test: everything except a running instance.

use super::script::Script;
use super::setup::{Dice, Setup, Way};
use crate::binding::{Layout, Wiring};
use crate::deploy::RulesSchedule;
use crate::deploy::compile::declared;
use crate::deploy::protocol::Declared;
use crate::deploy::view::DeployView;
use crate::error::{Failure, Result};
use crate::instance::driven::DrivenInstance;
use crate::log::embedded::{Clock, Embedded, Owned, Record};
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
    pub(super) wiring: Arc<Wiring>,
    /// Everything that was deployed: the versions, and what each one has declared.
    pub(super) schedule: Arc<RulesSchedule>,
    pub(super) declared: Vec<Arc<Declared>>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) script: Script,
    /// Shared data that its tasks need to open.
    pub(super) view: Arc<DeployView>,
    pub(super) life: Option<DrivenInstance>,
    pub(super) dice: Option<Dice>,
    /// Runs the shadow, unless the flag says that it is held.
    pub(super) player: Option<(Player, bool)>,
    /// The process crashes after this many turns; and, if there is a second number, again and again after that many
    /// more.
    pub(super) fatal: Option<(u32, Option<u32>)>,
}

impl Stage {
    /// Everything except a running instance.
    pub(super) fn idle(setup: Setup, wall: Millis) -> Result<Stage> {
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
            .map_err(|why| Failure::Fatal(why.to_string()))?;
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
        stage.setup.let_loose(&stage.cluster);
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

    /// Lets the process crash and restart after this many more turns; if `again`, repeatedly.
    pub fn crash_after(&mut self, turns: u32, again: bool) {
        self.fatal = Some((turns, again.then_some(turns)));
    }

    pub(super) fn dies(&mut self) -> bool {
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
