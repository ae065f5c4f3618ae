//! The state machine of one task: its parts, how it opens, commits, and goes back to its last commit.
//!
//! Rule: only the ledger keeps what the task goes back to. Everything else is rebuilt from that.

use super::ledger::{Ledger, Snapshot};
use super::open::{Beginning, OpeningRules};
use super::progress::Progress;
use super::restore::Restored;
use super::schedule::Schedule;
use crate::arrivals::{Arrivals, Waiting};
use crate::binding::{DeployedRules, Layout, StateStatus, Status, Wiring};
use crate::deploy::RulesSchedule;
use crate::error::Failure;
use crate::record::journal::LookupEnding;
use crate::record::{Millis, Number, Offset, Partition, Rank, StepKey};
use crate::rules::Version;
use crate::service::ServiceCall;
use crate::shadow::Link;
use crate::shadow::tape::TapeEnd;
use crate::state::delta::Delta;
use crate::state::meta::Meta;
use crate::state::rows::Dirty;
use crate::state::{DumpedEntry, TaskState, Unknown};
use crate::step::{Stepper, Tally};
use std::fmt::Display;
use std::sync::Arc;

/// One task. It consists of parts, and passes data from one to the other.
pub struct Task {
    pub(super) partition: Partition,
    pub(super) layout: Arc<Layout>,
    /// The rules that the next step takes.
    pub(super) wiring: Arc<Wiring>,
    /// The records that have arrived and wait for their step.
    pub(super) arrivals: Arrivals,
    /// Rows, timers and lookups.
    pub(super) state: TaskState,
    /// The last step.
    pub(super) progress: Progress,
    /// Which version the next step takes, and whether a step may be taken at all.
    pub(super) schedule: Schedule,
    /// What is committed, and what the sealed epoch will add to it.
    pub(super) ledger: Ledger,
    /// Its link to a shadow run, if it has one.
    pub(super) shadow: Option<Box<Link>>,
    /// Takes its steps.
    pub(super) stepper: Stepper<Waiting, ()>,
}

impl Task {
    /// Opens a task on its restored state. `rules` must contain the compiled version that it begins with. `starts` says
    /// where the inputs begin, by rank, if the task has never committed.
    pub fn open(
        partition: Partition,
        layout: Arc<Layout>,
        rules: Arc<RulesSchedule>,
        mut restored: Restored,
        starts: &[Offset],
    ) -> Result<Task, Failure> {
        let fatal = |why: &dyn Display| Failure::Fatal(format!("task {partition}: {why}"));
        let (deploy, wiring) = rules.opening(restored.meta.as_ref()).map_err(|version| {
            fatal(&format_args!(
                "its rules {} are not at hand: they are neither on the control topic nor in the file",
                Version(version)
            ))
        })?;
        let wiring = wiring.clone();
        let version = wiring.rules.version().0;
        let Beginning { meta, journal } =
            Beginning::of(&mut restored, &layout, OpeningRules { deploy, version }, starts);
        let mut state = restored.state;
        state.open(&meta.sweep).map_err(|why| fatal(&why))?;
        state
            .accepts(wiring.rules.description())
            .map_err(|why| fatal(&format_args!("{why}, although they set it")))?;
        let progress = Progress::committed(&meta);
        let committed = Snapshot {
            meta,
            wiring: wiring.clone(),
        };
        let mut task = Task {
            partition,
            wiring,
            arrivals: Arrivals::new(partition, layout.clone()),
            state,
            progress,
            schedule: Schedule::open(rules, journal),
            ledger: Ledger::new(committed, restored.changelog, restored.bytes, restored.stored),
            shadow: restored.shadow,
            stepper: Stepper::default(),
            layout,
        };
        task.start_over();
        let end = task.tape_end();
        if let Some(shadow) = &mut task.shadow {
            shadow.settle(end);
        }
        Ok(task)
    }

    /// What is committed. To be called after [`abort`](Task::abort).
    pub fn into_restored(self) -> Restored {
        let (committed, changelog) = self.ledger.into_committed();
        Restored {
            state: self.state,
            meta: Some(committed.meta),
            changelog,
            shadow: self.shadow,
            ..Restored::default()
        }
    }

