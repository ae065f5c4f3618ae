//! Events for the supervisor, and requests from it.

use crate::error::{Failure, Result};
use crate::instance::command::{Claim, Command};
use crate::instance::member::{self, GroupReport};
use crate::record::{Offset, Partition};
use crate::task::Task;
use std::time::Duration;

/// An event for the supervisor.
pub enum SupervisorEvent {
    /// The group reports something.
    Group(GroupReport),
    /// Workers have closed tasks.
    Closed(Vec<Claim>),
    /// A restore has ended.
    Restored(Claim, Result<Box<Task>>),
    /// A restore has read this much of its changelog, from 0 to 1, and may be waiting for something.
    Restores(Claim, f64, Option<String>),
    /// The changelog of a task is not needed before this offset.
    Truncate(Partition, Offset),
    /// A part can't go on, and so the instance can't either.
    Failed(Failure),
    /// The process was told to stop.
    Stop,
}

/// A request from the supervisor.
pub enum SupervisorRequest {
    /// Give this command to the worker with this number.
    Worker(usize, Command),
    /// Restore this partition. [`SupervisorEvent::Restored`] is the answer.
    Restore(Claim),
    /// This restore is not wanted any more.
    Abandon(Claim),
    /// Make this request to the group.
    Member(member::MemberRequest),
    /// Truncate the changelog of a task. If it fails, the next round of its sweep requests it again.
    Truncate(Partition, Offset),
}

/// The result of a step.
pub struct StepResult {
    /// Must be done in this order.
    pub requests: Vec<SupervisorRequest>,
    /// The next step is due after this time, or when there is an event.
    pub next: Duration,
    /// If everything is over: it has left the group, or why it can't go on.
    pub ended: Option<Result<()>>,
}
