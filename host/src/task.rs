//! One partition number of every input topic: the unit of ordering, state and parallelism.
//!
//! Rule: a task is a deterministic state machine. Its outputs and its state are a function of its input partitions' logs and
//! its journal; not of batch sizes, commit times, crashes, interleaving or the wall clock. What is decided by any of these is
//! journaled first.
//!
//! Life of an epoch, as a task sees it:
//!
//!     arrive*  ->  run* (plan -> rules -> apply)  ->  seal  ->  commit
//!                                                         \->  abort -> rebuild from the committed meta, read again

mod arrivals;
mod arrive;
pub mod epoch;
pub mod faults;
pub mod layout;
mod ledger;
mod live;
mod open;
pub mod orders;
mod progress;
pub mod restore;
pub mod schedule;
mod seal;
pub mod shadow;
pub mod sources;
pub mod state;
pub mod stepper;
pub mod tally;
pub mod wiring;

pub use epoch::Epoch;
pub use faults::Faults;
pub use layout::Layout;
pub use restore::Restored;
pub use schedule::{Moment, Prepare, RulesSchedule as Orders};
pub use sources::Sources;
pub use state::Stored;
pub use tally::Tally;
pub use wiring::Wiring;

use crate::control::{Number, VersionId};
use crate::delta::Delta;
use crate::journal::Ending;
use crate::meta::{Meta, Prepared};
use crate::record::{Millis, Offset, Partition, Rank, StepKey};
use crate::rows::Dirty;
use crate::rules::{Sandbox, Trap};
use crate::service::Question;
use arrivals::{Arrivals, Waiting};
use ledger::Ledger;
use progress::Progress;
use schedule::Schedule;
use sources::Readers;
use state::{TaskState, View};
use std::sync::Arc;
use std::time::{Duration, Instant};
use stepper::Stepper;

/// See the module.
pub struct Task {
    partition: Partition,
    layout: Arc<Layout>,
    wiring: Arc<Wiring>,

    arrivals: Arrivals,

    state: TaskState,
    progress: Progress,

    /// Which version the next step takes, and whether any step may be taken.
    schedule: Schedule,
    /// What is committed, and what the sealed epoch adds to it.
    ledger: Ledger,

    shadow: Option<Box<shadow::Link>>,

    stepper: Stepper<Waiting, ()>,
}

/// A version of the rules on one worker: what runs it.
pub struct Guest {
    /// The version.
    pub wiring: Arc<Wiring>,
    readers: Readers,
    sandbox: Option<Sandbox<View>>,
    /// CPU time of calls: whoever drives it takes it.
    pub spent: Duration,
    /// How often it was at fault.
    pub faults: Faults,
    /// What the first instance took to be made.
    pub made_in: Duration,
}

impl Guest {
    /// Instantiates a version.
    pub fn new(wiring: Arc<Wiring>) -> Result<Guest, Trap> {
        // The readers were made once already, by the wiring's own check.
        let readers = wiring
            .readers()
            .unwrap_or_else(|why| panic!("{why}: checked when it was wired"));
        let begun = Instant::now();
        let sandbox = Some(Sandbox::new(&wiring.rules)?);
        let faults = Faults::new(wiring.budget);
        Ok(Guest {
            wiring,
            readers,
            sandbox,
            spent: Duration::ZERO,
            faults,
            made_in: begun.elapsed(),
        })
    }

    /// Drops the instance: a fresh one comes with the next call. A guest's memory is not state.
    pub fn renew(&mut self) {
        self.sandbox = None;
    }

    fn sandbox(&mut self) -> Result<&mut Sandbox<View>, Trap> {
        if self.sandbox.is_none() || self.wiring.fresh {
            self.sandbox = Some(Sandbox::new(&self.wiring.rules)?);
        }
        match &mut self.sandbox {
            Some(sandbox) => Ok(sandbox),
            None => unreachable!("just made"),
        }
    }
}

/// How a task stands, for health and metrics.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// The task.
    pub partition: Partition,
    /// Its watermark; [`crate::record::NEVER`] before the first record of every input.
    pub watermark: Millis,
    /// Time of the last step.
    pub last: Millis,
    /// Records that wait for the watermark.
    pub waiting: usize,
    /// Bytes of chunks that are kept for them, by rank.
    pub buffered: Vec<usize>,
    /// Those of them that are in the scratch file only, by rank.
    pub spilled: Vec<usize>,
    /// Committed offsets, by rank.
    pub positions: Vec<Offset>,
    /// Timers that are set.
    pub timers: usize,
    /// Lookups that are pending.
    pub lookups: usize,
    /// Keys with state.
    pub rows: usize,
    /// Bytes of state.
    pub state_bytes: usize,
    /// Committed position in the changelog.
    pub changelog: Offset,
    /// Bytes of changelog that a restore would read: about two rounds of the sweep.
    pub log_bytes: u64,
    /// The rules' version.
    pub version: VersionId,
    /// The deploy that it took over last.
    pub deployed: Number,
    /// The deploy that it holds for.
    pub prepared: Option<Prepared>,
    /// The rules' version, as committed.
    pub committed: VersionId,
    /// A version that it waits for.
    pub wants: Option<VersionId>,
    /// Why the local store can't take its state; the worker knows.
    pub unstored: Option<Arc<str>>,
    /// Its deploy is over a budget: why, and whether it has stopped for that.
    pub trouble: Option<(String, bool)>,
}

impl Task {
    /// Its number.
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// The rules that its next step takes.
    pub fn wiring(&self) -> &Arc<Wiring> {
        &self.wiring
    }

