//! What a shadow's step leaves behind: in rows, timers and lookups of its own.
//!
//! Rule: a question gets the live answer where the live rules ask the same of the same at the same step: it has the live id then.
//! Everything else that is asked, and what the live rules alone ask anew, is answered by nobody.

use super::run::Shadow;
use super::steps::Planned;
use super::tape::{Tape, What as Live};
use crate::lookups::{self, LookupName, Pending};
use crate::record::FOREVER;
use crate::rows;
use crate::rules::{Action, Effects};
use std::ops::Range;

impl Shadow {
    /// Applies the effects of an input. They are checked.
    pub(super) fn effects(&mut self, planned: &Planned, tape: &Tape, effects: &Effects, range: Range<usize>) {
        let key = planned.key(tape);
        let mut asked = self.asked_live(planned, tape);
        for effect in &effects.effects[range] {
            let on = usize::from(effect.on);
            let (name, value) = (|| effect.name.of(&effects.bytes), || effect.value.of(&effects.bytes));
            match effect.what {
                Action::Put => {
                    let slot = self.view.rows.slot(rows::hash(key), key);
                    let ids = self.view.stores[on];
                    let expires = if effect.at == i64::MAX { FOREVER } else { effect.at };
                    self.view
                        .rows
                        .put(slot, ids.store, ids.schema, name(), value(), expires);
                }
                Action::Delete => {
                    let slot = self.view.rows.slot(rows::hash(key), key);
                    self.view.rows.delete(slot, self.view.stores[on].store, name());
                }
                Action::Clear => {
                    let slot = self.view.rows.slot(rows::hash(key), key);
                    let store = self.view.stores[on].store;
                    let mut entries: Vec<Box<[u8]>> = vec![];
                    let mut take = |entry: &[u8], _: rows::Cell<'_>| entries.push(entry.into());
                    // Before the beginning of time nothing is expired: what is dead goes too.
                    let rows = &mut self.view.rows;
                    rows.scan(slot, store, name(), None, i64::MIN, usize::MAX, &mut take);
                    for entry in entries {
                        rows.delete(slot, store, &entry);
                    }
                }
                Action::SetTimer => {
                    _ = self
                        .timers
                        .set(key, self.ids.timers[on], name(), effect.at, planned.time)
                }
                Action::CancelTimer => _ = self.timers.take(key, self.ids.timers[on], name()),
                Action::Ask => {
                    let mut request = vec![];
                    // The datum was checked just before.
                    if self.guest.wiring.lookups[on].url.render(value(), &mut request).is_err() {
                        continue;
                    }
                    let lookup: LookupName = (key.into(), self.ids.lookups[on], name().into());
                    let same =
                        |(its, _, theirs): &(LookupName, Box<[u8]>, Vec<u8>)| *its == lookup && *theirs == request;
                    let id = match asked.iter().position(same) {
                        Some(live) => asked.remove(live).1,
                        None => {
                            self.compare.report.seen.unanswered += 1;
                            let number = self.compare.report.seen.unanswered.to_be_bytes();
                            // No id of the live task begins so: its first byte says what kind of step it is.
                            let id: Box<[u8]> = [&[u8::MAX][..], &number].concat().into();
                            self.orphans.push(id.clone());
                            id
                        }
                    };
                    let request = request.into();
                    self.lookups.ask(lookup, Pending { id, request });
                }
                _ => {}
            }
        }
        // Asked anew by the live rules only: the answer to what is pending here comes no more.
        for (lookup, ..) in asked {
            let pending = self.lookups.iter().find(|(known, _)| **known == lookup);
            if let Some((_, pending)) = pending.filter(|(_, pending)| pending.id.first() != Some(&u8::MAX)) {
                self.compare.report.seen.unanswered += 1;
                self.orphans.push(pending.id.clone());
            }
        }
    }

    /// What the live rules ask at a step: whom, the id, and the rendered request.
    fn asked_live(&self, planned: &Planned, tape: &Tape) -> Vec<(LookupName, Box<[u8]>, Vec<u8>)> {
        let mut asked = vec![];
        let Some(step) = planned.live.map(|live| &tape.steps[live]) else {
            return asked;
        };
        let sequence = match &step.what {
            Live::Reply { sequence, .. } => sequence + 1,
            _ => 0,
        };
        let live = &self.compare.live;
        let mut number = 0;
        for effect in &tape.effects[step.effects.start as usize..step.effects.end as usize] {
            if effect.what != Action::Ask {
                continue;
            }
            let on = usize::from(effect.on);
            let mut request = vec![];
            if live.lookups[on]
                .url
                .render(effect.value.of(&tape.bytes), &mut request)
                .is_err()
            {
                continue;
            }
            let id = lookups::id(&self.live, sequence, number);
            number += 1;
            let name = &live.rules.description().lookups[on].name;
            if let Some(lookup) = self.names.lookups.iter().position(|known| known == name) {
                let tag = effect.name.of(&tape.bytes);
                asked.push((
                    (step.key.of(&tape.bytes).into(), lookup as u16, tag.into()),
                    id,
                    request,
                ));
            }
        }
        asked
    }
}
