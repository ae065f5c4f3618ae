//! The schedule: which version of the rules takes over when, as far as the control topic says.
//!
//! Rule: it is an immutable value. Each change makes another one, and a task looks at it only between two steps.

use crate::binding::Wiring;
use crate::deploy::protocol::{Committed, Withdrawn};
use crate::record::{Millis, NEVER, Number, VersionId};
use crate::shadow::Trial;
use crate::state::meta::Meta;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What the tasks of an instance must do.
#[derive(Clone, Default)]
pub struct RulesSchedule {
    /// All committed deploys, by number.
    pub committed: Vec<Committed>,
    /// All withdrawn deploys.
    pub withdrawn: Vec<Withdrawn>,
    /// Deploys whose tasks stop when the rules exceed a budget.
    pub stops: BTreeSet<Number>,
    /// Every deploy up to this one is decided.
    pub decided: Number,
    /// The deploy that tasks must hold for, if any.
    pub prepare: Option<Prepare>,
    /// The compiled versions.
    pub wirings: BTreeMap<VersionId, Arc<Wiring>>,
    /// The shadow that runs beside the live rules, if any.
    pub shadow: Option<Arc<Trial>>,
}

/// A deploy that tasks must hold for. Its version is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prepare {
    /// Its number.
    pub number: Number,
    /// Its version.
    pub version: VersionId,
    /// The time from which to hold. Without one, each task holds where it is when the deploy is decided.
    pub at: Option<Millis>,
    /// Whether pending timers and lookups that it does not declare go to the dead letters.
    pub drop_timers: bool,
}

impl RulesSchedule {
    /// A schedule with one version, from the beginning of time.
    pub fn only(wiring: Arc<Wiring>) -> RulesSchedule {
        let mut rules = RulesSchedule::default();
        rules.commit(NEVER, wiring);
        rules
    }

    /// Adds a committed deploy that takes over at this time.
    pub fn commit(&mut self, at: Millis, wiring: Arc<Wiring>) {
        self.decided += 1;
        let (number, version) = (self.decided, wiring.rules.version().0);
        self.committed.push(Committed { number, version, at });
        self.wirings.insert(version, wiring);
    }

    /// The deploy that a task opens with: that of its meta, or the first one if it has no meta. The error is a version
    /// that is not compiled here.
    pub fn opening(&self, meta: Option<&Meta>) -> Result<(Number, &Arc<Wiring>), VersionId> {
        let (number, version) = match (meta, self.committed.first()) {
            (Some(meta), _) => (meta.deployed, meta.version),
            (None, Some(first)) => (first.number, first.version),
            (None, None) => return Err([0; 32]),
        };
        let wiring = self.wirings.get(&version).ok_or(version)?;
        Ok((number, wiring))
    }

    /// Whether this version was ever deployed.
    pub fn knows(&self, version: VersionId) -> bool {
        let committed = self.committed.iter().map(|known| known.version);
        let withdrawn = self.withdrawn.iter().map(|known| known.version);
        committed.chain(withdrawn).any(|known| known == version)
    }
}
