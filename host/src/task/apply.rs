//! Taking steps: the rules run on a batch, and their effects are applied input by input.
//!
//! Rules:
//! - Before an input's effects are taken, the input must still be the next of the task's order: a timer set meanwhile may be
//!   due before it, a timer of the batch may be cancelled or set anew, a lookup asked anew. Else the rest is dropped, and
//!   handed over again.
//! - All effects of an input are checked before the first is applied.
//! - A trap never costs more than its own input: the batch is halved until the trapping input stands alone; run again
//!   in a fresh instance with ten times the time, it goes to the dead letters, and the verdict is journaled.

use super::epoch::{Epoch, Piece};
use super::plan::{Planned, What};
use super::sources::Sources;
use super::tally::Tally;
use super::wiring::Form;
use super::{Guest, Task};
use crate::journal::{Entry as Journaled, Happening as Journal};
use crate::lookups::{self, Pending};
use crate::metrics::{DeadLetter, cpu_time};
use crate::murmur2;
use crate::record::{FOREVER, StepKey};
use crate::rules::{Action, Effect, Effects, Kind, verify};
use crate::service::Question;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// How much longer an input may take that stands alone, after a trap.
const PATIENCE: u32 = 10;

impl Task {
    /// Takes the next steps, at most one batch of them. False: there is none now.
    pub fn run(&mut self, guest: &mut Guest, sources: &mut Sources, epoch: &mut Epoch) -> bool {
        self.follow_journal(epoch);
        if !Arc::ptr_eq(&guest.wiring, &self.wiring) {
            // The journal has just said so: with its sandbox, then.
            return true;
        }
        if !self.schedule.may_step() {
            return false;
        }
        if !self.plan(guest, sources) {
            // The next steps may be another version's.
            return self.take_over_if_due(epoch);
        }
        epoch.touched.insert(self.partition);
        if self.batch.inputs.is_empty() {
            self.apply(&Effects::default(), guest, epoch);
            return true;
        }
        match self.call(guest, 1) {
            Ok(effects) => match verify(&effects, self.batch.inputs.len(), guest.wiring.rules.description()) {
                Ok(()) => {
                    self.limit = (self.limit * 2).min(guest.wiring.batch);
                    self.apply(&effects, guest, epoch);
                }
                // Those before it are in order, and are taken when the batch is planned again, up to it.
                Err(wrong) if wrong.input > 0 => self.limit = wrong.input,
                Err(wrong) if self.batch.inputs.len() > 1 => {
                    let _ = wrong;
                    self.limit = 1;
                }
                Err(wrong) => self.bury(wrong.what, guest, epoch),
            },
            Err(_) if self.batch.inputs.len() > 1 => self.limit = (self.batch.inputs.len() / 2).max(1),
            Err(_) => match self.call(guest, PATIENCE) {
                Ok(effects) if verify(&effects, 1, guest.wiring.rules.description()).is_ok() => {
                    self.apply(&effects, guest, epoch);
                }
                Ok(_) => {
                    let why = "the rules returned effects that can't be applied".to_owned();
                    self.bury(why, guest, epoch);
                }
                Err(reason) => {
                    self.journal_trap(&reason, guest, epoch);
                    self.bury(reason, guest, epoch);
                }
            },
        }
        true
    }

    fn call(&mut self, guest: &mut Guest, patience: u32) -> Result<Effects, String> {
        self.view.calls = 0;
        // Clocks for the metrics only: no result depends on them.
        let (before, cpu) = (Instant::now(), cpu_time());
        let result = match guest.sandbox() {
            Ok(sandbox) => sandbox.process(&self.batch, &mut self.view, patience),
            Err(trap) => Err(trap),
        };
        self.ledger.tally().calls += 1;
        self.ledger.tally().inputs += self.batch.inputs.len() as u64;
        let took = before.elapsed();
        self.ledger.tally().guest_nanos += took.as_nanos() as u64;
        let spent = cpu_time().saturating_sub(cpu);
        guest.spent += spent;
        self.ledger.tally().guest_cpu_nanos += spent.as_nanos() as u64;
        if patience > 1 {
            guest
                .faults
                .slow(took, "an input that needed more time than rules.time_limit");
        }
        result.map_err(|trap| {
            self.ledger.tally().traps += 1;
            guest.renew();
            if trap.kind == Kind::Time {
                guest.faults.slow(took, &trap.text);
            }
            trap.to_string()
        })
    }

