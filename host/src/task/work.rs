//! The work of a task: it takes arrivals, follows its schedule, takes steps, and seals its epoch.
//!
//! Rules:
//! - Everything that the task does or decides goes into the open epoch. So dropping the epoch drops all of it.
//! - Decisions about arrivals, and which version takes over where, are journaled.
//! - The delta and the input offsets of an epoch go into one transaction. At most one epoch is sealed.

use super::Task;
use super::epoch::{Epoch, Piece};
use super::ledger::Snapshot;
use super::live::LivePort;
use super::schedule::{CantHold, Moment};
use super::undeclared::Letters;
use crate::arrivals::{Arrived, Demand, Heartbeat, SchemaAwaited};
use crate::binding::{Sources, Wiring};
use crate::deploy::protocol::{Committed, ControlRecord, Decision, nonce};
use crate::deploy::{Prepare, RulesSchedule};
use crate::fault::fault;
use crate::log::{Chunk, InputOffset};
use crate::metrics::DeadLetterReason;
use crate::record::journal::{JournalEntry, JournalInput};
use crate::record::{Millis, Number, Offset, Partition, Rank, StepKey};
use crate::shadow::{Begin, Link};
use crate::state::meta::Meta;
use crate::step::{self, Guest, Tally};
use std::sync::Arc;
use std::time::Duration;

impl Task {
    /// Takes records of an input. `wall` is the wall clock. An error says why some of them wait for their schema; none
    /// is lost.
    pub fn arrive(
        &mut self,
        chunk: Chunk,
        sources: &mut Sources,
        wall: Millis,
        epoch: &mut Epoch,
    ) -> Result<(), SchemaAwaited> {
        let arrived = self.arrivals.push(chunk, sources, wall);
        self.arrived(arrived, wall, epoch)
    }

    /// Tries the records again that wait for a schema.
    pub fn retry_schemas(
        &mut self,
        sources: &mut Sources,
        wall: Millis,
        epoch: &mut Epoch,
    ) -> Result<(), SchemaAwaited> {
        for rank in self.arrivals.ranks() {
            while let Some(arrived) = self.arrivals.retry(rank, sources, wall) {
                self.arrived(arrived, wall, epoch)?;
            }
        }
        Ok(())
    }

    /// Whether records wait for a schema.
    pub fn waits_for_schema(&self) -> bool {
        self.arrivals.waits_for_schema()
    }

    fn arrived(&mut self, arrived: Arrived, wall: Millis, epoch: &mut Epoch) -> Result<(), SchemaAwaited> {
        let rank = arrived.rank;
        for (offset, verdict) in arrived.verdicts {
            let entry = JournalEntry::Verdict { rank, offset, verdict };
            epoch.journal(self.layout.journal, self.partition, wall, &entry);
        }
        if arrived.foreign > 0 {
            Tally::add(&mut self.ledger.tally().foreign, usize::from(rank), arrived.foreign);
        }
        arrived.waits.map_or(Ok(()), Err)
    }

    /// Takes a proof that an input's log ended at `end`, at the monotonic time `now`.
    pub fn prove_end(&mut self, rank: Rank, end: Offset, now: Duration) {
        self.arrivals.prove_end(rank, end, now);
    }

    /// Moves the watermarks of idle inputs, if something waits for that. While a journal is followed, it has the
    /// heartbeats.
    pub fn advance_idle_inputs(&mut self, now: Duration, wall: Millis, epoch: &mut Epoch) {
        if self.schedule.follows_journal() {
            return;
        }
        let demand = Demand {
            timer: self.state.timers().first().map(StepKey::time),
            takeover: self.schedule.approaching().map(|next| next.at),
            until: self.schedule.bound(),
        };
        let heartbeats = self.arrivals.idle_heartbeats(now, &demand);
        self.journal_heartbeats(heartbeats, wall, epoch);
    }

    /// Moves event time to `target` on every input, as if all of them had been silent. For tests that move time by
    /// hand.
    pub fn advance_event_time(&mut self, target: Millis, wall: Millis, epoch: &mut Epoch) {
        if !self.schedule.follows_journal() {
            let heartbeats = self.arrivals.heartbeats_up_to(target);
            self.journal_heartbeats(heartbeats, wall, epoch);
        }
    }

    fn journal_heartbeats(&self, heartbeats: Vec<Heartbeat>, wall: Millis, epoch: &mut Epoch) {
        for Heartbeat { rank, position, time } in heartbeats {
            let entry = JournalEntry::Heartbeat { rank, position, time };
            epoch.journal(self.layout.journal, self.partition, wall, &entry);
        }
    }

    /// Takes what the control topic says. The task's answer, and its promise to hold, go into the open epoch.
    pub fn follow_schedule(&mut self, rules: &Arc<RulesSchedule>, moment: &Moment, epoch: &mut Epoch) {
        if self.schedule.update(rules) {
            if self.schedule.drop_promise() {
                epoch.touched.insert(self.partition);
            }
            if let Some(prepare) = self.schedule.question() {
                self.answer(&prepare, moment, epoch);
            }
            self.follow_shadow(epoch);
            self.schedule.settle();
        }
        // It may have been told this while it followed its journal.
        if let Some((instead, wiring)) = self.schedule.replacement() {
            if !fault!("way-back-not-journaled") {
                self.journal_rules(instead, epoch);
            }
            self.take_over(instead.number, wiring, epoch);
        }
    }

