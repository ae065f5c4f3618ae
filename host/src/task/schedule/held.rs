//! Why a task does not hold for a deploy.

use crate::record::Millis;
use crate::state::Unknown;
use thiserror::Error;

/// Why a task may not hold for a deploy.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CantHold {
    /// Its steps follow what it did before.
    #[error("it is still following its journal; deploy again when it has reached the end")]
    FollowsJournal,
    /// The deploy should take over at a time that the task has passed.
    #[error("it has come to {last} already, which is not before {at}; name a later time, or none")]
    Passed {
        /// The time of its last step.
        last: Millis,
        /// When the deploy should take over.
        at: Millis,
    },
    /// The version does not know something that is pending.
    #[error("{0}; declare it, wait until none is pending, or deploy with --drop-timers")]
    Pending(#[from] Unknown),
}
