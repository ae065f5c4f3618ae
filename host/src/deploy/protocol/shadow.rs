//! Shadow runs: rules that run beside the live ones on the same inputs, and their results.
//!
//! Rules:
//! - A shadow decides nothing. No task waits for it, and it has no effect outside. It is over when a record says so, or
//!   when other rules are committed or withdrawn; the first such record counts.
//! - Shadows have their own numbers. A shadow has the number after the last one that its author has seen. Of two with
//!   the same number, the first counts. While a shadow runs or a deploy is undecided, no other shadow is accepted.
//! - A task runs a shadow at most once. Its report has the results and how it ended.

use super::deploy::{Deploy, DeployProgress, DeployStage};
use super::state::Applied;
use crate::record::{Millis, Number, Partition};
use crate::shadow::ShadowReport;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A shadow: rules that run beside the live ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShadowDeploy {
    /// Its rules, in the form of a deploy. The number is the shadow's, and the takeover time is not used.
    pub deploy: Deploy,
    /// How long it runs, in event time of each task.
    pub duration: Millis,
}

/// A record about a shadow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ShadowRecord {
    /// It begins.
    Begin(ShadowDeploy),
    /// It is over, for this reason.
    Over(Number, String),
    /// How far an instance has come with it.
    Progress(Number, String, DeployProgress),
    /// Its results in a task, as the JSON of a [`ShadowReport`].
    Seen(Number, Partition, Vec<u8>),
}

/// The last valid shadow.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownShadow {
    /// The shadow as its author wrote it.
    pub shadow: ShadowDeploy,
    /// Why it is over, if it is.
    pub over: Option<String>,
    /// How far each instance has come with it, by the instance's name.
    pub instances: BTreeMap<String, DeployProgress>,
    /// The reports, by task.
    pub tasks: BTreeMap<Partition, ShadowReport>,
}

/// All shadows. Only the last one is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shadows {
    /// Number of valid shadows so far.
    count: Number,
    last: Option<KnownShadow>,
}

impl ShadowRecord {
    /// The key of the record: see [`ControlRecord::key`](super::ControlRecord::key).
    pub fn key(&self, nonce: &[u8; 16]) -> Vec<u8> {
        let numbered =
            |kind: u8, number: Number, rest: &[u8]| [&[b's', kind], &number.to_be_bytes()[..], rest].concat();
        match self {
            ShadowRecord::Begin(shadow) => numbered(b'b', shadow.deploy.number, &shadow.deploy.nonce),
            ShadowRecord::Over(number, _) => numbered(b'o', *number, nonce),
            ShadowRecord::Progress(number, instance, _) => numbered(b'r', *number, instance.as_bytes()),
            // The reports of a shadow replace those of the shadow before, because they are the largest records of the
            // topic.
            ShadowRecord::Seen(_, task, _) => numbered(b't', 0, &task.0.to_be_bytes()),
        }
    }
}

impl KnownShadow {
    /// The number of the shadow.
    pub fn number(&self) -> Number {
        self.shadow.deploy.number
    }

    /// Whether the ready instances have all tasks among them.
    pub fn covered(&self, tasks: usize) -> bool {
        let ready = self.instances.values().filter(|said| said.stage == DeployStage::Ready);
        let covered: BTreeSet<Partition> = ready.flat_map(|said| said.tasks.iter().copied()).collect();
        covered.len() >= tasks
    }
}

impl Shadows {
    /// Applies the next record. `undecided` is the number of the undecided deploy, if there is one.
    pub fn apply(&mut self, record: ShadowRecord, undecided: Option<Number>) -> Applied {
        match record {
            ShadowRecord::Begin(shadow) => return self.begin(shadow, undecided),
            ShadowRecord::Over(number, why) => {
                let Some(known) = self.under_way_mut(number) else {
                    return Applied::None;
                };
                known.over = Some(why);
            }
            ShadowRecord::Progress(number, instance, progress) => {
                let Some(known) = self.under_way_mut(number) else {
                    return Applied::None;
                };
                known.instances.insert(instance, progress);
            }
            ShadowRecord::Seen(number, task, json) => {
                // The last report of a task may come after the record that has ended the shadow.
                let known = self.last.as_mut().filter(|known| known.number() == number);
                let Some(known) = known else { return Applied::None };
                match ShadowReport::read(&json) {
                    Ok(report) => known.tasks.insert(task, report),
                    // A report decides nothing, so a bad one ends nothing.
                    Err(why) => {
                        return Applied::Refused(format!(
                            "what task {task} says of shadow {number} can't be read: {why}"
                        ));
                    }
                };
            }
        }
        Applied::Changed
    }

    fn begin(&mut self, shadow: ShadowDeploy, undecided: Option<Number>) -> Applied {
        let number = shadow.deploy.number;
        if let Some(under_way) = self.under_way() {
            return Applied::Refused(format!("shadow {} is under way", under_way.number()));
        }
        if let Some(undecided) = undecided {
            return Applied::Refused(format!("deploy {undecided} is not decided yet"));
        }
        if number != self.count + 1 {
            return Applied::Refused(format!(
                "its number is {number}, but the next shadow is {}: someone else has started one meanwhile",
                self.count + 1
            ));
        }
        self.count = number;
        self.last = Some(KnownShadow {
            shadow,
            over: None,
            instances: BTreeMap::new(),
            tasks: BTreeMap::new(),
        });
        Applied::Changed
    }

    /// Ends the shadow, because other rules take over.
    pub(super) fn ended(&mut self, why: String) {
        let count = self.count;
        if let Some(known) = self.under_way_mut(count) {
            known.over = Some(why);
        }
    }

    /// Number of the last valid shadow, or 0.
    pub fn count(&self) -> Number {
        self.count
    }

    /// The last valid shadow.
    pub fn last(&self) -> Option<&KnownShadow> {
        self.last.as_ref()
    }

    /// The running shadow. It counts as running until it is over, even if all tasks have finished it.
    pub fn under_way(&self) -> Option<&KnownShadow> {
        self.last.as_ref().filter(|known| known.over.is_none())
    }

    fn under_way_mut(&mut self, number: Number) -> Option<&mut KnownShadow> {
        let known = self.last.as_mut();
        known.filter(|known| known.over.is_none() && known.number() == number)
    }
}

#[cfg(test)]
mod tests;