    /// Rebuilds everything that is not committed from the committed meta.
    fn start_over(&mut self) {
        let committed = self.ledger.committed();
        self.arrivals
            .restart(&committed.meta.inputs, committed.meta.last.clone());
        self.progress = Progress::committed(&committed.meta);
        self.schedule.start_over(&committed.meta);
        let wiring = committed.wiring.clone();
        self.bind(wiring);
    }

    pub(super) fn bind(&mut self, wiring: Arc<Wiring>) {
        self.state.bind(wiring.rules.description());
        self.stepper.restart(wiring.batch);
        self.wiring = wiring;
    }

    /// The sealed epoch is in the log, and `next` is the changelog position after it. Returns the counts of that epoch.
    pub fn commit(&mut self, next: Offset) -> Tally {
        let Some(tally) = self.ledger.commit(next) else {
            return Tally::default();
        };
        let committed = &self.ledger.committed().meta;
        let now = committed.last.time();
        self.schedule.commit(committed.follows);
        if let Some(shadow) = &mut self.shadow
            && !shadow.commit(self.state.rows(), &tally)
        {
            self.shadow = None;
        }
        self.state.commit(now);
        tally
    }

    /// Drops the sealed and the open epoch: the task goes back to its last commit. Its inputs must be read again from
    /// [`positions`](Task::positions).
    pub fn abort(&mut self) {
        self.ledger.abort();
        if let Some(shadow) = &mut self.shadow {
            shadow.abort();
        }
        self.state.abort();
        self.start_over();
    }

    /// Where the changelog may be cut, as soon as the store doesn't need what comes before either. Returned once.
    pub fn take_complete(&mut self) -> Option<Offset> {
        self.ledger.take_complete()
    }

    /// Returns, once, whether the end of a journal has been committed. Then the pending questions may be asked.
    pub fn take_resumed(&mut self) -> bool {
        self.schedule.take_may_ask()
    }

    /// Its partition number.
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// The rules that its next step takes.
    pub fn wiring(&self) -> &Arc<Wiring> {
        &self.wiring
    }

    /// The last deploy that it took over.
    pub fn deployed(&self) -> Number {
        self.schedule.deployed()
    }

    /// The event time of the last step. `None` before the first one.
    pub fn last_time(&self) -> Option<Millis> {
        (*self.progress.last() != StepKey::Start).then(|| self.progress.time())
    }

    /// The rules that its last committed step took.
    pub fn committed_wiring(&self) -> &Arc<Wiring> {
        &self.ledger.committed().wiring
    }

    /// Where reading must continue, by rank. For after opening, and after each [`abort`](Task::abort).
    pub fn positions(&self) -> impl Iterator<Item = (Rank, Offset)> {
        self.arrivals.ranks().map(|rank| (rank, self.arrivals.position(rank)))
    }

    /// The next offset that may arrive from an input.
    pub fn position(&self, rank: Rank) -> Offset {
        self.arrivals.position(rank)
    }

    /// The watermark: the smallest one of its partitions.
    pub fn watermark(&self) -> Millis {
        self.arrivals.watermark()
    }

    /// Whether this input should be paused for now.
    pub fn holds_back(&self, rank: Rank) -> bool {
        self.arrivals.holds_back(rank)
    }

    /// Whether waiting records were lost in a scratch file. Then no step can be taken until the inputs are read again.
    pub fn is_lost(&self) -> bool {
        self.arrivals.is_lost()
    }

    /// Takes the result of a lookup. It is dropped if the lookup is no longer pending.
    pub fn offer(&mut self, id: Box<[u8]>, ending: LookupEnding) {
        if self.state.lookups().find(&id).is_some() {
            self.schedule.offer(id, ending);
        }
    }

    /// The lookups pending in the committed state. They must be asked (again) after opening and after an abort.
    pub fn questions(&self) -> Vec<ServiceCall> {
        if self.schedule.keeps_journal() {
            return vec![];
        }
        self.state
            .lookups()
            .committed()
            .filter_map(|(name, pending)| {
                let index = self.state.declared_lookup(name.lookup)?;
                let service = self.wiring.lookups[index].service;
                Some(ServiceCall {
                    task: self.partition,
                    id: pending.id,
                    service,
                    request: pending.request.into_vec(),
                })
            })
            .collect()
    }