    /// The one input of the call is refused.
    fn bury(&mut self, reason: String, guest: &mut Guest, epoch: &mut Epoch) {
        for planned in &mut self.plan {
            if planned.input.take().is_some() {
                planned.kind = DeadLetter::Trap;
                planned.dead.clone_from(&reason);
            }
        }
        self.fault(&reason, guest);
        self.apply(&Effects::default(), guest, epoch);
    }

    fn journal_trap(&mut self, reason: &str, guest: &Guest, epoch: &mut Epoch) {
        let Some(planned) = self.plan.iter().find(|planned| planned.input.is_some()) else {
            return;
        };
        let (step, sequence) = match planned.step() {
            Some(step) => (step, None),
            None => (self.last.clone(), Some(self.sequence)),
        };
        let version = guest.wiring.rules.version().0;
        let entry = Journaled::Trapped {
            step,
            sequence,
            version,
            reason: reason.to_owned(),
        };
        epoch.journal(self.layout.journal, self.partition, planned.time, &entry);
    }

    /// An input goes to the dead letters by the rules' fault. (Again, by a journal that is followed: it was counted then.)
    fn fault(&mut self, reason: &str, guest: &mut Guest) {
        self.ledger.tally().faults += 1;
        if !self.schedule.follows_journal() {
            guest.faults.fault(reason);
        }
    }

    /// Applies the effects of the planned steps, in order, until one is not next any more.
    fn apply(&mut self, effects: &Effects, guest: &mut Guest, epoch: &mut Epoch) {
        guest.faults.handed(self.batch.inputs.len());
        let mut plan = std::mem::take(&mut self.plan);
        self.tape(&plan);
        let (mut from, mut taken) = (0, 0);
        for planned in &mut plan {
            if !self.still_next(planned) {
                self.ledger.tally().cuts += 1;
                break;
            }
            let mut range = from..from;
            if let Some(input) = planned.input {
                while effects.effects.get(range.end).is_some_and(|effect| effect.of == input) {
                    range.end += 1;
                }
                from = range.end;
                if let Err(why) = self.check(effects, range.clone(), guest) {
                    self.fault(&why, guest);
                    planned.dead = why;
                    planned.kind = DeadLetter::Trap;
                    range = from..from;
                }
            }
            self.take(planned, epoch);
            if planned.dead.is_empty() {
                self.apply_input(planned, effects, range, guest, epoch);
            }
            if !planned.dead.is_empty() {
                self.dead_letter(planned, guest, epoch);
            }
            self.leave(planned);
            taken += 1;
        }
        self.tape_taken(&plan[..taken], effects);
        self.plan = plan;
    }

    /// Is this still the next step?
    fn still_next(&self, planned: &Planned) -> bool {
        match &planned.what {
            What::Record(entry) => self.timers.first().is_none_or(|timer| entry.time <= timer.time()),
            What::Timer(step) => self.timers.first() == Some(step),
            What::Reply { id, .. } => self.lookups.find(id).is_some(),
        }
    }

