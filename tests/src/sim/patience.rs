//! How long an instance has waited for its workers to close tasks, by the world's own count.
//!
//! Rule: an instance that has waited for as long as its deadline ends; and none ends for that reason sooner. Only time in which
//! it ran counts.

use super::world::Wrong;
use pelton::error::Failure;
use pelton::instance::supervisor::{CLOSE_DEADLINE, STOP_DEADLINE, STRIDE};
use pelton::record::Stay;
use std::collections::BTreeMap;
use std::time::Duration;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Patience {
    last: Duration,
    ran: Duration,
    /// For whom it waits, and since when.
    since: BTreeMap<Stay, Duration>,
}

impl Patience {
    /// A step of its supervisor, which now waits for these.
    pub fn step(&mut self, now: Duration, awaits: &[Stay]) {
        self.ran += (now - self.last).min(STRIDE);
        self.last = now;
        self.since.retain(|stay, _| awaits.contains(stay));
        for stay in awaits {
            self.since.entry(*stay).or_insert(self.ran);
        }
    }

    /// The process begins again.
    pub fn forget(&mut self) {
        self.since.clear();
    }

    /// Whether it may go on, or may end for this reason. True: it ended because it has waited in vain.
    pub fn judge(&self, ended: Option<&Failure>) -> Result<bool, Wrong> {
        let waited = self
            .since
            .values()
            .min()
            .map_or(Duration::ZERO, |since| self.ran - *since);
        let why = ended.map(Failure::to_string).unwrap_or_default();
        let deadline = match &why {
            why if why.contains("were not closed within") => CLOSE_DEADLINE,
            why if why.contains("told to stop, but") => STOP_DEADLINE,
            // One more step may pass before it is looked at.
            _ if waited > CLOSE_DEADLINE + STRIDE => {
                return Err(format!(
                    "an instance has waited for its workers for {waited:?}, and waits on"
                ));
            }
            _ => return Ok(false),
        };
        match waited < deadline {
            true => Err(format!("an instance has waited for {waited:?} only, and ends: {why}")),
            false => Ok(true),
        }
    }
}
