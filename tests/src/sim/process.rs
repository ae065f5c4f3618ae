//! A place where an instance runs again and again, with what outlives it: its disk, and how fast the place is.

use super::instance::Life;
use super::mortal::Fuse;
use super::patience::Patience;
use super::versions::Bench;
use anyhow::{Result, anyhow};
use pelton::instance::command::Claim;
use pelton::record::Offset;
use pelton::store::memory::Disk;
use std::collections::BTreeMap;
use std::time::Duration;

/// A place where an instance runs again and again.
pub(super) struct Process {
    pub name: String,
    pub workers: usize,
    pub workers_ever: usize,
    pub disk: Option<Disk>,
    /// The version in its file.
    pub file: usize,
    /// How often a compilation gets its turn when it could.
    pub compiles: f64,
    /// How often the thread of its control topic gets its turn when it could.
    pub carries: f64,
    /// How often its supervisor gets its turn when it could.
    pub supervises: f64,
    /// How often the thread that cuts changelogs gets its turn when it could.
    pub cuts: f64,
    pub bench: Bench,
    /// Decides when it dies in a call.
    pub fuse: Fuse,
    pub life: Option<Life>,
    pub frozen_until: Duration,
    /// By worker.
    pub stuck_until: [Duration; 2],
    /// Restores whose question is not answered before this time.
    pub hung: BTreeMap<Claim, Duration>,
    pub patience: Patience,
    /// By rank and partition: where the inputs ended when it started.
    pub ends: Vec<Vec<Offset>>,
}

impl Process {
    /// The number of current restores.
    pub fn restores(&self) -> usize {
        self.life.as_ref().map_or(0, |life| life.instance.restores())
    }

    /// Whether a restore still waits for the answer to a question.
    pub fn is_hung(&self, index: usize, now: Duration) -> bool {
        let claim = self.life.as_ref().map(|life| life.instance.restoring(index).0);
        let until = claim.and_then(|claim| self.hung.get(&claim));
        until.is_some_and(|until| *until > now)
    }

    /// Moves a restore on. Returns false if it can only wait. Nothing of a task that is open may change on the disk.
    pub fn restore(&mut self, index: usize) -> Result<bool> {
        let Some(life) = &mut self.life else { return Ok(false) };
        let (claim, _) = life.instance.restoring(index);
        let records = || self.disk.as_ref().map(|disk| disk.records(claim.partition));
        let (before, open) = (records(), life.instance.task(claim.partition).is_some());
        let goes_on = life.instance.restore(index);
        match open && records() != before {
            true => Err(anyhow!(
                "the restore for {claim:?} has changed what is stored of a task that is open"
            )),
            false => Ok(goes_on),
        }
    }
}