    /// Holds for a deploy, or refuses it.
    fn answer(&mut self, prepare: &Prepare, moment: &Moment, epoch: &mut Epoch) {
        let (number, task) = (prepare.number, self.partition);
        epoch.urgent = true;
        let last = self.progress.time();
        if let Err(why) = self.may_hold(prepare, last) {
            self.schedule.refuse(number);
            let why = format!("task {task}: {why}");
            tracing::warn!(deploy = number, why, "a deploy is refused");
            let decision = Decision::Cancel(why);
            return self.write_control(&ControlRecord::Decision { number, decision }, epoch);
        }
        let position = self.schedule.hold(prepare, moment, last);
        self.write_control(&ControlRecord::Answer { number, task, position }, epoch);
    }

    fn may_hold(&self, prepare: &Prepare, last: Millis) -> Result<(), CantHold> {
        match self.schedule.may_hold(prepare, last)? {
            Some(wiring) => Ok(self.accepts(wiring)?),
            None => Ok(()),
        }
    }

    /// Notes how far event time has come. Called a few times in each 100 ms.
    pub fn note_speed(&mut self, now: Duration) {
        self.schedule.note_speed(now, self.progress.time());
    }

    /// Writes to the control topic, in the transaction of the open epoch.
    fn write_control(&mut self, record: &ControlRecord, epoch: &mut Epoch) {
        // An epoch that is done again writes the same record again, not another one.
        let own = nonce(&[
            b"task",
            &self.partition.0.to_be_bytes(),
            &self.ledger.changelog().0.to_be_bytes(),
        ]);
        let (key, value) = (record.key(&own), record.value());
        epoch.write(Piece {
            topic: self.layout.control,
            partition: Partition(0),
            timestamp: 0,
            key: Some(&key),
            value: Some([&value, &[]]),
        });
        epoch.touched.insert(self.partition);
    }

    /// Whether a final step is held back only by a deploy that is not decided, or whose version is not compiled.
    pub fn is_held_back(&mut self) -> bool {
        let Some(from) = self.schedule.held_from() else {
            return false;
        };
        let watermark = self.watermark();
        let waits = |time: Option<Millis>| time.is_some_and(|time| (from..watermark).contains(&time));
        from < watermark && (waits(self.arrivals.earliest()) || waits(self.state.timers().first().map(StepKey::time)))
    }

    /// Does what the journal says here: offers the next reply, or lets a version take over.
    fn follow_journal(&mut self, epoch: &mut Epoch) {
        while let Some(says) = self.schedule.follow_journal(self.progress.last()) {
            match says.wiring {
                Some(wiring) => self.take_over(says.number, wiring, epoch),
                None => {
                    tracing::error!(
                        task = self.partition.0,
                        deploy = says.number,
                        "the journal says that a version took over here, but the control topic doesn't know it; the current version continues"
                    );
                    self.progress.journaled();
                }
            }
        }
        if self.schedule.end_journal(self.progress.last()) {
            // So that this is committed even if no step comes.
            epoch.touched.insert(self.partition);
        }
    }

    /// Lets the next deploy take over, if the next step is of its time or later. Returns whether it did.
    fn take_over_if_due(&mut self, epoch: &mut Epoch) -> bool {
        let watermark = self.watermark();
        let first_step = || {
            let record = self.arrivals.peek(watermark, 0).map(|record| record.time());
            let timer = self.state.timers().first().map(StepKey::time);
            record.into_iter().chain(timer).min()
        };
        let Some((next, wiring)) = self
            .schedule
            .due(watermark, first_step, !self.state.lookups().is_empty())
        else {
            return false;
        };
        self.journal_rules(next, epoch);
        self.take_over(next.number, wiring, epoch);
        true
    }

    /// Journals that this version takes over here.
    fn journal_rules(&self, next: Committed, epoch: &mut Epoch) {
        let what = JournalInput::Rules {
            version: next.version,
            number: next.number,
        };
        let entry = JournalEntry::After {
            anchor: self.progress.last().clone(),
            sequence: self.progress.sequence(),
            what,
        };
        epoch.journal(self.layout.journal, self.partition, next.at.max(0), &entry);
    }

