//! Take-overs, and the deploy that each step belongs to.

use super::parameters::Deployed;
use super::step::{Millis, StepKey};

/// A take-over in a task's journal: from here on, the rules of this deploy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Takeover {
    /// The step that it comes right after. `None` if it comes before the first step.
    pub behind: Option<StepKey>,
    /// Which deploy.
    pub number: u64,
}

/// The deploy that a step of this time belongs to, if none was withdrawn. Without any, it is the first deploy.
fn of(deploys: &[Deployed], time: Millis) -> u64 {
    let not_after = deploys.iter().filter(|deploy| deploy.at <= time);
    not_after.map(|deploy| deploy.number).max().unwrap_or(1)
}

/// The deploy that a step belongs to. Only its journal says where a task learned of a withdrawal.
pub(super) fn of_step(takeovers: &[Takeover], deploys: &[Deployed], step: &StepKey) -> u64 {
    if deploys.iter().all(|deploy| deploy.withdrawn.is_none()) {
        return of(deploys, step.time);
    }
    let before = |takeover: &&Takeover| takeover.behind.as_ref().is_none_or(|behind| behind < step);
    let last = takeovers.iter().take_while(before).last();
    last.map_or(1, |takeover| takeover.number)
}
