//! The life of the instance on the stage: it is started, stopped, killed, and its rules are swapped.
//!
//! Rule: an error of the testkit ends the test.

use super::pipeline::{Stage, alive};
use super::time::{Millis, START};
use anyhow::Result;
use pelton::config::Config;
use pelton::error::Failure;
use pelton::record::Partition;
use pelton::shadow::{ShadowLimits, ShadowReport};
use pelton::worker::Worker;
use serde_json::Value;

impl Stage {
    /// Starts an instance. None may be running.
    pub fn start(&mut self) {
        alive(self.engine.start());
    }

    /// Kills the process. The open epoch is lost, and so is everything that its disk has not flushed.
    pub fn crash(&mut self) {
        self.engine.crash();
    }

    /// Like [`crash`](Stage::crash), but of `n` unflushed writes of its disk, the first `keep(n)` survive.
    pub fn crash_keeping(&mut self, keep: &mut dyn FnMut(usize) -> usize) {
        self.engine.crash_keeping(keep);
    }

    /// Stops the instance like SIGTERM, if it runs, and starts it again.
    pub fn restart(&mut self) {
        self.stop();
        self.start();
        self.settle();
    }

    /// Stops the instance like SIGTERM. The open epoch is committed.
    pub fn stop(&mut self) {
        alive(self.engine.stop());
    }

    /// Deploys new rules, or new settings. The error says why they are refused; then the old ones keep running.
    pub fn deploy(&mut self, component: &[u8], settings: Value) -> Result<()> {
        let prepared = self.engine.prepare(component, settings);
        alive(self.engine.activate(prepared?));
        Ok(())
    }

    /// Like [`deploy`](Stage::deploy), from this event time on.
    pub fn deploy_at(&mut self, component: &[u8], settings: Value, at: Millis) -> Result<()> {
        let prepared = self.engine.prepare(component, settings);
        self.engine.activate_at(prepared?, START + at);
        Ok(())
    }

    /// Like [`deploy`](Stage::deploy), but first the tasks only answer and hold. Then `decide` runs, and the deploy is
    /// committed for the time that it returns.
    pub fn deploy_late(&mut self, component: &[u8], settings: Value, decide: impl FnOnce(&mut Stage) -> Millis) {
        let prepared = alive(self.engine.prepare(component, settings));
        self.engine.hold(&prepared);
        self.settle();
        let at = decide(self);
        self.engine.activate_at(prepared, START + at);
        self.settle();
    }

    /// The settings of the rules.
    pub fn settings(&self) -> Value {
        self.engine.setup().config.rules.settings.clone()
    }

    /// Changes the file for the next start.
    pub fn reconfigure(&mut self, change: impl FnOnce(&mut Config)) {
        alive(self.engine.reconfigure(change));
    }

    /// The worker.
    pub fn worker(&mut self) -> &mut Worker {
        alive(self.engine.worker())
    }

    /// One turn of the supervisor, and one of the worker. Returns whether something was done. The error says why the
    /// instance has ended.
    pub fn turn(&mut self) -> Result<bool, Failure> {
        self.engine.turn()
    }
}

impl Stage {
    /// Runs these rules as a shadow of the live ones, for this long in event time. The error says why they are refused.
    pub fn shadow(&mut self, component: &[u8], settings: Value, duration: Millis) -> Result<()> {
        self.shadow_within(component, settings, duration, ShadowLimits::default())
    }

    /// Like [`shadow`](Stage::shadow), with other bounds.
    pub fn shadow_within(
        &mut self,
        component: &[u8],
        settings: Value,
        duration: Millis,
        bounds: ShadowLimits,
    ) -> Result<()> {
        let prepared = self.engine.prepare(component, settings);
        self.engine.shadow(prepared?, duration, bounds);
        Ok(())
    }

    /// Cancels the shadow.
    pub fn cancel_shadow(&mut self) {
        self.engine.cancel_shadow();
    }

    /// Stops giving the shadow time to run, or starts again.
    pub fn hold_shadow(&mut self, held: bool) {
        self.engine.hold_shadow(held);
    }

    /// The report about the shadow in the first task.
    pub fn shadow_report(&self) -> ShadowReport {
        self.engine
            .shadow_reports()
            .remove(&Partition(0))
            .expect("it has begun")
    }

    /// Whether only the test itself kills processes.
    pub fn is_steady(&self) -> bool {
        !self.engine.is_restless()
    }
}
