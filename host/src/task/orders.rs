//! Which version of the rules a task's next steps take: what the control topic orders, and what follows from it here.
//!
//! Rules:
//! - A task that holds for a deploy takes no step of its time or a later one. That it holds stands in its meta, and its answer
//!   on the control topic, in one transaction. A deploy for "now" has no time yet: a task holds from where it will be soon.
//! - A deploy takes over in front of the first step of its time or a later one, in the transaction of that step, and the
//!   journal says so. The task's meta says which one it took over last; nothing else decides the version of its steps.
//! - When all before its time is final, and no reply can come, it takes over without a step: the next one is its.
//! - A task whose deploy is withdrawn goes back before it takes another step or reply, and the journal says so.
//! - All of it is one bound of the order's release ([`Task::until`]): a step costs nothing more.

use super::epoch::{Epoch, Piece};
use super::shadow::Trial;
use super::stride::Moment;
use super::{Task, Wiring};
use crate::control::{self, Committed, Number, Order, Record, VersionId, Withdrawn, nonce};
use crate::journal::{Entry, Happening};
use crate::meta::{Meta, Prepared};
use crate::metrics::DeadLetter;
use crate::record::{FOREVER, Millis, NEVER, StepKey};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// What the tasks of an instance are told; made anew at each change.
#[derive(Clone, Default)]
pub struct Orders {
    /// All committed deploys, by number.
    pub committed: Vec<Committed>,
    /// Those that were withdrawn.
    pub withdrawn: Vec<Withdrawn>,
    /// Those whose tasks stop when they are over their budget.
    pub stops: BTreeSet<Number>,
    /// Every deploy up to this one is decided.
    pub decided: Number,
    /// The deploy that tasks shall hold for.
    pub prepare: Option<Prepare>,
    /// The versions that are compiled.
    pub wirings: BTreeMap<VersionId, Arc<Wiring>>,
    /// The shadow that runs beside.
    pub shadow: Option<Arc<Trial>>,
}

/// A deploy that tasks shall hold for. Its version is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prepare {
    /// Its number.
    pub number: Number,
    /// Its version.
    pub version: VersionId,
    /// From this time on; none: from where the tasks are.
    pub at: Option<Millis>,
    /// What is pending and unknown to it goes to the dead letters.
    pub drop_timers: bool,
}

impl Orders {
    /// One version, from the beginning on.
    pub fn only(wiring: Arc<Wiring>) -> Orders {
        let mut orders = Orders::default();
        orders.commit(NEVER, wiring);
        orders
    }

    /// One more version, from a time on.
    pub fn commit(&mut self, at: Millis, wiring: Arc<Wiring>) {
        self.decided += 1;
        let (number, version) = (self.decided, wiring.rules.version().0);
        self.committed.push(Committed { number, version, at });
        self.wirings.insert(version, wiring);
    }

    /// The version that a task opens with: that of its meta, and of one without any the first. Err: it is not compiled here.
    pub fn opening(&self, meta: Option<&Meta>) -> Result<(Number, &Arc<Wiring>), VersionId> {
        let (number, version) = match (meta, self.committed.first()) {
            (Some(meta), _) => (meta.deployed, meta.version),
            (None, Some(first)) => (first.number, first.version),
            (None, None) => return Err([0; 32]),
        };
        let wiring = self.wirings.get(&version).ok_or(version)?;
        Ok((number, wiring))
    }
}

impl Task {
    /// Follows new orders. What it answers, and that it holds, go into the open epoch.
    pub fn obey(&mut self, orders: &Arc<Orders>, moment: &Moment, epoch: &mut Epoch) {
        if self.obeyed && Arc::ptr_eq(&self.orders, orders) {
            // It may have been told while it followed its journal.
            return self.go_back(epoch);
        }
        self.orders = orders.clone();
        self.obeyed = true;
        if self.prepared.is_some_and(|held| held.number <= orders.decided) {
            self.prepared = None;
            epoch.touched.insert(self.partition);
        }
        if let Some(prepare) = orders.prepare
            && prepare.number > orders.decided
            && self.prepared.is_none()
            && self.refused < prepare.number
        {
            self.answer(prepare, moment, epoch);
        }
        self.follow_shadow(epoch);
        self.bind_order();
        self.go_back(epoch);
    }

    /// Its deploy was withdrawn: what is there instead takes over at once, or as soon as it is compiled.
    fn go_back(&mut self, epoch: &mut Epoch) {
        let Some(next) = self.next.filter(|_| self.fallen) else {
            return;
        };
        if let Some(wiring) = self.orders.wirings.get(&next.version).cloned() {
            self.journal_rules(next, epoch);
            self.take_over(next.number, wiring, epoch);
        }
    }

