//! The connection between a task and its shadow: a queue of tapes, and the report.
//!
//! Rule: neither side waits for the other, except for the lock. The side that ends the shadow first gives the reason,
//! and that stays.

use super::Tape;
use super::bounds::Queued;
use crate::binding::Wiring;
use crate::record::{Millis, StepKey};
use crate::shadow::{ShadowReport, ShadowState};
use crate::state::TaskState;
use crate::state::lookups::{LookupName, Pending};
use crate::state::meta::Names;
use parking_lot::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::Arc;

/// The state of a task at P, without its rows.
pub struct Begin {
    pub live: Arc<Wiring>,
    pub timers: Vec<StepKey>,
    pub lookups: Vec<(LookupName, Pending)>,
    pub names: Names,
    pub last: StepKey,
}

impl Begin {
    /// Copies the state of a live task.
    pub fn new(live: &Arc<Wiring>, state: &TaskState, last: &StepKey) -> Begin {
        let lookups = state.lookups().iter();
        Begin {
            live: live.clone(),
            timers: state.timers().iter().cloned().collect(),
            lookups: lookups.map(|(name, pending)| (name.clone(), pending.clone())).collect(),
            names: state.names().clone(),
            last: last.clone(),
        }
    }
}

/// The queue of tapes and the report of a task's shadow.
pub struct Feed {
    inner: Mutex<Inner>,
    /// The tapes that wait in all tasks of the instance.
    queued: Arc<Queued>,
}

struct Inner {
    begin: Option<Begin>,
    queue: VecDeque<Tape>,
    /// Tapes that were played. Their memory is reused.
    spare: Vec<Tape>,
    /// Whether no more tapes will come.
    over: bool,
    /// Why the live side has ended it.
    why: Option<String>,
    report: ShadowReport,
}

/// How many empty tapes are kept: one is written while the other is in its commit.
const SPARE: usize = 2;

impl Feed {
    /// The feed of a shadow that begins.
    pub fn new(begin: Begin, report: ShadowReport, queued: Arc<Queued>) -> Feed {
        let inner = Mutex::new(Inner {
            begin: Some(begin),
            queue: VecDeque::new(),
            spare: vec![],
            over: false,
            why: None,
            report,
        });
        Feed { inner, queued }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// The results so far.
    pub fn report(&self) -> ShadowReport {
        self.inner().report.clone()
    }

    /// Whether the shadow has finished or ended.
    pub fn is_through(&self) -> bool {
        self.inner().report.standing != ShadowState::Running
    }

    /// Whether the task need not send anything more.
    pub fn is_over(&self) -> bool {
        self.inner().over
    }

    /// Adds the tape of a committed epoch, and returns an empty tape. If the limit is exceeded, the shadow is dropped.
    pub(super) fn push(&self, tape: Tape) -> Tape {
        let mut inner = self.inner();
        if inner.over {
            return Tape::default();
        }
        let spare = inner.spare.pop().unwrap_or_default();
        let waiting = self.queued.add(tape.size());
        inner.queue.push_back(tape);
        if waiting > self.queued.most {
            let steps: usize = inner.queue.iter().map(|tape| tape.steps.len()).sum();
            let time = |tape: Option<&Tape>| tape.and_then(|tape| tape.steps.last()).map(|step| step.time);
            let newest = time(inner.queue.back()).unwrap_or_default();
            let at = inner.report.to.or(time(inner.queue.front())).unwrap_or(newest);
            let why = format!(
                "dropped: behind by {steps} steps, {} of event time: {} MiB may wait, and no more",
                span(newest - at),
                self.queued.most >> 20
            );
            inner.end(why, &self.queued);
        }
        spare
    }

    /// Ends the shadow from the live side. Waiting tapes are still played, unless there are too many.
    pub(super) fn leave(&self, why: &str) {
        let mut inner = self.inner();
        if !inner.over {
            inner.over = true;
            inner.why = Some(why.to_owned());
        }
    }

    /// Ends the shadow, and drops all waiting tapes.
    pub(super) fn end(&self, why: String) {
        self.inner().end(why, &self.queued);
    }

    pub(super) fn begin(&self) -> Option<Begin> {
        self.inner().begin.take()
    }

    /// The next tape to play.
    pub(super) fn pop(&self) -> Option<Tape> {
        let mut inner = self.inner();
        let tape = inner.queue.pop_front();
        match &tape {
            Some(tape) => self.queued.remove(tape.size()),
            // Everything was played.
            None if inner.over && inner.report.standing == ShadowState::Running => {
                inner.report.standing = ShadowState::Ended;
                inner.report.why = inner.why.clone();
            }
            None => {}
        }
        tape
    }

    /// Returns a played tape, with the new report.
    pub(super) fn played(&self, mut tape: Tape, report: &ShadowReport) {
        let mut inner = self.inner();
        if inner.report.standing != ShadowState::Running {
            return;
        }
        inner.report.clone_from(report);
        if report.standing != ShadowState::Running {
            let why = report.why.clone().unwrap_or_default();
            let standing = report.standing;
            inner.end(why, &self.queued);
            inner.report.standing = standing;
            inner.report.why.clone_from(&report.why);
        } else if inner.spare.len() < SPARE {
            tape.clear();
            inner.spare.push(tape);
        }
    }
}

impl Inner {
    fn end(&mut self, why: String, queued: &Queued) {
        for tape in self.queue.drain(..) {
            queued.remove(tape.size());
        }
        self.spare = vec![];
        self.over = true;
        if self.report.standing == ShadowState::Running {
            self.report.standing = ShadowState::Ended;
            self.report.why = Some(why);
        }
    }
}

/// A duration in event time, for people.
fn span(millis: Millis) -> String {
    match millis {
        ..1000 => format!("{millis} ms"),
        1000..120_000 => format!("{:.1} s", millis as f64 / 1000.0),
        _ => format!("{:.1} min", millis as f64 / 60_000.0),
    }
}
