//! The restore of a partition: it determines where the inputs begin, rebuilds the state, and waits for the version.
//!
//! Rules:
//! - It never waits itself. It says what it must know next, and its driver finds that out (`task::restore::Access`).
//! - It first asks where the inputs and the control topic begin and end, after the partition was assigned. Then it
//!   rebuilds the state. Then it waits until the control topic was read that far, and the task's version is compiled.
#![warn(clippy::disallowed_methods)] // It is driven: its caller says what time it is.

#[cfg(test)]
mod tests;

use crate::binding::Layout;
use crate::config::{Config, StartAt};
use crate::deploy::view::DeployView;
use crate::error::{Failure, Result};
use crate::fault::fault;
use crate::record::{Offset, Partition, Stay, TopicIx};
use crate::task::restore::{Rebuild, RestoreAnswer, RestoreQuestion};
use crate::task::{Restored, Task};
use std::sync::Arc;
use std::time::Duration;

/// Pause before a question that got no answer is asked again.
const RETRY: Duration = Duration::from_millis(200);

/// How often to look for the task's version.
const VERSIONS: Duration = Duration::from_millis(5);

/// How many times a restore may begin again because the changelog was truncated while it was read.
const AGAIN: u32 = 3;

/// A partition that is being restored.
pub struct Restore {
    partition: Partition,
    stay: Stay,
    config: Arc<Config>,
    layout: Arc<Layout>,
    stored: bool,
    part: RestorePhase,
    /// Where a task that has never committed begins, by rank.
    starts: Vec<Offset>,
    /// The end of the control topic when the partition was assigned.
    control: Offset,
    /// How many times it may still begin again.
    again: u32,
    /// What it is waiting for, for people.
    why: Option<String>,
    /// Whether it must pause before it asks again.
    pauses: bool,
}

enum RestorePhase {
    /// Asking where the inputs begin and end.
    Inputs,
    /// Asking where the control topic ends.
    Control,
    State(Box<Rebuild>),
    /// Waiting for its version.
    Version(Box<Restored>),
    Over(Option<Result<Box<Task>>>),
}

/// What a restore needs from its driver.
pub enum RestoreNext {
    /// The answer to this question, through [`Restore::answer`].
    Ask(RestoreQuestion),
    /// To be called again after this time.
    Wait(Duration),
    /// Nothing more. Contains the task, or why there is none.
    Done(Result<Box<Task>>),
}

impl Restore {
    /// Begins the restore of a partition that was just assigned. `stored` says whether there is a local store.
    pub fn begin(config: Arc<Config>, layout: Arc<Layout>, partition: Partition, stay: Stay, stored: bool) -> Restore {
        Restore {
            partition,
            stay,
            config,
            layout,
            stored,
            part: RestorePhase::Inputs,
            starts: vec![],
            control: Offset::ZERO,
            again: AGAIN,
            why: None,
            pauses: false,
        }
    }

    /// The partition that is restored.
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// The assignment that it is restored for.
    pub fn stay(&self) -> Stay {
        self.stay
    }

    /// How much of the changelog was read, from 0 to 1, and what it is waiting for.
    pub fn progress(&self) -> (f64, Option<&str>) {
        let read = match &self.part {
            RestorePhase::Inputs | RestorePhase::Control => 0.0,
            RestorePhase::State(rebuild) => rebuild.progress(),
            RestorePhase::Version(_) | RestorePhase::Over(_) => 1.0,
        };
        (read, self.why.as_deref())
    }

