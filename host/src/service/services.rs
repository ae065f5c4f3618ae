//! Questions to external services, and their replies.
//!
//! Rule: asking never blocks. Each question gets one reply, unless its task forgets it.

use crate::record::Partition;

/// Identifies a pending lookup of a task (see `lookups::id`).
pub type LookupId = Box<[u8]>;

/// A call to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceCall {
    /// The task that asks.
    pub task: Partition,
    /// Id of the lookup, which the reply contains too.
    pub id: LookupId,
    /// Index of the service in the config.
    pub service: u16,
    /// The rendered request: a URL.
    pub request: Vec<u8>,
}

/// How a call ended, after all retries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The body, not decoded.
    Body(Vec<u8>),
    /// The service answered that there is nothing.
    Absent,
    /// There was no answer.
    Unavailable,
}

/// The end of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceReply {
    /// The task that asked.
    pub task: Partition,
    /// Id of the question.
    pub id: LookupId,
    /// How it ended.
    pub answer: Answer,
}

/// The external services of a pipeline, as one worker sees them.
pub trait Services: Send {
    /// Takes a question, and calls the service when a call is allowed. Never blocks.
    fn ask(&mut self, question: ServiceCall);
    /// Appends the replies that have arrived.
    fn replies(&mut self, into: &mut Vec<ServiceReply>);
    /// Forgets all questions of this task, because it is closed or starts over. Replies may still arrive; the task
    /// drops them because their ids are unknown.
    fn forget(&mut self, task: Partition);
}
