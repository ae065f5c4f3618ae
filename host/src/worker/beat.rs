//! Event time moved by hand, for scenarios.
//!
//! Rule: it moves as it does in silence: by heartbeats, which are journaled.

use super::{Now, Worker};
use crate::record::Millis;

impl Worker {
    /// Event time of every task comes to `time` by heartbeats, as silence brings it.
    pub fn beat(&mut self, time: Millis, now: Now) {
        for task in self.tasks.values_mut() {
            task.beat_to(time, now.wall, &mut self.epoch);
        }
        self.opened_now(now);
    }
}