    /// What the restore needs next.
    pub fn step(&mut self, view: &DeployView) -> RestoreNext {
        if std::mem::take(&mut self.pauses) {
            return RestoreNext::Wait(RETRY);
        }
        if let RestorePhase::State(rebuild) = &mut self.part {
            if let Some(question) = rebuild.question() {
                return RestoreNext::Ask(question);
            }
            self.part = match rebuild.restored() {
                // It asks nothing, so it is done.
                Ok(state) => RestorePhase::Version(Box::new(state.unwrap_or_default())),
                Err(why) => RestorePhase::Over(Some(Err(why))),
            };
        }
        match &mut self.part {
            RestorePhase::Inputs => {
                RestoreNext::Ask(RestoreQuestion::Bounds(TopicIx::at(self.starts.len()), self.partition))
            }
            RestorePhase::Control => RestoreNext::Ask(RestoreQuestion::Bounds(self.layout.control, Partition(0))),
            RestorePhase::Version(_) => self.open(view),
            RestorePhase::Over(task) => {
                let gone = || Err(Failure::Fatal("a restore was driven beyond its end".into()));
                RestoreNext::Done(task.take().unwrap_or_else(gone))
            }
            RestorePhase::State(_) => RestoreNext::Wait(RETRY),
        }
    }

    /// Takes the answer to the last question.
    pub fn answer(&mut self, answer: Result<RestoreAnswer>) {
        match self.advance(answer) {
            Ok(()) => self.why = None,
            Err(Failure::Retry(why)) if !fault!("no-retry") => {
                if self.why.as_ref() != Some(&why) {
                    tracing::warn!(task = self.partition.0, %why, "the restore can't continue yet");
                }
                self.why = Some(why);
                self.pauses = true;
            }
            // The previous owner of the task may truncate the changelog while it is read. What is left is complete.
            Err(Failure::Corrupted(why)) if self.again > 0 && !fault!("no-second-restore") => {
                tracing::warn!(task = self.partition.0, %why, "starting the restore again");
                self.again -= 1;
                self.part = self.rebuild();
            }
            Err(why) => self.part = RestorePhase::Over(Some(Err(why))),
        }
    }

    fn advance(&mut self, answer: Result<RestoreAnswer>) -> Result<()> {
        match &mut self.part {
            RestorePhase::Inputs => {
                let (first, end) = bounds(answer)?;
                let start = match self.config.inputs[self.starts.len()].start {
                    StartAt::Earliest => first,
                    StartAt::Latest if fault!("latest-is-earliest") => first,
                    StartAt::Latest => end,
                };
                self.starts.push(start);
                if self.starts.len() == self.config.inputs.len() {
                    self.part = RestorePhase::Control;
                }
            }
            RestorePhase::Control => {
                self.control = bounds(answer)?.1;
                self.part = self.rebuild();
            }
            RestorePhase::State(rebuild) => rebuild.answer(answer)?,
            RestorePhase::Version(_) | RestorePhase::Over(_) => {}
        }
        Ok(())
    }

    fn rebuild(&self) -> RestorePhase {
        RestorePhase::State(Box::new(Rebuild::begin(
            self.layout.clone(),
            self.partition,
            self.stored,
        )))
    }

    /// Opens the task, if its version is available.
    fn open(&mut self, view: &DeployView) -> RestoreNext {
        let part = std::mem::replace(&mut self.part, RestorePhase::Over(None));
        let RestorePhase::Version(state) = part else {
            self.part = part;
            return RestoreNext::Wait(VERSIONS);
        };
        match view.opening(self.partition, self.control, state.meta.as_ref()) {
            Ok(Some(schedule)) => {
                let task = Task::open(self.partition, self.layout.clone(), schedule, *state, &self.starts);
                RestoreNext::Done(task.map(Box::new))
            }
            Ok(None) => {
                self.part = RestorePhase::Version(state);
                RestoreNext::Wait(VERSIONS)
            }
            Err(why) => RestoreNext::Done(Err(why)),
        }
    }
}

fn bounds(answer: Result<RestoreAnswer>) -> Result<(Offset, Offset)> {
    match answer? {
        RestoreAnswer::Bounds(start, end) => Ok((start, end)),
        _ => Err(Failure::Fatal(
            "a restore was given the answer to another question".into(),
        )),
    }
}