    /// Holds for a deploy, or refuses it. Where it may hold from when it likes, it does where it will be when the deploy is decided: so
    /// it does not stand still meanwhile.
    fn answer(&mut self, prepare: Prepare, moment: &Moment, epoch: &mut Epoch) {
        let Prepare { number, version, .. } = prepare;
        epoch.urgent = true;
        let last = self.last.time();
        if let Err(why) = self.can_take(prepare, last) {
            self.refused = number;
            let why = format!("task {}: {why}", self.partition);
            tracing::warn!(deploy = number, why, "a deploy is refused");
            let order = Order::Cancel(why);
            return self.tell(&Record::Order { number, order }, epoch);
        }
        let position = match prepare.at {
            Some(_) => last,
            None => last.saturating_add(self.stride.ahead(moment, last)),
        };
        self.prepared = Some(Prepared {
            number,
            version,
            until: prepare.at.unwrap_or(position.saturating_add(1)),
        });
        let task = self.partition;
        self.tell(&Record::Answer { number, task, position }, epoch);
    }

    /// Event time has come this far by now: a few times in each 100 ms.
    pub fn note_stride(&mut self, now: Duration) {
        self.stride.note(now, self.last.time());
    }

    fn can_take(&self, prepare: Prepare, position: Millis) -> Result<(), String> {
        if self.follows_journal() {
            return Err("it follows its journal; deploy again when it is through".into());
        }
        if let Some(at) = prepare.at
            && position >= at
        {
            return Err(format!(
                "it has come to {position} already, which is not before {at}; name a later time, or none"
            ));
        }
        match self.orders.wirings.get(&prepare.version) {
            Some(wiring) if !prepare.drop_timers => self
                .accepts(wiring)
                .map_err(|why| format!("{why}; declare it, wait until none is pending, or deploy with --drop-timers")),
            _ => Ok(()),
        }
    }

    /// Do these rules know everything that is pending?
    pub fn accepts(&self, wiring: &Wiring) -> Result<(), String> {
        let description = wiring.rules.description();
        for timer in self.timers.iter() {
            if let StepKey::Timer { kind, .. } = timer {
                let name = self.names.timers.get(usize::from(*kind)).map_or("?", String::as_str);
                if !description.timers.iter().any(|known| known == name) {
                    return Err(format!(
                        "timers of kind '{name}' are pending, and these rules don't declare it"
                    ));
                }
            }
        }
        for (name, _) in self.lookups.iter() {
            let name = self.names.lookups.get(usize::from(name.1)).map_or("?", String::as_str);
            if !description.lookups.iter().any(|known| known.name == name) {
                return Err(format!(
                    "lookups '{name}' are pending, and these rules don't declare it"
                ));
            }
        }
        Ok(())
    }

