//! A task's end of a shadow.
//!
//! Rule: P is the end of an epoch: what is copied when that is sealed counts when it is committed, and is copied anew with a later
//! one if it is dropped. From then on each epoch's tape goes where its epoch goes.

use super::feed::{Begin, Feed};
use super::known::Known;
use super::{Tape, Trial};
use crate::record::{Millis, Partition, StepKey};
use crate::state::rows::Rows;
use crate::step::Tally;
use std::sync::Arc;

/// See the module.
pub struct Link {
    trial: Arc<Trial>,
    task: Partition,
    phase: Phase,
    /// Of the open epoch.
    open: Tape,
    /// Of the epoch in its commit.
    sealed: Option<Tape>,
    /// Of an epoch of which nobody knows whether it was committed.
    doubt: Option<Tape>,
    /// Of the epoch after the open one.
    spare: Tape,
    /// Keys whose rows the shadow has.
    known: Known,
    /// Said when it is dropped.
    why: &'static str,
}

enum Phase {
    /// It begins with the end of the next epoch that is sealed.
    Wanted,
    /// That epoch is in its commit.
    Begins(Box<Begin>),
    /// It has begun.
    Runs(Arc<Feed>),
}

impl Link {
    /// A shadow is wanted of a task.
    pub fn new(trial: Arc<Trial>, task: Partition) -> Link {
        Link {
            trial,
            task,
            phase: Phase::Wanted,
            open: Tape::default(),
            sealed: None,
            doubt: None,
            spare: Tape::default(),
            known: Known::default(),
            why: "its task has left this instance",
        }
    }

    /// Which one.
    pub fn trial(&self) -> &Arc<Trial> {
        &self.trial
    }

    /// What the steps of the open epoch are written on; none: they don't count.
    #[inline]
    pub fn tape(&mut self) -> Option<&mut Tape> {
        match self.phase {
            Phase::Wanted => None,
            Phase::Begins(_) | Phase::Runs(_) => Some(&mut self.open),
        }
    }

    /// The open epoch is sealed; `end`: the last step, and the number of journaled inputs behind it. `begin`: the state at its
    /// end; none: it can't begin now. `until`: each timer before it is due.
    pub fn seal(&mut self, end: (StepKey, u64), begin: impl FnOnce() -> Option<Begin>, until: Millis) {
        match &self.phase {
            Phase::Wanted => {
                self.open.clear();
                if let Some(begin) = begin() {
                    self.phase = Phase::Begins(Box::new(begin));
                }
            }
            Phase::Begins(_) | Phase::Runs(_) => {
                let mut tape = std::mem::replace(&mut self.open, std::mem::take(&mut self.spare));
                (tape.until, tape.end) = (until, end);
                self.sealed = Some(tape);
            }
        }
    }

    /// The sealed epoch is committed. `rows`: its writes are not in them yet. False: nothing is wanted any more.
    pub fn commit(&mut self, rows: &Rows, tally: &Tally) -> bool {
        match std::mem::replace(&mut self.phase, Phase::Wanted) {
            Phase::Wanted => {}
            Phase::Begins(begin) => {
                let feed = Arc::new(Feed::new(*begin, &self.trial));
                self.trial.add(self.task, feed.clone());
                self.phase = Phase::Runs(feed);
            }
            Phase::Runs(feed) => {
                if let Some(mut tape) = self.sealed.take() {
                    (tape.nanos, tape.inputs) = (tally.guest_cpu_nanos, tally.inputs);
                    tape.ship(rows, &mut self.known);
                    self.spare = feed.push(tape, &self.trial);
                }
                if self.known.bytes() > self.trial.bounds.state {
                    let why = format!(
                        "dropped: its state is over {} MiB by its keys alone; let it run for a shorter time",
                        self.trial.bounds.state >> 20
                    );
                    feed.end(why, &self.trial);
                }
                let wanted = !feed.is_over();
                self.phase = Phase::Runs(feed);
                return wanted;
            }
        }
        true
    }

    /// Sealed and open epoch are dropped.
    pub fn abort(&mut self) {
        self.sealed = None;
        self.open.clear();
        if let Phase::Begins(_) = self.phase {
            self.phase = Phase::Wanted;
        }
    }

    /// Nobody knows whether the sealed epoch is committed; it is about to be dropped, and the log will say.
    pub fn doubt(&mut self, rows: &Rows) {
        self.doubt = self.sealed.take();
        if let Some(tape) = &mut self.doubt {
            tape.ship(rows, &mut self.known);
        }
    }

    /// The log has said that this is the last step that is committed, with so many journaled inputs behind it.
    pub fn settle(&mut self, last: &StepKey, sequence: u64) {
        let Some(tape) = self.doubt.take() else { return };
        match &self.phase {
            Phase::Runs(feed) if (&tape.end.0, tape.end.1) == (last, sequence) => _ = feed.push(tape, &self.trial),
            // It was dropped: its rows come with the epoch that is done again.
            _ => {
                for row in &tape.rows {
                    self.known.remove(row.key.of(&tape.images));
                }
            }
        }
    }

    /// It ends, for this reason.
    pub fn end(mut self, why: &'static str) {
        self.why = why;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Phase::Runs(feed) = &self.phase {
            feed.leave(self.why);
        }
    }
}
