//! Rows, timers and lookups: reading them, and the only way to write them.
//!
//! Invariant: every write changes memory and the open epoch's delta in one call.

use super::bookkeeping::Bookkeeping;
use super::delta::Delta;
use super::ids::Ids;
use super::lookups::{LookupName, Lookups, Pending};
use super::meta::Names;
use super::rows::{RowSlot, Rows, ScanRange};
use super::timers::{TimerName, Timers};
use super::unknown::Unknown;
use super::view::{StoreIds, View};
use crate::record::{Millis, StepKey, StoreEntry};
use crate::wit::{Action, Description, Effect};

/// Rows, timers and lookups of one task, with the delta of the open epoch.
#[derive(Default)]
pub struct TaskState {
    pub(super) view: View,
    pub(super) timers: Timers,
    pub(super) lookups: Lookups,
    /// Names, and the position of the sweep, as of the open epoch.
    pub(super) bookkeeping: Bookkeeping,
    pub(super) sealed: Option<Bookkeeping>,
    pub(super) committed: Bookkeeping,
    /// The permanent ids of the names in the current rules.
    pub(super) ids: Ids,
    /// The changes of the open epoch.
    pub(super) delta: Delta,
    /// The sweep's part of the last delta. It is kept to reuse its memory.
    pub(super) swept: Delta,
}

/// The target of an effect.
#[derive(Clone, Copy, Debug)]
pub struct EffectTarget {
    /// The input that causes the effect, by its index in the batch. The effect changes the state of this input's key.
    pub input: u32,
    /// The store, kind of timer, or lookup, by its index in the rules' description.
    pub on: u16,
}

impl EffectTarget {
    /// The target of a verified effect.
    pub fn of(effect: &Effect) -> EffectTarget {
        EffectTarget {
            input: effect.of,
            on: effect.on,
        }
    }
}

/// What was removed because the rules don't declare it any more.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Undeclared {
    /// Timers of unknown kinds.
    pub timers: Vec<StepKey>,
    /// Unknown lookups.
    pub lookups: Vec<LookupName>,
}

// Reading.
impl TaskState {
    /// The rows.
    pub fn rows(&self) -> &Rows {
        &self.view.rows
    }

    /// The timers that are set.
    pub fn timers(&self) -> &Timers {
        &self.timers
    }

    /// The lookups that wait for replies.
    pub fn lookups(&self) -> &Lookups {
        &self.lookups
    }

    /// The names that have permanent ids.
    pub fn names(&self) -> &Names {
        &self.bookkeeping.names
    }

    /// The name of a kind of timer, by its permanent id.
    pub fn timer_name(&self, kind: u16) -> &str {
        self.names().timers.get(usize::from(kind)).map_or("?", String::as_str)
    }

    /// The name of a lookup, by its permanent id.
    pub fn lookup_name(&self, lookup: u16) -> &str {
        self.names()
            .lookups
            .get(usize::from(lookup))
            .map_or("?", String::as_str)
    }

    /// The index of a kind of timer in the rules' description, by its permanent id.
    pub fn declared_timer(&self, kind: u16) -> Option<usize> {
        self.ids.timers.iter().position(|id| *id == kind)
    }

    /// The index of a lookup in the rules' description, by its permanent id.
    pub fn declared_lookup(&self, lookup: u16) -> Option<usize> {
        self.ids.lookups.iter().position(|id| *id == lookup)
    }

    /// Checks that these rules declare everything that is pending. The error names the first thing that they don't
    /// declare.
    pub fn accepts(&self, description: &Description) -> Result<(), Unknown> {
        for timer in self.timers.iter() {
            if let StepKey::Timer { kind, .. } = timer {
                let name = self.timer_name(*kind);
                if !description.timers.iter().any(|known| known == name) {
                    return Err(Unknown::Timers(name.to_owned()));
                }
            }
        }
        for (lookup, _) in self.lookups.iter() {
            let name = self.lookup_name(lookup.lookup);
            if !description.lookups.iter().any(|known| known.name == name) {
                return Err(Unknown::Lookups(name.to_owned()));
            }
        }
        Ok(())
    }
}

// The batch that the rules are about to see.
impl TaskState {
    /// Gives permanent ids to all names in these rules, and reads stored values with their schemas from now on.
    pub fn bind(&mut self, description: &Description) {
        self.ids = Ids::bind(description, &mut self.bookkeeping.names, &mut self.view);
    }

    /// Prefetches the rows of these keys, so that the cache misses overlap.
    pub fn prefetch(&self, hashes: &[u64]) {
        self.view.rows.prefetch_all(hashes);
    }

    /// Starts a batch without inputs.
    pub fn begin_batch(&mut self) {
        self.view.inputs.clear();
    }

    /// Adds the next input of the batch: the key whose row it reads and writes, and its time.
    pub fn add_input(&mut self, hash: u64, key: &[u8], time: Millis) -> RowSlot {
        let slot = self.view.rows.slot(hash, key);
        self.view.inputs.push((slot, time));
        slot
    }

    /// Runs the rules on a batch, with `call`. They read the current state.
    pub fn call<R>(&mut self, call: impl FnOnce(&mut View) -> R) -> R {
        self.view.calls = 0;
        call(&mut self.view)
    }

    /// Reads after the first call of a batch that were not reported yet, by index of the store in the description.
    pub fn misses(&self) -> &[u64] {
        &self.view.misses
    }

    /// Takes these numbers, because they are reported now.
    pub fn take_misses(&mut self) -> impl Iterator<Item = u64> {
        self.view.misses.iter_mut().map(std::mem::take)
    }
}

