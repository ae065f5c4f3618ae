//! Shadows on a stage.
//!
//! Rule: the shadow runs in the turns of the stage, so that every run is the same; or it is held, like one that can't
//! keep up.

use super::PreparedRules;
use super::stage::Stage;
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
            number: self.schedule.shadow.as_ref().map_or(1, |last| last.plan.number + 1),
            wiring: prepared.wiring,
            duration,
            instance: config.instance.clone(),
            layout: self.layout.clone(),
            inputs: config.inputs.clone(),
            schemas: self.setup.schemas.clone(),
        };
        let trial = Arc::new(Trial::new(plan, bounds));
        self.player = Some((Player::new(trial.clone()), false));
        let mut schedule = RulesSchedule::clone(&self.schedule);
        schedule.shadow = Some(trial);
        self.set_schedule(schedule);
    }

    /// Ends the shadow. Its results so far are kept.
    pub fn cancel_shadow(&mut self) {
        let mut schedule = RulesSchedule::clone(&self.schedule);
        schedule.shadow = None;
        self.set_schedule(schedule);
    }

    /// Holds the shadow, or lets it run again.
    pub fn hold_shadow(&mut self, held: bool) {
        if let Some((_, holds)) = &mut self.player {
            *holds = held;
        }
    }

    /// The results of the last shadow, by task.
    pub fn shadow_reports(&self) -> BTreeMap<Partition, ShadowReport> {
        let trial = self.player.as_ref().map(|(player, _)| player.trial());
        trial.map(|trial| trial.reports()).unwrap_or_default()
    }

    pub(super) fn set_schedule(&mut self, schedule: RulesSchedule) {
        self.schedule = Arc::new(schedule);
        self.view.fix(self.schedule.clone());
        if let Some(life) = &mut self.life {
            life.seat(0).worker_mut().set_schedule(self.schedule.clone());
        }
    }

    pub(super) fn play(&mut self) -> bool {
        match &mut self.player {
            Some((player, false)) => player.play(),
            _ => false,
        }
    }
}
