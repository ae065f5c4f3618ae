//! Shadow runs: rules that run beside the live ones, on the same inputs, and what is seen of them.
//!
//! Rules:
//! - A shadow decides nothing: no task waits for it, and what it does stays with it. It is over when somebody says so, or
//!   when other rules are committed or taken back; the first of these on the topic counts. Until then its report is kept.
//! - Shadows are numbered by themselves. One names the number after the last that its author saw; of two with one number the
//!   first counts. While one is under way, or a deploy is not decided, no other is taken.
//! - A task is in one stay of it at most: its report tells what that stay has seen, and how it ended.

mod report;

pub use report::{Counts, Difference, Field, Kind, Origin, Report, Seen, Standing, Trapped};

use super::{Deploy, Effect, Number, Report as Progress, Stage};
use crate::record::{Millis, Partition};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Rules that shall run beside the live ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shadow {
    /// Its rules, as a deploy tells them. The number is the shadow's; when they would take over says nothing.
    pub deploy: Deploy,
    /// For so long, in event time of each task.
    pub duration: Millis,
}

/// What the topic says of a shadow.
// Decoded one at a time, as the records of deploys are.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Said {
    /// It shall begin.
    Begin(Shadow),
    /// It is over. Why.
    Over(Number, String),
    /// How far an instance is with it.
    Progress(Number, String, Progress),
    /// What is seen of it in a task: JSON of a [`Report`].
    Seen(Number, Partition, Vec<u8>),
}

/// The last shadow that counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// As its author wrote it.
    pub shadow: Shadow,
    /// Why it is over.
    pub over: Option<String>,
    /// How far instances are with it, by name.
    pub instances: BTreeMap<String, Progress>,
    /// What was seen of it, by task.
    pub tasks: BTreeMap<Partition, Report>,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shadows {
    /// How many have counted.
    count: Number,
    last: Option<Known>,
}

impl Said {
    /// The key of its record: see [`Record::key`](super::Record::key).
    pub fn key(&self, nonce: &[u8; 16]) -> Vec<u8> {
        let numbered =
            |kind: u8, number: Number, rest: &[u8]| [&[b's', kind], &number.to_be_bytes()[..], rest].concat();
        match self {
            Said::Begin(shadow) => numbered(b'b', shadow.deploy.number, &shadow.deploy.nonce),
            Said::Over(number, _) => numbered(b'o', *number, nonce),
            Said::Progress(number, instance, _) => numbered(b'r', *number, instance.as_bytes()),
            // One shadow's reports replace those of the one before: they are the largest records here.
            Said::Seen(_, task, _) => numbered(b't', 0, &task.to_be_bytes()),
        }
    }
}

impl Known {
    /// Its number.
    pub fn number(&self) -> Number {
        self.shadow.deploy.number
    }

    /// Every task is with an instance that is ready.
    pub fn covered(&self, tasks: usize) -> bool {
        let ready = self.instances.values().filter(|said| said.stage == Stage::Ready);
        let covered: BTreeSet<Partition> = ready.flat_map(|said| said.tasks.iter().copied()).collect();
        covered.len() >= tasks
    }
}

impl Shadows {
    /// Takes the next record. `undecided`: a deploy that is.
    pub fn apply(&mut self, said: Said, undecided: Option<Number>) -> Effect {
        match said {
            Said::Begin(shadow) => return self.begin(shadow, undecided),
            Said::Over(number, why) => {
                let Some(known) = self.under_way_mut(number) else {
                    return Effect::None;
                };
                known.over = Some(why);
            }
            Said::Progress(number, instance, progress) => {
                let Some(known) = self.under_way_mut(number) else {
                    return Effect::None;
                };
                known.instances.insert(instance, progress);
            }
            Said::Seen(number, task, json) => {
                // What a stay has seen at its end may come behind the order that ended it.
                let known = self.last.as_mut().filter(|known| known.number() == number);
                let (Some(known), Ok(report)) = (known, serde_json::from_slice(&json)) else {
                    return Effect::None;
                };
                known.tasks.insert(task, report);
            }
        }
        Effect::Changed
    }

    fn begin(&mut self, shadow: Shadow, undecided: Option<Number>) -> Effect {
        let number = shadow.deploy.number;
        if let Some(under_way) = self.under_way() {
            return Effect::Refused(format!("shadow {} is under way", under_way.number()));
        }
        if let Some(undecided) = undecided {
            return Effect::Refused(format!("deploy {undecided} is not decided yet"));
        }
        if number != self.count + 1 {
            return Effect::Refused(format!(
                "it says it is shadow {number}, and the next one is {}: somebody else has begun one meanwhile",
                self.count + 1
            ));
        }
        self.count = number;
        self.last = Some(Known {
            shadow,
            over: None,
            instances: BTreeMap::new(),
            tasks: BTreeMap::new(),
        });
        Effect::Changed
    }

    /// Other rules are live, or will be.
    pub(super) fn ended(&mut self, why: String) {
        let count = self.count;
        if let Some(known) = self.under_way_mut(count) {
            known.over = Some(why);
        }
    }

    /// Number of the last one that counts; 0: there was none.
    pub fn count(&self) -> Number {
        self.count
    }

    /// The last one that counts.
    pub fn last(&self) -> Option<&Known> {
        self.last.as_ref()
    }

    /// The one that is under way. It is until it is over, also when all tasks are through with it.
    pub fn under_way(&self) -> Option<&Known> {
        self.last.as_ref().filter(|known| known.over.is_none())
    }

    fn under_way_mut(&mut self, number: Number) -> Option<&mut Known> {
        let known = self.last.as_mut();
        known.filter(|known| known.over.is_none() && known.number() == number)
    }
}

#[cfg(test)]
mod tests;
