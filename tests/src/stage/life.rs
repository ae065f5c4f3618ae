//! The instance on the stage: started, stopped, killed, its rules swapped.
//!
//! Rule: what the testkit says can't be ends the test.

use super::{Millis, START, Stage, alive};
use pelton::config::Config;
use pelton::error::Failure;
use pelton::shadow::{Bounds, Report};
use pelton::worker::Worker;
use serde_json::Value;

impl Stage {
    /// Starts an instance, where none runs.
    pub fn start(&mut self) {
        alive(self.engine.start());
    }

    /// The process is killed: what is open is lost; of what its disk has not flushed, nothing survives.
    pub fn crash(&mut self) {
        self.engine.crash();
    }

    /// As [`crash`](Stage::crash); of `n` unflushed writes of its disk, the first `keep(n)` survive.
    pub fn crash_keeping(&mut self, keep: &mut dyn FnMut(usize) -> usize) {
        self.engine.crash_keeping(keep);
    }

    /// Stops it, as SIGTERM does, if it runs; and starts it.
    pub fn restart(&mut self) {
        self.stop();
        self.start();
        self.settle();
    }

    /// Stops it, as SIGTERM does: the open epoch is committed.
    pub fn stop(&mut self) {
        alive(self.engine.stop());
    }

    /// New rules, or new settings, for the running instance. Err: refused, why; the old ones run on.
    pub fn deploy(&mut self, component: &[u8], settings: Value) -> Result<(), String> {
        let prepared = self.engine.prepare(component, settings);
        alive(self.engine.activate(prepared.map_err(|why| why.to_string())?));
        Ok(())
    }

    /// As [`deploy`](Stage::deploy), from this event time on.
    pub fn deploy_at(&mut self, component: &[u8], settings: Value, at: Millis) -> Result<(), String> {
        let prepared = self.engine.prepare(component, settings);
        self.engine
            .activate_at(prepared.map_err(|why| why.to_string())?, START + at);
        Ok(())
    }

    /// As [`deploy`](Stage::deploy), but not decided yet: the tasks answer, and hold. Then it is, from a time on.
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

    /// Another file for the next start.
    pub fn reconfigure(&mut self, change: impl FnOnce(&mut Config)) {
        alive(self.engine.reconfigure(change));
    }

    /// The worker.
    pub fn worker(&mut self) -> &mut Worker {
        alive(self.engine.worker())
    }

    /// A turn of the supervisor, and one of the worker. True: something was done. Err: the instance has ended, why.
    pub fn turn(&mut self) -> Result<bool, Failure> {
        self.engine.turn()
    }
}

impl Stage {
    /// These rules run beside the live ones, for so long in event time. Err: refused, why.
    pub fn shadow(&mut self, component: &[u8], settings: Value, duration: Millis) -> Result<(), String> {
        self.shadow_within(component, settings, duration, Bounds::default())
    }

    /// As [`shadow`](Stage::shadow), with other bounds.
    pub fn shadow_within(
        &mut self,
        component: &[u8],
        settings: Value,
        duration: Millis,
        bounds: Bounds,
    ) -> Result<(), String> {
        let prepared = self.engine.prepare(component, settings);
        self.engine
            .shadow(prepared.map_err(|why| why.to_string())?, duration, bounds);
        Ok(())
    }

    /// It is over.
    pub fn cancel_shadow(&mut self) {
        self.engine.cancel_shadow();
    }

    /// From now on it gets no time, or gets it again.
    pub fn hold_shadow(&mut self, held: bool) {
        self.engine.hold_shadow(held);
    }

    /// What is seen of it in the first task.
    pub fn shadow_report(&self) -> Report {
        self.engine.shadow_reports().remove(&0).expect("it has begun")
    }

    /// Nobody dies but by the test's own hand.
    pub fn is_steady(&self) -> bool {
        !self.engine.is_restless()
    }
}