    /// The deploy that it took over last.
    pub fn deployed(&self) -> Number {
        self.schedule.deployed()
    }

    /// Event time of the last step; none before the first.
    pub fn last_time(&self) -> Option<Millis> {
        (*self.progress.last() != StepKey::Start).then(|| self.progress.time())
    }

    /// The rules that its last committed steps took.
    pub fn committed_wiring(&self) -> &Arc<Wiring> {
        &self.ledger.committed().wiring
    }

    /// Where reading must go on, by rank: after opening, and after each [`abort`](Task::abort).
    pub fn positions(&self) -> impl Iterator<Item = (Rank, Offset)> {
        (0..self.arrivals.inputs()).map(|rank| (rank, self.arrivals.position(rank)))
    }

    /// The next offset of an input that may arrive.
    pub fn position(&self, rank: Rank) -> Offset {
        self.arrivals.position(rank)
    }

    /// The watermark: the smallest of its partitions.
    pub fn watermark(&self) -> Millis {
        self.arrivals.watermark()
    }

    /// True for an input that should be paused for now.
    pub fn holds_back(&self, rank: Rank) -> bool {
        self.arrivals.holds_back(rank)
    }

    /// True when records that wait were lost in a scratch file, and no step can be taken: the inputs must be read again.
    pub fn is_lost(&self) -> bool {
        self.arrivals.is_lost()
    }

    /// Takes the end of a lookup. Dropped when it is not pending any more.
    pub fn offer(&mut self, id: Box<[u8]>, ending: Ending) {
        if self.state.lookups().find(&id).is_some() {
            self.schedule.offer(id, ending);
        }
    }

    /// The lookups pending in committed state, to be asked (again) after opening and after an abort.
    pub fn questions(&self) -> Vec<Question> {
        if self.schedule.keeps_journal() {
            return vec![];
        }
        self.state
            .lookups()
            .committed()
            .filter_map(|(name, pending)| {
                let index = self.state.declared_lookup(name.1)?;
                let service = self.wiring.lookups[index].service;
                Some(Question {
                    task: self.partition,
                    id: pending.id,
                    service,
                    request: pending.request.into_vec(),
                })
            })
            .collect()
    }

    /// Numbers for health and metrics.
    pub fn status(&self) -> Status {
        let ranks = 0..self.arrivals.inputs();
        let committed = &self.ledger.committed().meta;
        Status {
            partition: self.partition,
            watermark: self.watermark(),
            last: self.progress.time(),
            waiting: self.arrivals.len(),
            buffered: ranks.clone().map(|rank| self.arrivals.buffered(rank)).collect(),
            spilled: ranks.map(|rank| self.arrivals.spilled(rank)).collect(),
            positions: committed.inputs.iter().map(|input| input.next).collect(),
            timers: self.state.timers().len(),
            lookups: self.state.lookups().len(),
            rows: self.state.rows().len(),
            state_bytes: self.state.rows().bytes(),
            changelog: self.ledger.changelog(),
            log_bytes: self.ledger.log_bytes(),
            version: self.wiring.rules.version().0,
            deployed: self.schedule.deployed(),
            prepared: self.schedule.prepared(),
            committed: committed.version,
            wants: self.schedule.wants(),
            unstored: None,
            trouble: None,
        }
    }

    /// See [`TaskState::take_misses`].
    pub fn misses(&mut self) -> impl Iterator<Item = u64> {
        self.state.take_misses()
    }

    /// Everything that the stores hold and that has not expired by the last step, sorted.
    pub fn dump(&mut self) -> Vec<Stored> {
        self.state.dump(self.progress.time())
    }

    /// Checks that these rules declare everything that is pending.
    pub fn accepts(&self, wiring: &Wiring) -> Result<(), String> {
        self.state.accepts(wiring.rules.description())
    }

    /// The timers that are set, in order.
    pub fn timers(&self) -> impl Iterator<Item = &StepKey> {
        self.state.timers().iter()
    }

    /// The name of a kind of timer.
    pub fn timer_name(&self, kind: u16) -> &str {
        self.state.timer_name(kind)
    }

    /// Committed position in the changelog.
    pub fn changelog(&self) -> Offset {
        self.ledger.changelog()
    }

    /// The next slice of a flush: see [`Rows::take_dirty`](crate::rows::Rows::take_dirty). It leaves out what has expired by the
    /// last committed step.
    pub fn take_dirty(&mut self, budget: usize, into: &mut Dirty) -> bool {
        let now = self.committed().last.time();
        self.state.take_dirty(budget, now, into)
    }

    /// The local store has no row: after it was wiped.
    pub fn mark_dirty(&mut self) {
        self.state.mark_dirty();
    }

    /// The stamp of the stored state that it was restored from; none: from the changelog alone.
    pub fn stored(&self) -> Option<Offset> {
        self.ledger.stored()
    }

    /// Bytes of changelog since the last flush began.
    pub fn unflushed(&self) -> u64 {
        self.ledger.unflushed()
    }

    /// A flush begins now.
    pub fn begin_flush(&mut self) {
        self.ledger.begin_flush();
    }

    /// Everything but rows that a local store keeps, as committed.
    pub fn aside(&self) -> Delta {
        self.state.committed_aside(self.committed())
    }

    /// The committed meta.
    pub fn committed(&self) -> &Meta {
        &self.ledger.committed().meta
    }

    fn bind(&mut self, wiring: Arc<Wiring>) {
        self.state.bind(wiring.rules.description());
        self.stepper.restart(wiring.batch);
        self.wiring = wiring;
    }
}
