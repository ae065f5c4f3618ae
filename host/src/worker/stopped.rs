//! Deploys that are over a budget of theirs.
//!
//! Rule: no task takes another step by such a deploy until the control topic says what becomes of it. The open epoch is dropped,
//! as after one that failed, so that whoever comes instead does it again: few faults are committed, and with luck none.

use super::Worker;
use crate::control::Number;
use crate::task::{Orders, Status, Task};
use std::sync::Arc;

impl Worker {
    /// No more steps by this deploy.
    pub(super) fn stop(&mut self, deploy: Number, why: String) {
        tracing::error!(deploy, why, "the rules are over a budget: tasks take no step by them");
        self.stopped.insert(deploy, why);
        self.stale = true;
        if self.flight.is_none() {
            self.start_over();
        }
    }

    /// Its tasks follow these orders from the next turn on. What was withdrawn, or may go on, is stopped no more.
    pub fn order(&mut self, orders: Arc<Orders>) {
        self.telemetry.withdrawn(orders.withdrawn.len());
        self.stopped.retain(|deploy, _| orders.stops.contains(deploy));
        self.orders = orders;
    }

    /// How a task stands, and whether its rules are over a budget.
    pub(super) fn standing(&self, task: &Task) -> Status {
        let mut status = self.flushes.status(task);
        let stopped = self.stopped.get(&status.deployed).map(|why| (why.clone(), true));
        let guest = || {
            self.guests
                .iter()
                .find(|guest| Arc::ptr_eq(&guest.wiring, task.wiring()))
        };
        let over = || {
            guest()
                .filter(|guest| guest.faults.over())
                .map(|guest| (guest.faults.why(), false))
        };
        status.trouble = stopped.or_else(over);
        status
    }
}
