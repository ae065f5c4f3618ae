//! Tracks how far a task has come in its total order of steps.
//!
//! Invariant: the last step never goes back within an epoch. A journaled input comes right after the last step, and its
//! name is its number after that step.

use crate::record::{Millis, StepKey};
use crate::state::meta::Meta;

/// The last step, and how many journaled inputs have come after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    last: StepKey,
    /// The number of journaled inputs (replies, take-overs) that have come after the last step.
    sequence: u64,
}

impl Progress {
    /// The progress that is committed.
    pub fn committed(meta: &Meta) -> Progress {
        Progress {
            last: meta.last.clone(),
            sequence: meta.sequence,
        }
    }

    /// The last step.
    #[inline]
    pub fn last(&self) -> &StepKey {
        &self.last
    }

    /// The number of journaled inputs after the last step.
    #[inline]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The time of the last step; [`NEVER`](crate::record::NEVER) before the first.
    #[inline]
    pub fn time(&self) -> Millis {
        self.last.time()
    }

    /// A record or a timer becomes the last step.
    #[inline]
    pub fn step(&mut self, step: StepKey) {
        *self = Progress {
            last: step,
            sequence: 0,
        };
    }

    /// A journaled input was taken.
    pub fn journaled(&mut self) {
        self.sequence += 1;
    }
}