    /// The step is taken: it is gone from where it waited.
    fn take(&mut self, planned: &Planned, epoch: &mut Epoch) {
        match &planned.what {
            What::Record(entry) => {
                let rank = usize::from(entry.rank);
                Tally::add(&mut self.ledger.tally().records, rank, 1);
                if entry.late {
                    Tally::add(&mut self.ledger.tally().late, rank, 1);
                }
                self.last = entry.step();
                self.sequence = 0;
            }
            What::Timer(step) => {
                if let StepKey::Timer { time, key, kind, tag } = step {
                    self.timers.take(key, *kind, tag);
                    self.delta.cancel_timer(key, *time, *kind, tag);
                }
                self.last = step.clone();
                self.sequence = 0;
            }
            What::Reply { name, id, ending } => {
                self.lookups.take(name);
                self.delta.answered(&name.0, name.1, &name.2);
                if !self.schedule.take_given(id) {
                    let what = Journal::Reply {
                        id: id.clone(),
                        answer: ending.clone(),
                    };
                    let entry = Journaled::After {
                        anchor: self.last.clone(),
                        sequence: self.sequence,
                        what,
                    };
                    epoch.journal(self.layout.journal, self.partition, planned.time, &entry);
                }
                self.schedule.take_reply();
            }
        }
    }

    /// The step is done: what it stood on may go.
    fn leave(&mut self, planned: &Planned) {
        match &planned.what {
            What::Record(entry) => {
                self.order.pop();
                self.inboxes[usize::from(entry.rank)].done(entry.ticket);
                self.shelf.done(entry.chunk);
            }
            What::Timer(_) => {}
            What::Reply { .. } => self.sequence += 1,
        }
    }

    /// Are the datums of an input's effects what they should be? Nothing can fail after this.
    fn check(&self, effects: &Effects, range: Range<usize>, guest: &Guest) -> Result<(), String> {
        for effect in &effects.effects[range] {
            let datum = effect.value.of(&effects.bytes);
            let (valid, what) = match effect.what {
                Action::Send | Action::SendKeyed => (&guest.wiring.outputs[usize::from(effect.on)].valid, "output"),
                Action::Ask => (&guest.wiring.lookups[usize::from(effect.on)].valid, "request"),
                Action::Put => (&guest.wiring.stores[usize::from(effect.on)], "entry of a store"),
                _ => continue,
            };
            valid
                .check(datum)
                .map_err(|e| format!("the rules made an {what} that is not of its schema: {e}"))?;
        }
        Ok(())
    }

    fn apply_input(
        &mut self,
        planned: &mut Planned,
        effects: &Effects,
        range: Range<usize>,
        guest: &Guest,
        epoch: &mut Epoch,
    ) {
        let Some(input) = planned.input else { return };
        let mut asked = 0;
        for index in range {
            let effect = &effects.effects[index];
            let on = usize::from(effect.on);
            let name = effect.name.of(&effects.bytes);
            let value = effect.value.of(&effects.bytes);
            let key = self.batch.inputs[input as usize].key.of(&self.batch.bytes);
            let slot = self.view.inputs[input as usize].0;
            match effect.what {
                Action::Put => {
                    let ids = self.view.stores[on];
                    let expires = if effect.at == i64::MAX { FOREVER } else { effect.at };
                    self.view.rows.put(slot, ids.store, ids.schema, name, value, expires);
                    self.delta.put(key, ids.store, ids.schema, name, expires, value);
                }
                Action::Delete => {
                    let store = self.view.stores[on].store;
                    if self.view.rows.delete(slot, store, name) {
                        self.delta.delete(key, store, name);
                    }
                }
                Action::Clear => self.clear(input, on, name),
                Action::Send | Action::SendKeyed | Action::Tombstone | Action::TombstoneKeyed => {
                    self.output(effect, input, effects, index, guest, epoch);
                }
                Action::SetTimer => {
                    let kind = self.ids.timers[on];
                    let (at, old) = self.timers.set(key, kind, name, effect.at, planned.time);
                    if let Some(old) = old {
                        self.delta.cancel_timer(key, old, kind, name);
                    }
                    self.delta.set_timer(key, at, kind, name);
                }
                Action::CancelTimer => {
                    let kind = self.ids.timers[on];
                    if let Some(at) = self.timers.take(key, kind, name) {
                        self.delta.cancel_timer(key, at, kind, name);
                    }
                }
                Action::Ask => {
                    let wire = &guest.wiring.lookups[on];
                    let mut request = vec![];
                    // The datum was checked just before.
                    if wire.url.render(value, &mut request).is_err() {
                        continue;
                    }
                    let lookup = self.ids.lookups[on];
                    let id = lookups::id(&self.last, self.asking_sequence(planned), asked);
                    asked += 1;
                    self.delta.ask(key, lookup, name, &id, &request);
                    let pending = Pending {
                        id: id.clone(),
                        request: request.clone().into(),
                    };
                    self.lookups.ask((key.into(), lookup, name.into()), pending);
                    if !self.schedule.follows_journal() {
                        let service = wire.service;
                        epoch.questions.push(Question {
                            task: self.partition,
                            id,
                            service,
                            request,
                        });
                    }
                }
                Action::Count => Tally::add(&mut self.ledger.tally().counts, on, effect.at.max(0) as u64),
                Action::Reject => {
                    planned.dead = String::from_utf8_lossy(value).into_owned();
                    planned.kind = DeadLetter::Rejected;
                }
            }
        }
    }