    /// Writes to the control topic, in the transaction of the open epoch.
    fn tell(&mut self, record: &Record, epoch: &mut Epoch) {
        // The same again, of an epoch that was dropped, is the same order.
        let own = nonce(&[b"task", &self.partition.to_be_bytes(), &self.changelog.to_be_bytes()]);
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

    /// Sets the bound: what is held for, and what takes over next. A journal that is followed says itself what takes over.
    pub(super) fn bind_order(&mut self) {
        self.next = None;
        self.fallen = false;
        self.until = FOREVER;
        let withdrawn = self.orders.withdrawn.iter().find(|one| one.number == self.deployed);
        if !self.obeyed {
            // Nothing is known of what was ordered meanwhile.
            self.until = NEVER;
        } else if let Some(withdrawn) = withdrawn.filter(|_| !self.follows_journal()) {
            self.next = withdrawn.instead;
            self.fallen = true;
            self.until = NEVER;
        } else if !self.follows_journal() {
            self.next = control::next(&self.orders.committed, self.deployed).copied();
            let next = self.next.map_or(FOREVER, |next| next.at);
            self.until = self.prepared.map_or(next, |held| held.until.min(next));
        }
    }

    /// Something is final, and only a deploy that is not decided, or whose version is not compiled, holds it back.
    pub fn is_held_back(&mut self) -> bool {
        if self.until == FOREVER {
            return false;
        }
        let undecided = self.prepared.is_some_and(|held| held.until == self.until);
        if !undecided && self.wants().is_none() {
            return false;
        }
        let watermark = self.watermark();
        let waits = |time: Option<Millis>| time.is_some_and(|time| (self.until..watermark).contains(&time));
        self.until < watermark && (waits(self.order.earliest()) || waits(self.timers.first().map(StepKey::time)))
    }

    /// The next deploy takes over, if the next step is of its time or a later one. True: it did.
    pub(super) fn take_over_if_due(&mut self, epoch: &mut Epoch) -> bool {
        let Some(next) = self.next.filter(|next| next.at == self.until && !self.fallen) else {
            return false;
        };
        let watermark = self.watermark();
        if self.follows_journal() || next.at >= watermark {
            return false;
        }
        let record = self.order.ready(watermark, 1).front().map(|entry| entry.time);
        let timer = self.timers.first().map(StepKey::time);
        let step = record.into_iter().chain(timer).min();
        // A step that is final comes first. Where none is, all later ones are of its time: only a reply would stand before it.
        let waits = match step.filter(|time| *time < watermark) {
            Some(time) => time < next.at,
            None => !self.lookups.is_empty(),
        };
        if waits {
            return false;
        }
        let Some(wiring) = self.orders.wirings.get(&next.version).cloned() else {
            // It is being compiled.
            return false;
        };
        self.journal_rules(next, epoch);
        self.take_over(next.number, wiring, epoch);
        true
    }

    /// "This version from here."
    fn journal_rules(&self, next: Committed, epoch: &mut Epoch) {
        let what = Happening::Rules {
            version: next.version,
            number: next.number,
        };
        let entry = Entry::After {
            anchor: self.last.clone(),
            sequence: self.sequence,
            what,
        };
        epoch.journal(self.layout.journal, self.partition, next.at.max(0), &entry);
    }

    /// From the next step on: this version. What is pending and unknown to it goes to the dead letters.
    pub(super) fn take_over(&mut self, number: Number, wiring: Arc<Wiring>, epoch: &mut Epoch) {
        if let Some(shadow) = self.shadow.take() {
            shadow.end("other rules have taken over");
        }
        self.drop_unknown(&wiring, epoch);
        let counters = std::mem::take(&mut self.tally.counts);
        let before = self.wiring.clone();
        self.bind(wiring);
        self.sequence += 1;
        self.deployed = number;
        // Counted by index: the same name keeps what was counted in this epoch.
        let names = |of: &Wiring| of.rules.description().counters.clone();
        let after = names(&self.wiring);
        for (name, count) in names(&before).iter().zip(counters) {
            if let Some(index) = after.iter().position(|known| known == name) {
                super::Tally::add(&mut self.tally.counts, index, count);
            }
        }
        let task = self.partition;
        self.tell(&Record::Taken { task, number }, epoch);
        tracing::info!(task, deploy = number, version = %self.wiring.rules.version(), "takes over");
        self.bind_order();
    }

    /// A version that this task waits for: its next steps need it.
    pub fn wants(&self) -> Option<VersionId> {
        let next = self.next.map(|next| next.version);
        self.awaited
            .or(next)
            .filter(|version| !self.orders.wirings.contains_key(version))
    }

    fn drop_unknown(&mut self, wiring: &Wiring, epoch: &mut Epoch) {
        let description = wiring.rules.description();
        let knows_timer = |id: u16| description.timers.contains(&self.names.timers[usize::from(id)]);
        let knows_lookup = |id: u16| {
            let name = &self.names.lookups[usize::from(id)];
            description.lookups.iter().any(|lookup| lookup.name == *name)
        };
        let unknown = |step: &&StepKey| matches!(step, StepKey::Timer { kind, .. } if !knows_timer(*kind));
        let timers: Vec<StepKey> = self.timers.iter().filter(unknown).cloned().collect();
        let lookups: Vec<_> = self
            .lookups
            .iter()
            .filter(|(name, _)| !knows_lookup(name.1))
            .map(|(name, _)| name.clone())
            .collect();
        let version = wiring.rules.version().to_string();
        for timer in timers {
            let StepKey::Timer { time, key, kind, tag } = &timer else {
                continue;
            };
            self.timers.take(key, *kind, tag);
            self.delta.cancel_timer(key, *time, *kind, tag);
            let name = self.names.timers[usize::from(*kind)].clone();
            self.dropped(key, tag, time.max(&0), ("pelton.timer", &name), &version, epoch);
        }
        for name in lookups {
            self.lookups.take(&name);
            self.delta.answered(&name.0, name.1, &name.2);
            let lookup = self.names.lookups[usize::from(name.1)].clone();
            let time = self.last.time().max(0);
            self.dropped(&name.0, &name.2, &time, ("pelton.lookup", &lookup), &version, epoch);
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
        self.tally.dead_letters[DeadLetter::Dropped as usize] += 1;
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