    /// Numbers for health and metrics. Its worker fills in what only the worker knows.
    pub fn status(&self) -> Status {
        let ranks = self.arrivals.ranks();
        let committed = &self.ledger.committed().meta;
        Status {
            partition: self.partition,
            watermark: self.arrivals.watermark(),
            last: self.progress.time(),
            waiting: self.arrivals.len(),
            buffered: ranks.clone().map(|rank| self.arrivals.buffered(rank)).collect(),
            spilled: ranks.map(|rank| self.arrivals.spilled(rank)).collect(),
            positions: committed.inputs.iter().map(|input| input.next).collect(),
            state: StateStatus {
                rows: self.state.rows().len(),
                timers: self.state.timers().len(),
                lookups: self.state.lookups().len(),
                bytes: self.state.rows().bytes(),
                log_bytes: self.ledger.log_bytes(),
                unstored: None,
            },
            rules: DeployedRules {
                version: self.wiring.rules.version().0,
                deployed: self.schedule.deployed(),
                prepared: self.schedule.prepared(),
                committed: committed.version,
                wants: self.schedule.wants(),
                trouble: None,
            },
            uncommitted: None,
        }
    }

    /// Where it is in its tape.
    pub(super) fn tape_end(&self) -> TapeEnd {
        TapeEnd {
            last: self.progress.last().clone(),
            sequence: self.progress.sequence(),
        }
    }

    /// Size of its rows, in bytes.
    pub fn row_bytes(&self) -> usize {
        self.state.rows().row_bytes()
    }

    /// See [`TaskState::take_misses`].
    pub fn take_misses(&mut self) -> impl Iterator<Item = u64> {
        self.state.take_misses()
    }

    /// See [`TaskState::misses`].
    pub fn misses(&self) -> &[u64] {
        self.state.misses()
    }

    /// Everything in the stores that has not expired by the last step, sorted.
    pub fn dump(&self) -> Vec<DumpedEntry> {
        self.state.dump(self.progress.time())
    }

    /// Checks that these rules declare everything that is pending.
    pub fn accepts(&self, wiring: &Wiring) -> Result<(), Unknown> {
        self.state.accepts(wiring.rules.description())
    }

    /// The timers that are set, in their order.
    pub fn timers(&self) -> impl Iterator<Item = &StepKey> {
        self.state.timers().iter()
    }

    /// The name of a kind of timer.
    pub fn timer_name(&self, kind: u16) -> &str {
        self.state.timer_name(kind)
    }

    /// The committed position in the changelog.
    pub fn changelog(&self) -> Offset {
        self.ledger.changelog()
    }

    /// Takes the next slice of a flush: see [`Rows::take_dirty`](crate::state::rows::Rows::take_dirty). It leaves out
    /// what has expired by the last committed step.
    pub fn take_dirty(&mut self, budget: usize, into: &mut Dirty) -> bool {
        let now = self.committed().last.time();
        self.state.take_dirty(budget, now, into)
    }

    /// Marks every row as not stored, because the local store was wiped.
    pub fn mark_dirty(&mut self) {
        self.state.mark_dirty();
    }

    /// The stamp of the stored state that it was restored from. `None` if it was restored from the changelog alone.
    pub fn stored(&self) -> Option<Offset> {
        self.ledger.stored()
    }

    /// Bytes of changelog since the last flush began.
    pub fn unflushed(&self) -> u64 {
        self.ledger.unflushed()
    }

    /// Notes that a flush begins now.
    pub fn begin_flush(&mut self) {
        self.ledger.begin_flush();
    }

    /// Everything committed that a local store keeps besides the rows.
    pub fn snapshot(&self) -> Delta {
        self.state.committed_snapshot(self.committed())
    }

    /// The committed meta.
    pub fn committed(&self) -> &Meta {
        &self.ledger.committed().meta
    }
}
