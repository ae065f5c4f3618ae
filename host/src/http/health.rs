//! What `/health` answers.

use crate::record::{Millis, Offset, Partition};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The health of an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Whether everything is fine. If not, somebody should look, and the status is 503.
    pub ok: bool,
    /// Name of the pipeline.
    pub pipeline: String,
    /// Name of the instance.
    pub instance: String,
    /// Version of the rules that new tasks start with.
    pub version: String,
    /// What is wrong, or what the instance waits for.
    pub message: Option<String>,
    /// The tasks of this instance, by partition.
    pub tasks: Vec<TaskHealth>,
}

/// The health of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskHealth {
    /// Its partition.
    pub partition: Partition,
    /// What it is doing.
    pub state: TaskCondition,
    /// When it began to do this, in milliseconds since 1970.
    pub since: Millis,
    /// Version of the rules that it runs. Absent while it restores.
    pub version: Option<String>,
    /// Event time that it has reached, in milliseconds since 1970. Absent before its first record.
    pub watermark: Option<Millis>,
    /// For each stream, the committed offset: the first record that is not processed.
    pub position: BTreeMap<String, Offset>,
    /// Progress of its restore and what that waits for, why it is not committed, or what is wrong with its rules or its
    /// local store.
    pub message: Option<String>,
}

/// What a task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskCondition {
    /// It reads its changelog.
    Restoring,
    /// It processes records.
    Running,
    /// What it does can't be committed. It goes on trying, ever more slowly.
    Failing,
    /// Its worker has not come back from a call for seconds.
    Stuck,
    /// It takes no steps until somebody intervenes.
    Stopped,
}
