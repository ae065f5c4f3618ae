//! What follows from a task's schedule: its answers on the control topic, and what a take-over does to its state.
//!
//! Rule: an answer, a take-over and everything that goes with it are in the transaction of the open epoch, so an epoch that is
//! dropped takes them along.

use super::epoch::{Epoch, Piece};
use super::schedule::{Moment, Prepare, RulesSchedule};
use super::{Task, Wiring};
use crate::control::{Committed, Number, Order, Record, VersionId, nonce};
use crate::journal::{Entry, Happening};
use crate::metrics::DeadLetter;
use crate::record::{Millis, StepKey};
use std::sync::Arc;
use std::time::Duration;

impl Task {
    /// Takes what the control topic has told. What the task answers, and that it holds, goes into the open epoch.
    pub fn obey(&mut self, rules: &Arc<RulesSchedule>, moment: &Moment, epoch: &mut Epoch) {
        if self.schedule.tell(rules) {
            if self.schedule.drop_promise() {
                epoch.touched.insert(self.partition);
            }
            if let Some(prepare) = self.schedule.question() {
                self.answer(&prepare, moment, epoch);
            }
            self.follow_shadow(epoch);
            self.schedule.settle();
        }
        // It may have been told while it followed its journal.
        if let Some((instead, wiring)) = self.schedule.instead() {
            self.journal_rules(instead, epoch);
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
            let order = Order::Cancel(why);
            return self.tell(&Record::Order { number, order }, epoch);
        }
        let position = self.schedule.hold(prepare, moment, last);
        self.tell(&Record::Answer { number, task, position }, epoch);
    }

    fn may_hold(&self, prepare: &Prepare, last: Millis) -> Result<(), String> {
        match self.schedule.may_hold(prepare, last)? {
            Some(wiring) => self
                .accepts(wiring)
                .map_err(|why| format!("{why}; declare it, wait until none is pending, or deploy with --drop-timers")),
            None => Ok(()),
        }
    }

    /// Event time has come this far by now: a few times in each 100 ms.
    pub fn note_stride(&mut self, now: Duration) {
        self.schedule.note_stride(now, self.progress.time());
    }

    /// Writes to the control topic, in the transaction of the open epoch.
    fn tell(&mut self, record: &Record, epoch: &mut Epoch) {
        // An epoch that is done again writes the same record again, not another one.
        let own = nonce(&[
            b"task",
            &self.partition.to_be_bytes(),
            &self.ledger.changelog().to_be_bytes(),
        ]);
        let (key, value) = (record.key(&own), record.value());
        epoch.write(Piece {
            topic: self.layout.control,
            partition: 0,
            timestamp: 0,
            key: Some(&key),
            value: Some([&value, &[]]),
        });
        epoch.touched.insert(self.partition);
    }

    /// Something is final, and only a deploy that is not decided, or whose version is not compiled, holds it back.
    pub fn is_held_back(&mut self) -> bool {
        let Some(from) = self.schedule.held_from() else {
            return false;
        };
        let watermark = self.watermark();
        let waits = |time: Option<Millis>| time.is_some_and(|time| (from..watermark).contains(&time));
        from < watermark && (waits(self.arrivals.earliest()) || waits(self.state.timers().first().map(StepKey::time)))
    }

    /// Does what the journal says of the place that is reached: the next reply is offered, a version takes over.
    pub(super) fn follow_journal(&mut self, epoch: &mut Epoch) {
        while let Some(says) = self.schedule.follow_journal(self.progress.last()) {
            match says.wiring {
                Some(wiring) => self.take_over(says.number, wiring, epoch),
                None => {
                    tracing::error!(
                        task = self.partition,
                        deploy = says.number,
                        "the journal says that a version took over here which the control topic doesn't know: the current version goes on"
                    );
                    self.progress.journaled();
                }
            }
        }
        if self.schedule.end_journal(self.progress.last()) {
            // To be committed, even if no step comes.
            epoch.touched.insert(self.partition);
        }
    }

    /// The next deploy takes over, if the next step is of its time or a later one. Returns whether it did.
    pub(super) fn take_over_if_due(&mut self, epoch: &mut Epoch) -> bool {
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
        let what = Happening::Rules {
            version: next.version,
            number: next.number,
        };
        let entry = Entry::After {
            anchor: self.progress.last().clone(),
            sequence: self.progress.sequence(),
            what,
        };
        epoch.journal(self.layout.journal, self.partition, next.at.max(0), &entry);
    }

    /// From the next step on, this version decides. What is pending and unknown to it goes to the dead letters.
    fn take_over(&mut self, number: Number, wiring: Arc<Wiring>, epoch: &mut Epoch) {
        if let Some(shadow) = self.shadow.take() {
            shadow.end("other rules have taken over");
        }
        self.drop_undeclared(&wiring, epoch);
        let counters = std::mem::take(&mut self.ledger.tally().counts);
        let before = self.wiring.clone();
        self.bind(wiring);
        self.progress.journaled();
        // Counts go by index: a counter of the same name keeps what was counted in this epoch.
        let names = |of: &Wiring| of.rules.description().counters.clone();
        let after = names(&self.wiring);
        for (name, count) in names(&before).iter().zip(counters) {
            if let Some(index) = after.iter().position(|known| known == name) {
                super::Tally::add(&mut self.ledger.tally().counts, index, count);
            }
        }
        let task = self.partition;
        self.tell(&Record::Taken { task, number }, epoch);
        tracing::info!(task, deploy = number, version = %self.wiring.rules.version(), "takes over");
        self.schedule.take_over(number);
    }

    /// A version that this task waits for: its next steps need it.
    pub fn wants(&self) -> Option<VersionId> {
        self.schedule.wants()
    }

    /// Moves what is pending and unknown to these rules to the dead letters.
    fn drop_undeclared(&mut self, wiring: &Wiring, epoch: &mut Epoch) {
        let dropped = self.state.drop_undeclared(wiring.rules.description());
        let version = wiring.rules.version().to_string();
        for timer in &dropped.timers {
            if let StepKey::Timer { time, key, kind, tag } = timer {
                let name = self.state.timer_name(*kind).to_owned();
                self.dropped(key, tag, time.max(&0), ("pelton.timer", &name), &version, epoch);
            }
        }
        for (key, lookup, tag) in &dropped.lookups {
            let name = self.state.lookup_name(*lookup).to_owned();
            let time = self.progress.time().max(0);
            self.dropped(key, tag, &time, ("pelton.lookup", &name), &version, epoch);
        }
    }

    fn dropped(
        &mut self,
        key: &[u8],
        tag: &[u8],
        time: &Millis,
        (header, name): (&str, &str),
        version: &str,
        epoch: &mut Epoch,
    ) {
        self.ledger.tally().dead_letters[DeadLetter::Dropped as usize] += 1;
        epoch.write(Piece {
            topic: self.layout.dead_letters,
            partition: self.partition,
            timestamp: *time,
            key: Some(key),
            value: Some([tag, &[]]),
        });
        let reason = format!("it was pending when rules took over that don't declare '{name}'");
        epoch.header("pelton.reason", reason.as_bytes());
        epoch.header(header, name.as_bytes());
        epoch.header("pelton.version", version.as_bytes());
    }
}