    /// A record or a timer asks as number 0; a reply by its own number among those after the anchor, from 1.
    fn asking_sequence(&self, planned: &Planned) -> u64 {
        match planned.what {
            What::Reply { .. } => self.sequence + 1,
            _ => 0,
        }
    }

    fn clear(&mut self, input: u32, on: usize, prefix: &[u8]) {
        let (slot, _) = self.view.inputs[input as usize];
        let key = self.batch.inputs[input as usize].key.of(&self.batch.bytes);
        let store = self.view.stores[on].store;
        let mut entries: Vec<Box<[u8]>> = vec![];
        // Before the beginning of time nothing is expired: what is dead goes too.
        self.view
            .rows
            .scan(slot, store, prefix, None, i64::MIN, usize::MAX, &mut |entry, _| {
                entries.push(entry.into())
            });
        for entry in entries {
            self.view.rows.delete(slot, store, &entry);
            self.delta.delete(key, store, &entry);
        }
    }

    fn output(
        &mut self,
        effect: &Effect,
        input: u32,
        effects: &Effects,
        index: usize,
        guest: &Guest,
        epoch: &mut Epoch,
    ) {
        let wire = &guest.wiring.outputs[usize::from(effect.on)];
        let keyed = matches!(effect.what, Action::SendKeyed | Action::TombstoneKeyed);
        let key = match keyed {
            true => effect.name.of(&effects.bytes),
            false => self.batch.inputs[input as usize].key.of(&self.batch.bytes),
        };
        let mut text = vec![];
        let value = match (effect.what, &wire.form) {
            (Action::Tombstone | Action::TombstoneKeyed, _) => None,
            (_, Form::Avro(prefix)) => Some([prefix.as_slice(), effect.value.of(&effects.bytes)]),
            (_, Form::Json(json)) => {
                // The datum was checked just before.
                let _ = json.convert(effect.value.of(&effects.bytes), &mut text);
                Some([text.as_slice(), &[]])
            }
        };
        let partition = murmur2::partition(key, wire.partitions);
        Tally::add(
            &mut self.ledger.tally().outputs,
            usize::from(wire.topic - self.layout.outputs),
            1,
        );
        epoch.write(Piece {
            topic: wire.topic,
            partition,
            timestamp: effect.at,
            key: Some(key),
            value,
        });
        if effects.headers.is_empty() {
            return;
        }
        let of_this = |header: &&crate::rules::Header| header.of as usize == index;
        for header in effects.headers.iter().filter(of_this) {
            let name = String::from_utf8_lossy(header.name.of(&effects.bytes)).into_owned();
            epoch.header(&name, header.value.of(&effects.bytes));
        }
    }
}
