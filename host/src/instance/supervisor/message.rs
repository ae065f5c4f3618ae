//! What the supervisor is told, and what it wants done.

use crate::error::{Failure, Result};
use crate::instance::member::{self, Heard};
use crate::instance::seat::{Claim, Command};
use crate::record::{Offset, Partition};
use crate::task::Task;
use std::time::Duration;

/// What the supervisor is told.
pub enum Event {
    /// The group has something to say.
    Group(Heard),
    /// Workers have closed tasks.
    Closed(Vec<Claim>),
    /// A restore has ended.
    Restored(Claim, Result<Box<Task>>),
    /// A restore has read so much of its changelog, from 0 to 1, and waits for something.
    Restores(Claim, f64, Option<String>),
    /// The changelog of a task is not needed before this offset.
    Truncate(Partition, Offset),
    /// Somebody can't go on, and neither can the instance.
    Failed(Failure),
    /// The process was told to stop.
    Stop,
}

/// What the supervisor wants done.
pub enum Request {
    /// Tell the worker of this number.
    Worker(usize, Command),
    /// Restore this partition; [`Event::Restored`] answers.
    Restore(Claim),
    /// This restore is not wanted any more.
    Abandon(Claim),
    /// Ask the group.
    Member(member::Request),
    /// Cut the changelog of a task. If that fails, the next round of its sweep asks again.
    Truncate(Partition, Offset),
}

/// What a step comes to.
pub struct Step {
    /// To be done, in this order.
    pub requests: Vec<Request>,
    /// The next step is due after this, or when something has happened.
    pub next: Duration,
    /// Everything is over: it has left the group, or why it can't go on.
    pub ended: Option<Result<()>>,
}
