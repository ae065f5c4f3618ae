//! A model of the host: state, timers and lookups in sorted maps, and one queue of steps.
//!
//! Rule: effects are applied input by input, as long as the input is still the next one in the queue.

use super::model::{Model, State};
use super::queue::{At, Item, batch};
use super::record::Sent;
use crate::inputs::NoAnswer;
use crate::rules::Rules;
use crate::run::Runner;
use crate::wire::{Action, Description, Effects};
use std::cell::Cell as Count;
use std::collections::BTreeMap;
use std::rc::Rc;

/// An external service: from a request to its answer.
pub(super) type Service = Rc<dyn Fn(&[u8]) -> Result<Vec<u8>, NoAnswer>>;

/// How inputs are cut into batches.
pub(super) enum Cut {
    Whole,
    One,
    Random(u64),
}

/// The real host's maximum number of inputs in a batch.
const BATCH: usize = 512;

/// An effect with everything that belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Did {
    step: At,
    key: Vec<u8>,
    what: Action,
    on: u16,
    at: i64,
    name: Vec<u8>,
    value: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
}

impl Did {
    pub(super) fn sent<V>(&self, output: u16, read: impl Fn(&[u8]) -> V) -> Option<Sent<V>> {
        let (keyed, value) = match self.what {
            Action::Send => (false, true),
            Action::SendKeyed => (true, true),
            Action::Tombstone => (false, false),
            Action::TombstoneKeyed => (true, false),
            _ => return None,
        };
        (self.on == output).then(|| Sent {
            key: if keyed { self.name.clone() } else { self.key.clone() },
            time: self.at,
            value: value.then(|| read(&self.value)),
            headers: self.headers.clone(),
        })
    }

    pub(super) fn counted(&self, counter: u16) -> i64 {
        if self.what == Action::Count && self.on == counter {
            self.at
        } else {
            0
        }
    }

    pub(super) fn rejected(&self) -> Option<String> {
        (self.what == Action::Reject).then(|| String::from_utf8_lossy(&self.value).into_owned())
    }
}

pub(super) struct Host<R: Rules> {
    runner: Runner<R>,
    settings: String,
    pub(super) description: Description,
    cut: Cut,
    /// With a serial number, because a step that was replaced by an equal one is a different step.
    queue: BTreeMap<At, (u64, Item)>,
    serial: u64,
    pub(super) state: State,
    services: Vec<(i64, Option<Service>)>,
    pub(super) did: Vec<Did>,
    pub(super) sent_from: Vec<usize>,
    pub(super) misses: Count<u64>,
}

impl<R: Rules> Host<R> {
    pub(super) fn new(settings: &str, cut: Cut) -> Self {
        let runner = match Runner::new(settings) {
            Ok(runner) => runner,
            Err(error) => panic!("the rules refuse their settings: {error}"),
        };
        let description: Description = runner.description();
        Host {
            settings: settings.into(),
            cut,
            queue: BTreeMap::new(),
            serial: 0,
            state: BTreeMap::new(),
            services: vec![(0, None); description.lookups.len()],
            did: Vec::new(),
            sent_from: vec![0; description.outputs.len()],
            misses: Count::new(0),
            description,
            runner,
        }
    }

    pub(super) fn service(&mut self, lookup: &str, after: i64, service: Option<Service>) {
        let Some(at) = self
            .description
            .lookups
            .iter()
            .position(|declared| declared.name == lookup)
        else {
            panic!("the rules have no lookup `{lookup}`");
        };
        self.services[at] = (after, service);
    }

    pub(super) fn add(&mut self, at: At, item: Item) {
        self.serial += 1;
        self.queue.insert(at, (self.serial, item));
    }

    pub(super) fn timers(&self) -> usize {
        self.queue
            .values()
            .filter(|(_, item)| matches!(item, Item::Timer))
            .count()
    }

