//! The state of the membership in the group.
//!
//! Rule: this file only keeps it. [`membership`](super::membership) decides how one phase leads to the next.

use crate::error::Result;
use crate::instance::worker_runner::LOG_EVERY;
use std::time::Duration;

/// The membership in the group.
pub struct MembershipState {
    pub phase: MembershipPhase,
    pub number: u64,
    /// The assignment counter, as of the last reported change.
    pub assignment: u64,
    /// When it was last fenced.
    pub fenced: Option<Duration>,
    /// When it was last logged that no broker answers.
    pub said_away: Option<Duration>,
    /// When it was last logged which tasks restore.
    pub said_restores: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MembershipPhase {
    /// It is a member, or becomes one.
    Member,
    /// It was fenced and leaves. When it has left and everything is closed, it joins again.
    Leaving {
        left: bool,
    },
    /// It joins again.
    Joining,
    /// Everything is closed, and it leaves because it was told to stop.
    Going,
    Ended(Result<()>),
}

/// Whether it is time to log something again. If so, notes that it is logged now.
pub fn is_due(logged: &mut Option<Duration>, now: Duration) -> bool {
    let due = logged.is_none_or(|at| now.saturating_sub(at) >= LOG_EVERY);
    if due {
        *logged = Some(now);
    }
    due
}
