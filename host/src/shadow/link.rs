//! The task's side of a shadow.
//!
//! Rule: P is the end of an epoch. The state is copied when that epoch is sealed, and used when it is committed. If it
//! is dropped, the state is copied again for a later epoch. From then on, each epoch's tape shares the fate of its
//! epoch.

use super::Trial;
use super::feed::{Begin, Feed};
use super::key_set::KeySet;
use super::tape::{Tape, TapeEnd};
use crate::fault::fault;
use crate::record::{Millis, Partition};
use crate::state::rows::Rows;
use crate::step::Tally;
use std::sync::Arc;

/// The task's side of a shadow.
pub struct Link {
    trial: Arc<Trial>,
    task: Partition,
    phase: LinkPhase,
    /// Tape of the open epoch.
    open: Tape,
    /// Tape of the epoch in its commit.
    sealed: Option<Tape>,
    /// Tape of an epoch whose outcome is unknown.
    doubt: Option<Tape>,
    /// Tape for the epoch after the open one.
    spare: Tape,
    /// Keys whose rows the shadow has.
    known: KeySet,
    /// The reason for the shadow's end if this is dropped.
    why: &'static str,
}

enum LinkPhase {
    /// It begins at the end of the next sealed epoch.
    Wanted,
    /// That epoch is in its commit.
    Begins(Box<Begin>),
    /// It has begun.
    Runs(Arc<Feed>),
}

impl Link {
    /// A shadow that should begin in a task.
    pub fn new(trial: Arc<Trial>, task: Partition) -> Link {
        Link {
            trial,
            task,
            phase: LinkPhase::Wanted,
            open: Tape::default(),
            sealed: None,
            doubt: None,
            spare: Tape::default(),
            known: KeySet::default(),
            why: "its task has left this instance",
        }
    }

    /// The shadow that it belongs to.
    pub fn trial(&self) -> &Arc<Trial> {
        &self.trial
    }

    /// The tape for the steps of the open epoch, or `None` if they are not needed.
    #[inline]
    pub fn tape(&mut self) -> Option<&mut Tape> {
        match self.phase {
            LinkPhase::Wanted => None,
            LinkPhase::Begins(_) | LinkPhase::Runs(_) => Some(&mut self.open),
        }
    }

    /// Seals the tape of the open epoch. `end` is where the task is then. `begin` gives the state at the end of the
    /// epoch, or `None` if the shadow can't begin now. All timers before `until` are due.
    pub fn seal(&mut self, end: TapeEnd, begin: impl FnOnce() -> Option<Begin>, until: Millis) {
        match &self.phase {
            LinkPhase::Wanted => {
                self.open.clear();
                if let Some(begin) = begin() {
                    self.phase = LinkPhase::Begins(Box::new(begin));
                }
            }
            LinkPhase::Begins(_) | LinkPhase::Runs(_) => {
                let mut tape = std::mem::replace(&mut self.open, std::mem::take(&mut self.spare));
                (tape.until, tape.end) = (until, end);
                self.sealed = Some(tape);
            }
        }
    }

    /// Commits the tape of the sealed epoch. `rows` must not have the epoch's writes yet. Returns false if nothing more
    /// is needed.
    pub fn commit(&mut self, rows: &Rows, tally: &Tally) -> bool {
        match std::mem::replace(&mut self.phase, LinkPhase::Wanted) {
            LinkPhase::Wanted => {}
            LinkPhase::Begins(begin) => {
                let feed = self.trial.begin(self.task, *begin);
                self.phase = LinkPhase::Runs(feed);
            }
            LinkPhase::Runs(feed) => {
                if let Some(mut tape) = self.sealed.take() {
                    tape.calls = tally.calls;
                    tape.ship(rows, &mut self.known);
                    self.spare = feed.push(tape);
                }
                if self.known.bytes() > self.trial.bounds.state {
                    let why = format!(
                        "dropped: its state is over {} MiB by its keys alone; let it run for a shorter time",
                        self.trial.bounds.state >> 20
                    );
                    feed.end(why);
                }
                let wanted = !feed.is_over();
                self.phase = LinkPhase::Runs(feed);
                return wanted;
            }
        }
        true
    }

    /// Drops the tapes of the sealed and the open epoch.
    pub fn abort(&mut self) {
        self.sealed = None;
        if !fault!("shadow-keeps-dropped-tape") {
            self.open.clear();
        }
        if let LinkPhase::Begins(_) = self.phase
            && !fault!("shadow-begins-with-dropped-epoch")
        {
            self.phase = LinkPhase::Wanted;
        }
    }

    /// Keeps the tape of the sealed epoch, whose outcome is unknown and which is about to be dropped, until the log
    /// shows it.
    pub fn doubt(&mut self, rows: &Rows) {
        self.doubt = self.sealed.take();
        if let Some(tape) = &mut self.doubt {
            tape.ship(rows, &mut self.known);
        }
    }

    /// Notes where the last committed epoch ended, as the log shows it.
    pub fn settle(&mut self, end: TapeEnd) {
        let Some(tape) = self.doubt.take() else { return };
        match &self.phase {
            LinkPhase::Runs(feed) if tape.end == end => {
                if !fault!("shadow-misses-doubtful-epoch") {
                    _ = feed.push(tape);
                }
            }
            // The epoch was dropped, so its rows will come again with the repeated one.
            _ => {
                for row in &tape.rows {
                    self.known.remove(row.key.of(&tape.images));
                }
            }
        }
    }

    /// Ends the shadow in this task, for this reason.
    pub fn end(mut self, why: &'static str) {
        self.why = why;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let LinkPhase::Runs(feed) = &self.phase {
            feed.leave(self.why);
        }
    }
}
