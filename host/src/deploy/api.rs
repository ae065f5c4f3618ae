//! Requests about a pipeline's deploys, and their answers: over HTTP, on the command line, and in the process.
//!
//! Rule: these are the words of an API. Fields may be added, but none changes its meaning.

use crate::record::{Millis, Partition};
use crate::shadow::{Seen, ShadowReport};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A request to deploy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeployRequest {
    /// A component, or a core module. Default: the running one.
    #[serde(skip)]
    pub component: Option<Vec<u8>>,
    /// Settings, as an object. Default: the running settings.
    pub settings: Option<Value>,
    /// Changes to single settings, applied after `settings`.
    pub set: BTreeMap<String, Value>,
    /// Take component and settings from an earlier deploy, unless they are given.
    pub back: Option<Back>,
    /// Take over at this event time, in milliseconds since 1970. Default: where the tasks are now.
    pub at: Option<Millis>,
    /// Whether earlier versions may be unable to read what it writes.
    pub one_way: bool,
    /// Whether pending timers and lookups that it does not know go to the dead letters.
    pub drop_timers: bool,
    /// Whether to only check it.
    pub dry_run: bool,
    /// Instead of taking over, run as a shadow for this long in event time, in milliseconds.
    pub shadow: Option<Millis>,
    /// Whether to take component and settings from the running shadow.
    pub promote: bool,
}

/// Which deploy to go back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Back {
    /// The last deploy of a different version.
    Before,
    /// The deploy with this number.
    To(u64),
}

/// The result of a deploy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    /// The version that runs, or will run: first 12 hex digits of the SHA-256 over component and settings.
    pub version: String,
    /// The version that ran before.
    pub previous: String,
    /// Number of the deploy. If nothing had to be done, the number of the current one.
    pub number: u64,
    /// Event time at which it takes over, in milliseconds since 1970. Absent if nothing was done.
    pub at: Option<Millis>,
    /// Notes about the deploy.
    pub findings: Vec<DeployFinding>,
    /// How long it runs as a shadow, if it does. The number is then the shadow's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Millis>,
}

/// One finding about a deploy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployFinding {
    /// Whether it keeps the deploy from being accepted.
    pub error: bool,
    /// What it is about: `store 'sessions'`.
    pub what: String,
    /// Why, and what to do.
    pub why: String,
}

impl std::fmt::Display for DeployFinding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let level = if self.error { "error" } else { "note" };
        write!(f, "{level}: {}: {}", self.what, self.why)
    }
}

/// The state of a pipeline's deploys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Deploys {
    /// All valid deploys, in order.
    pub deploys: Vec<OneDeploy>,
    /// For each task, the last deploy that it has taken over.
    pub taken: BTreeMap<Partition, u64>,
    /// The last shadow, without the single differences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Shadowing>,
}

/// A deploy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OneDeploy {
    /// Its number.
    pub number: u64,
    /// First 12 hex digits of its version.
    pub version: String,
    /// First 12 hex digits of the SHA-256 of its component.
    pub component: String,
    /// The rules' settings.
    pub settings: Value,
    /// `open`, `committed`, `cancelled` or `withdrawn`.
    pub state: String,
    /// Event time at which it takes over. Absent for the first deploy, and for "now" until it is decided.
    pub at: Option<Millis>,
    /// Why it was cancelled or withdrawn.
    pub why: Option<String>,
    /// Who deployed it.
    pub author: String,
    /// When it was written, in milliseconds since 1970, by its author's clock.
    pub written: Millis,
    /// Whether it was deployed one-way.
    pub one_way: bool,
    /// If it is open: the tasks that hold for it, each with the time of its last step. For "now", it is the last step
    /// that the task may take.
    pub prepared: BTreeMap<Partition, Option<Millis>>,
    /// If it is open: how far each instance has come with it, `fetched` or `ready`.
    pub instances: BTreeMap<String, String>,
}

/// The answer of `GET /rules`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RulesStatus {
    /// Name of the pipeline.
    pub pipeline: String,
    /// Name of the instance that answers.
    pub instance: String,
    /// The version that runs, or will run.
    pub version: String,
    /// The versions that this instance's tasks run.
    pub tasks: BTreeMap<Partition, String>,
    /// All valid deploys, in order.
    pub deploys: Vec<OneDeploy>,
    /// For each task of the pipeline, the last deploy that it has taken over.
    pub taken: BTreeMap<Partition, u64>,
    /// The last shadow, without the single differences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Shadowing>,
    /// Problems of this instance's tasks.
    #[serde(default)]
    pub troubles: BTreeMap<Partition, String>,
}

/// What to keep in addition to the versions that may still run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prune {
    /// How many of the last versions, at least two.
    pub keep: usize,
    /// Deploys to keep.
    pub also: Vec<u64>,
    /// Whether to only report what would be removed.
    pub dry_run: bool,
}

/// A component that is not needed any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// First 12 hex digits of its SHA-256.
    pub component: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// The deploys that used it.
    pub deploys: Vec<u64>,
}

/// A shadow, and its results so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shadowing {
    /// Its number. Shadows have their own numbers.
    pub number: u64,
    /// First 12 hex digits of its version.
    pub version: String,
    /// The version that it is compared with.
    pub live: String,
    /// How long it runs, in the event time of each task, in milliseconds.
    pub duration: Millis,
    /// Who started it.
    pub author: String,
    /// Why it has ended, if it has.
    pub over: Option<String>,
    /// How far each instance has come with it, `fetched` or `ready`.
    pub instances: BTreeMap<String, String>,
    /// Number of the pipeline's tasks.
    pub of: usize,
    /// The reports by task. Tasks that have not begun are left out.
    pub tasks: BTreeMap<Partition, ShadowReport>,
    /// The counts of all tasks together.
    pub total: Seen,
}

impl Shadowing {
    /// The same without the individual differences.
    pub fn brief(mut self) -> Shadowing {
        for report in self.tasks.values_mut() {
            report.differences.clear();
            report.traps.clear();
            report.notes.clear();
        }
        self
    }
}

/// What a cancel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cancelled {
    /// An undecided deploy.
    #[serde(rename = "cancelled")]
    Deploy(u64),
    /// A shadow.
    Shadow(u64),
}
