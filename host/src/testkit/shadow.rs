//! Shadows on a stage.
//!
//! Rule: the shadow runs in the turns of the stage, so that every run is the same; or it is held, like one that can't
//! keep up.

use super::PreparedRules;
use super::stage::{Stage, StagedShadow};
use crate::deploy::RulesSchedule;
use crate::record::{Millis, Partition};
use crate::shadow::{Plan, Player, ShadowLimits, ShadowReport, Trial};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Stage {
    /// Runs these rules as a shadow in every task, for this long in the task's event time. Replaces an earlier shadow.
    pub fn shadow(&mut self, prepared: PreparedRules, duration: Millis, bounds: ShadowLimits) {
        let config = &self.setup.config;
        let plan = Plan {
            number: self
                .deployed
                .schedule
                .shadow
                .as_ref()
                .map_or(1, |last| last.plan.number + 1),
            wiring: prepared.wiring,
            duration,
            instance: config.instance.clone(),
            layout: self.layout.clone(),
            inputs: config.inputs.clone(),
            schemas: self.setup.schemas.clone(),
        };
        let trial = Arc::new(Trial::new(plan, bounds));
        self.shadow = StagedShadow {
            player: Some(Player::new(trial.clone())),
            held: false,
        };
        let mut schedule = RulesSchedule::clone(&self.deployed.schedule);
        schedule.shadow = Some(trial);
        self.set_schedule(schedule);
    }

    /// Ends the shadow. Its results so far are kept.
    pub fn cancel_shadow(&mut self) {
        let mut schedule = RulesSchedule::clone(&self.deployed.schedule);
        schedule.shadow = None;
        self.set_schedule(schedule);
    }

    /// Holds the shadow, or lets it run again.
    pub fn hold_shadow(&mut self, held: bool) {
        self.shadow.held = held;
    }

    /// The results of the last shadow, by task.
    pub fn shadow_reports(&self) -> BTreeMap<Partition, ShadowReport> {
        let trial = self.shadow.player.as_ref().map(Player::trial);
        trial.map(|trial| trial.reports()).unwrap_or_default()
    }

    pub(super) fn set_schedule(&mut self, schedule: RulesSchedule) {
        self.deployed.schedule = Arc::new(schedule);
        self.view.fix(self.deployed.schedule.clone());
        if let Some(life) = &mut self.life {
            life.runner(0).worker_mut().set_schedule(self.deployed.schedule.clone());
        }
    }

    pub(super) fn play(&mut self) -> bool {
        let StagedShadow { player, held } = &mut self.shadow;
        !*held && player.as_mut().is_some_and(Player::play)
    }
}