    /// Switches to this version from the next step on. What is pending and unknown to it goes to the dead letters.
    fn take_over(&mut self, number: Number, wiring: Arc<Wiring>, epoch: &mut Epoch) {
        if let Some(shadow) = self.shadow.take() {
            shadow.end("other rules have taken over");
        }
        let (task, before) = (self.partition, self.wiring.clone());
        let undeclared = self.state.drop_undeclared(wiring.rules.description());
        let letters = Letters {
            layout: &self.layout,
            partition: task,
            names: self.state.names(),
            last: self.progress.time(),
            version: wiring.rules.version(),
        };
        let dropped = letters.write(&undeclared, epoch);
        self.ledger.tally().dead_letters[DeadLetterReason::Dropped as usize] += dropped;
        self.bind(wiring);
        self.progress.journaled();
        let counters = |of: &Wiring| of.rules.description().counters.clone();
        self.ledger
            .tally()
            .carry_counts(&counters(&before), &counters(&self.wiring));
        self.write_control(&ControlRecord::Taken { task, number }, epoch);
        tracing::info!(task = task.0, deploy = number, version = %self.wiring.rules.version(), "takes over");
        self.schedule.take_over(number);
    }

    /// Starts the shadow that the schedule asks for, or ends one that is over.
    fn follow_shadow(&mut self, epoch: &mut Epoch) {
        let wanted = self.schedule.rules().shadow.as_ref();
        let same = |link: &Link| wanted.is_some_and(|wanted| Arc::ptr_eq(wanted, link.trial()));
        if self.shadow.as_deref().is_some_and(same) {
            return;
        }
        if let Some(old) = self.shadow.take() {
            old.end("it is over");
        }
        if let Some(trial) = wanted.filter(|trial| !trial.has_begun(self.partition)).cloned() {
            if fault!("shadow-goes-live") {
                self.bind(trial.plan.wiring.clone());
            }
            self.shadow = Some(Box::new(Link::new(trial, self.partition)));
            // A shadow starts at the end of an epoch. This makes that happen soon, even if no step comes.
            epoch.touched.insert(self.partition);
        }
    }

    /// Takes the next steps, at most one batch. Returns false if there are none now.
    pub fn run(&mut self, guest: &mut Guest, sources: &mut Sources, epoch: &mut Epoch) -> bool {
        self.follow_journal(epoch);
        if !Arc::ptr_eq(&guest.wiring, &self.wiring) {
            // The journal has just changed the version. The caller comes back with the guest of that version.
            return true;
        }
        if !self.schedule.may_step() {
            return false;
        }
        let mut port = LivePort {
            partition: self.partition,
            layout: &self.layout,
            arrivals: &mut self.arrivals,
            schedule: &mut self.schedule,
            progress: &mut self.progress,
            tally: self.ledger.tally(),
            shadow: self.shadow.as_deref_mut(),
            epoch,
        };
        let mut context = step::Context {
            state: &mut self.state,
            guest,
            sources,
            port: &mut port,
        };
        if !self.stepper.step(&mut context) {
            // The next steps may belong to another version.
            return self.take_over_if_due(epoch);
        }
        epoch.touched.insert(self.partition);
        true
    }

    /// Seals the open epoch and starts another one. The delta and the offsets of all inputs go into its transaction.
    ///
    /// # Panics
    /// If an epoch is already sealed.
    pub fn seal(&mut self, epoch: &mut Epoch) {
        let mut meta = Meta {
            fingerprint: self.layout.fingerprint,
            inputs: self.arrivals.meta(),
            last: self.progress.last().clone(),
            sequence: self.progress.sequence(),
            version: self.wiring.rules.version().0,
            deployed: self.schedule.deployed(),
            prepared: self.schedule.prepared(),
            // The state fills this in, and the round below if a new one starts.
            sweep: vec![],
            follows: self.schedule.follows(),
            round: self.ledger.committed().meta.round,
        };
        let timestamp = self.last_time().unwrap_or(0).max(0);
        let (topic, partition) = (self.layout.changelog, self.partition);
        let delta = self.state.seal(&mut meta, self.ledger.changelog(), |record| {
            epoch.write(Piece {
                topic,
                partition,
                timestamp,
                key: None,
                value: Some([record, &[]]),
            });
        });
        if self.shadow.is_some() {
            self.seal_shadow();
        }
        for (rank, input) in self.arrivals.ranks().zip(&meta.inputs) {
            epoch.transaction.offsets.push(InputOffset {
                topic: rank.topic(),
                partition: self.partition,
                offset: input.next,
            });
        }
        let wiring = self.wiring.clone();
        self.ledger.seal(Snapshot { meta, wiring }, delta);
    }

    /// The sealed epoch is about to be dropped here, and nobody knows whether it is committed.
    pub fn doubt(&mut self) {
        if let Some(shadow) = &mut self.shadow {
            shadow.doubt(self.state.rows());
        }
    }

    /// Tells the shadow that the open epoch is sealed, with the state as it is now.
    fn seal_shadow(&mut self) {
        let watermark = self.watermark().min(self.schedule.bound());
        let waiting = self.arrivals.earliest();
        let timer = self.state.timers().first().map(|timer| timer.time());
        // Everything that is still to come is at this time or later.
        let until = [waiting, timer].into_iter().flatten().fold(watermark, i64::min);
        let follows = self.schedule.follows_journal();
        let end = self.tape_end();
        let Some(link) = &mut self.shadow else { return };
        let begin = || (!follows).then(|| Begin::new(&self.wiring, &self.state, self.progress.last()));
        link.seal(end, begin, until);
    }
}