    pub(super) fn run_to(&mut self, time: i64) {
        while self.queue.first_key_value().is_some_and(|(at, _)| at.time <= time) {
            let len = match &mut self.cut {
                Cut::Whole => BATCH,
                Cut::One => 1,
                Cut::Random(seed) => {
                    // This is xorshift64.
                    *seed ^= *seed << 13;
                    *seed ^= *seed >> 7;
                    *seed ^= *seed << 17;
                    1 + (*seed % 7) as usize
                }
            };
            if !matches!(self.cut, Cut::Whole) {
                self.runner = Runner::new(&self.settings).expect("they were accepted before");
            }
            let steps: Vec<(At, (u64, Item))> = self
                .queue
                .iter()
                .take_while(|(at, _)| at.time <= time)
                .take(len)
                .map(|(at, item)| (at.clone(), item.clone()))
                .collect();
            let batch = batch(&steps);
            let reader = Model {
                batch: &batch,
                state: &self.state,
                calls: Count::new(0),
                misses: &self.misses,
            };
            let effects = self.runner.run(&batch, &reader);
            self.apply(&steps, &effects);
        }
    }

    fn apply(&mut self, steps: &[(At, (u64, Item))], effects: &Effects) {
        let mut indices = effects.effects.iter().enumerate().peekable();
        assert!(
            effects.effects.is_sorted_by_key(|effect| effect.of),
            "`of` never goes back"
        );
        for (of, (at, (serial, item))) in steps.iter().enumerate() {
            let next = self.queue.first_key_value();
            if next.is_none_or(|(next, (next_serial, _))| next != at || next_serial != serial) {
                return;
            }
            self.queue.pop_first();
            let key = match item {
                Item::Record { input, .. } => &input.key,
                _ => &at.key,
            };
            while let Some((index, effect)) = indices.next_if(|(_, effect)| effect.of as usize == of) {
                let headers = effects.headers.iter().filter(|header| header.of as usize == index);
                let did = Did {
                    step: at.clone(),
                    key: key.clone(),
                    what: effect.what,
                    on: effect.on,
                    at: effect.at,
                    name: effect.name.of(&effects.bytes).into(),
                    value: effect.value.of(&effects.bytes).into(),
                    headers: headers
                        .map(|header| {
                            let name = header.name.of(&effects.bytes).to_vec();
                            (
                                String::from_utf8(name).expect("a header's name is UTF-8"),
                                header.value.of(&effects.bytes).into(),
                            )
                        })
                        .collect(),
                };
                self.take(&did);
                self.did.push(did);
            }
        }
    }

    fn take(&mut self, did: &Did) {
        let Did {
            step,
            key,
            on,
            at,
            name,
            value,
            ..
        } = did.clone();
        match did.what {
            Action::Put => drop(self.state.insert((key, on, name), (value, at))),
            Action::Delete => drop(self.state.remove(&(key, on, name))),
            Action::Clear => self
                .state
                .retain(|held, _| held.0 != key || held.1 != on || !held.2.starts_with(&name)),
            Action::SetTimer => {
                self.cancel(1, &key, on, &name);
                let time = if at <= step.time { step.time + 1 } else { at };
                self.add(
                    At {
                        time,
                        class: 1,
                        key,
                        on,
                        tag: name,
                    },
                    Item::Timer,
                );
            }
            Action::CancelTimer => self.cancel(1, &key, on, &name),
            Action::Ask => {
                self.cancel(2, &key, on, &name);
                let (after, service) = &self.services[on as usize];
                let time = step.time.saturating_add(*after);
                let answer = service
                    .as_ref()
                    .map_or(Err(NoAnswer::Unavailable), |service| service(&value));
                self.add(
                    At {
                        time,
                        class: 2,
                        key,
                        on,
                        tag: name,
                    },
                    Item::Reply(answer),
                );
            }
            Action::Send | Action::SendKeyed | Action::Tombstone | Action::TombstoneKeyed => {}
            Action::Count | Action::Reject => {}
        }
    }

    fn cancel(&mut self, class: u8, key: &[u8], on: u16, tag: &[u8]) {
        self.queue
            .retain(|at, _| (at.class, &at.key[..], at.on, &at.tag[..]) != (class, key, on, tag));
    }
}
