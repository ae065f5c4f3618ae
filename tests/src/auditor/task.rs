//! Everything that a task has read.

use super::parameters::Deployed;
use super::step::{Millis, StepKey};
use super::takeover::{self, Takeover};

/// A record of an input partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Its offset. Offsets grow, with gaps.
    pub offset: i64,
    /// The key. `None` is a null key.
    pub key: Option<Vec<u8>>,
    /// The value. `None` is a null value.
    pub value: Option<Vec<u8>>,
    /// When the broker appended it, if the topic has append time.
    pub appended: Option<Millis>,
}

/// A journal entry that moves an idle partition's watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The input partition of the task, as the rank of its stream.
    pub rank: u16,
    /// It comes before the record with this offset.
    pub next: i64,
    /// The watermark from there on.
    pub time: Millis,
}

/// How a lookup ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The body of the reply, as it came.
    Body(Vec<u8>),
    /// The service knows no such session.
    Absent,
    /// No answer after the retries.
    Unavailable,
}

/// A journaled reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The step that it comes right after. Several replies after one step are in the order of the list.
    pub anchor: StepKey,
    /// The step that asked.
    pub asked_by: StepKey,
    /// The answer.
    pub answer: Answer,
    /// The deploy whose rules take it: the last one that the journal names before it, or 1 if it names none.
    pub deploy: u64,
}

/// Everything that a task has read.
#[derive(Clone, Debug, Default)]
pub struct Task {
    /// By rank, and in offset order.
    pub partitions: Vec<Vec<Record>>,
    /// In the journal's order.
    pub heartbeats: Vec<Heartbeat>,
    /// In the journal's order.
    pub replies: Vec<Reply>,
    /// The take-overs, in the journal's order.
    pub takeovers: Vec<Takeover>,
    /// The steps on which the rules trapped, in the journal's order.
    pub trapped: Vec<StepKey>,
    /// (rank, offset) of the records that the journal says were too far ahead of the wall clock.
    pub too_far_ahead: Vec<(u16, i64)>,
    /// The last step that is taken. `None` means every final step.
    pub until: Option<StepKey>,
}

impl Task {
    /// The deploy that a step belongs to. `deploys` are the committed ones after the first.
    pub fn deploy_of(&self, deploys: &[Deployed], step: &StepKey) -> u64 {
        takeover::of_step(&self.takeovers, deploys, step)
    }
}