// Writing.
impl TaskState {
    /// Applies a verified effect that changes rows or timers. The caller handles all other effects.
    pub fn apply(&mut self, effect: &Effect, bytes: &[u8]) {
        let target = EffectTarget::of(effect);
        // Only the spans that an effect uses are verified, so the others are not touched.
        let (name, value) = (|| effect.name.of(bytes), || effect.value.of(bytes));
        match effect.what {
            Action::Put => self.put(target, name(), value(), effect.at),
            Action::Delete => self.delete(target, name()),
            Action::Clear => self.clear(target, name()),
            Action::SetTimer => self.set_timer(target, name(), effect.at),
            Action::CancelTimer => self.cancel_timer(target, name()),
            Action::Send | Action::SendKeyed | Action::Tombstone | Action::TombstoneKeyed => {}
            Action::Ask | Action::Count | Action::Reject => {}
        }
    }

    /// Sets an entry of a store, which is visible until `expires`.
    #[inline]
    pub fn put(&mut self, target: EffectTarget, entry: &[u8], value: &[u8], expires: Millis) {
        let (slot, _) = self.view.inputs[target.input as usize];
        let StoreIds { store, schema } = self.view.stores[usize::from(target.on)];
        let cell = StoreEntry { schema, expires, value };
        let View { rows, .. } = &mut self.view;
        rows.put(slot, store, entry, cell);
        self.delta.put(rows.key(slot), store, entry, cell);
    }

    /// Deletes an entry of a store, if it is there.
    pub fn delete(&mut self, target: EffectTarget, entry: &[u8]) {
        let (slot, _) = self.view.inputs[target.input as usize];
        let store = self.view.stores[usize::from(target.on)].store;
        if self.view.rows.delete(slot, store, entry) {
            self.delta.delete(self.view.rows.key(slot), store, entry);
        }
    }

    /// Deletes the entries of a store that begin with `prefix`.
    pub fn clear(&mut self, target: EffectTarget, prefix: &[u8]) {
        let (slot, _) = self.view.inputs[target.input as usize];
        let store = self.view.stores[usize::from(target.on)].store;
        let rows = &mut self.view.rows;
        let mut entries: Vec<Box<[u8]>> = vec![];
        let all = ScanRange {
            store,
            prefix,
            after: None,
            // Nothing has expired at the beginning of time, so entries that have expired since are found too.
            now: Millis::MIN,
            limit: usize::MAX,
        };
        rows.scan(slot, all, &mut |entry, _| entries.push(entry.into()));
        for entry in entries {
            rows.delete(slot, store, &entry);
            self.delta.delete(rows.key(slot), store, &entry);
        }
    }

    /// Sets a timer, for `at` or right after the input's time, whichever is later. It replaces one with the same tag.
    pub fn set_timer(&mut self, target: EffectTarget, tag: &[u8], at: Millis) {
        let (slot, now) = self.view.inputs[target.input as usize];
        let kind = self.ids.timers[usize::from(target.on)];
        let key = self.view.rows.key(slot);
        let set = self.timers.set(TimerName::new(key, kind, tag), at, now);
        if let Some(replaced) = set.replaced {
            self.delta.cancel_timer(key, replaced, kind, tag);
        }
        self.delta.set_timer(key, set.at, kind, tag);
    }

    /// Cancels a timer, if it is set.
    pub fn cancel_timer(&mut self, target: EffectTarget, tag: &[u8]) {
        let (slot, _) = self.view.inputs[target.input as usize];
        let kind = self.ids.timers[usize::from(target.on)];
        let key = self.view.rows.key(slot);
        if let Some(at) = self.timers.take(&TimerName::new(key, kind, tag)) {
            self.delta.cancel_timer(key, at, kind, tag);
        }
    }

    /// Removes a timer that is due, if it is set.
    pub fn take_timer(&mut self, due: &StepKey) {
        if let StepKey::Timer { key, kind, tag, .. } = due
            && let Some(at) = self.timers.take(&TimerName::new(key, *kind, tag))
        {
            self.delta.cancel_timer(key, at, *kind, tag);
        }
    }

    /// The name of the lookup that an input asks.
    pub fn lookup_of(&self, target: EffectTarget, tag: &[u8]) -> LookupName {
        let (slot, _) = self.view.inputs[target.input as usize];
        LookupName::new(self.view.rows.key(slot), self.ids.lookups[usize::from(target.on)], tag)
    }

    /// Adds a pending lookup. It replaces one with the same name.
    pub fn ask(&mut self, name: LookupName, pending: Pending) {
        self.delta.push(name.ask(&pending));
        self.lookups.ask(name, pending);
    }

    /// Removes a lookup because its reply has come, if it is pending.
    pub fn take_lookup(&mut self, name: &LookupName) {
        if self.lookups.take(name).is_some() {
            self.delta.answered(&name.key, name.lookup, &name.tag);
        }
    }

    /// Removes every timer and lookup that these rules don't declare.
    pub fn drop_undeclared(&mut self, description: &Description) -> Undeclared {
        let names = &self.bookkeeping.names;
        let knows_timer = |id: u16| description.timers.contains(&names.timers[usize::from(id)]);
        let knows_lookup = |id: u16| {
            let name = &names.lookups[usize::from(id)];
            description.lookups.iter().any(|lookup| lookup.name == *name)
        };
        let unknown = |step: &&StepKey| matches!(step, StepKey::Timer { kind, .. } if !knows_timer(*kind));
        let timers: Vec<StepKey> = self.timers.iter().filter(unknown).cloned().collect();
        let lookups: Vec<LookupName> = self
            .lookups
            .iter()
            .filter(|(name, _)| !knows_lookup(name.lookup))
            .map(|(name, _)| name.clone())
            .collect();
        timers.iter().for_each(|timer| self.take_timer(timer));
        lookups.iter().for_each(|lookup| self.take_lookup(lookup));
        Undeclared { timers, lookups }
    }
}
