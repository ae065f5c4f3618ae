//! How long an instance has waited for its workers to close tasks, counted independently of the instance.
//!
//! Rule: an instance ends when it has waited until its deadline, and never ends sooner for that reason. Only the time
//! in which it ran counts.

use anyhow::{Result, anyhow, bail};
use pelton::error::Failure;
use pelton::instance::command::Claim;
use pelton::instance::supervisor::{CLOSE_DEADLINE, MAX_STEP, STOP_DEADLINE};
use pelton::record::Stay;
use std::collections::BTreeMap;
use std::time::Duration;

/// The waiting times of one instance.
#[derive(Clone, Debug, Default)]
pub struct Patience {
    last: Duration,
    ran: Duration,
    /// The stays that it waits for, and since when.
    since: BTreeMap<Stay, Duration>,
    /// When it was told to stop. `None` as well if it was fenced: then it closes its tasks for that reason.
    stops: Option<Duration>,
    fenced: bool,
}

impl Patience {
    /// Notes a step of its supervisor, which now waits for these stays.
    pub fn step(&mut self, now: Duration, awaits: &[Claim]) {
        self.ran += (now - self.last).min(MAX_STEP);
        self.last = now;
        let awaits: Vec<_> = awaits.iter().map(|claim| claim.stay).collect();
        self.since.retain(|stay, _| awaits.contains(stay));
        for stay in awaits {
            self.since.entry(stay).or_insert(self.ran);
        }
    }

    /// The process starts again.
    pub fn forget(&mut self) {
        self.since.clear();
        (self.stops, self.fenced) = (None, false);
    }

    /// It is told to stop.
    pub fn stop(&mut self) {
        self.stops = self.stops.or(Some(self.ran)).filter(|_| !self.fenced);
    }

    /// It is fenced.
    pub fn fence(&mut self) {
        (self.stops, self.fenced) = (None, true);
    }

    /// Judges whether it may continue, or may have ended with this failure. Returns true if it ended because it waited
    /// too long.
    pub fn judge(&self, ended: Option<&Failure>) -> Result<bool> {
        let since = self.since.values().min().copied().unwrap_or(self.ran);
        let waited = self.ran - since;
        let stops = self.stops.map_or(Duration::ZERO, |stops| self.ran - stops.max(since));
        let why = ended.map(Failure::to_string).unwrap_or_default();
        let deadline = match &why {
            why if why.contains("were not closed within") => CLOSE_DEADLINE,
            why if why.contains("told to stop, but") => STOP_DEADLINE,
            // Its end is noticed one step later at most.
            _ if waited > CLOSE_DEADLINE + MAX_STEP || stops > STOP_DEADLINE + MAX_STEP => {
                bail!(
                    "an instance has waited for its workers for {waited:?}, {stops:?} of it since it was told to stop, and \
                     waits on"
                );
            }
            _ => return Ok(false),
        };
        match waited < deadline {
            true => Err(anyhow!("an instance has waited for {waited:?} only, and ends: {why}")),
            false => Ok(true),
        }
    }
}
