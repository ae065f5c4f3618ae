//! The port to external services: asked by URL, answered later, never waited for.
//!
//! Calls are at-least-once; the task makes the effect of a reply exactly-once (through the journal). Two implementations:
//! `http` (tokio) and the simulator's scripted one.

pub mod http;

use crate::record::Partition;

/// Identifies a pending lookup of a task: the asking step and an index (see `lookups`).
pub type LookupId = Box<[u8]>;

/// A call to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The task that asks.
    pub task: Partition,
    /// Comes back with the reply.
    pub id: LookupId,
    /// Index of the service in the config.
    pub service: u16,
    /// The rendered request: a URL.
    pub request: Vec<u8>,
}

/// How a call ended; all retries are behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The body as it came; not decoded.
    Body(Vec<u8>),
    /// The service says that there is nothing.
    Absent,
    /// No answer.
    Unavailable,
}

/// The end of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The task that asked.
    pub task: Partition,
    /// As it was asked.
    pub id: LookupId,
    /// What came of it.
    pub answer: Answer,
}

/// The external services of a pipeline, as one worker sees them.
pub trait Services: Send {
    /// Takes a question, to be called when there is room. Never blocks.
    fn ask(&mut self, question: Question);
    /// Appends the replies that have come.
    fn replies(&mut self, into: &mut Vec<Reply>);
    /// Forgets everything asked for this task: it is closed, or starts over. Replies may still come, and are dropped by id.
    fn forget(&mut self, task: Partition);
}
