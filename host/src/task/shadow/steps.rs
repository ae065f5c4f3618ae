//! The next steps of a shadow, as one batch for its rules.
//!
//! Rule: the live task's steps in their order, and between them the shadow's own timers, where the order of all steps has them.
//! Each step of the live task is one here, also when the shadow's rules have nothing to do in it.

use super::run::Shadow;
use super::tape::{Step, Tape, What as Live, timer_of};
use crate::journal::Ending;
use crate::lookups::LookupName;
use crate::record::{Millis, Span, StepKey};
use crate::rows;
use crate::rules::{Happening, Header, Input};

/// Bytes of values in one batch, beyond its first input: as the live task has it.
const BATCH_BYTES: usize = 256 << 10;

/// One step of a batch.
pub struct Planned {
    /// The live step at this place.
    pub live: Option<usize>,
    pub what: What,
    /// Its index among the inputs of the call; none: the rules don't see it.
    pub input: Option<u32>,
    /// Why it is refused; empty: it is not.
    pub dead: String,
    pub time: Millis,
}

/// What it is.
pub enum What {
    /// A record of the tape.
    Record,
    /// A timer of the shadow's.
    Timer(StepKey),
    /// The end of a lookup of the shadow's.
    Reply {
        name: LookupName,
        id: Box<[u8]>,
        ending: Ending,
    },
    /// A timer or a reply that only the live task has.
    Nothing,
}

impl Shadow {
    /// Plans up to `limit` steps: of the tape from `at` on and before `end`, and what is due of the shadow's own before `until`.
    pub(super) fn plan(&mut self, tape: &Tape, mut at: usize, end: usize, until: Millis) {
        self.plan.clear();
        let mut own = self.timers.iter().peekable();
        let mut bytes = 0;
        while self.plan.len() < self.limit && bytes < BATCH_BYTES {
            let Some(step) = tape.steps[..end].get(at) else {
                let Some(due) = own.next_if(|own| own.time() < until) else {
                    break;
                };
                self.plan.push(Planned::new(None, What::Timer(due.clone()), due.time()));
                continue;
            };
            let live = timer_of(step, tape);
            let before = |own: &&StepKey| match (&step.what, &live) {
                // A record goes before a timer of the same time.
                (Live::Record { .. }, _) => own.time() < step.time,
                (_, Some(live)) => *own < live,
                // It stands behind the step before it.
                _ => false,
            };
            if let Some(due) = own.next_if(before) {
                self.plan.push(Planned::new(None, What::Timer(due.clone()), due.time()));
                continue;
            }
            let what = match &step.what {
                Live::Record { value, .. } => {
                    bytes += value.map_or(0, |value| value.len as usize);
                    What::Record
                }
                Live::Timer { .. } => match own.next_if(|own| Some(*own) == live.as_ref()) {
                    Some(due) => What::Timer(due.clone()),
                    None => What::Nothing,
                },
                Live::Reply { id, ending, .. } => match self.lookups.find(id.of(&tape.bytes)) {
                    Some((name, pending)) => What::Reply {
                        name: name.clone(),
                        id: pending.id.clone(),
                        ending: ending.clone(),
                    },
                    None => What::Nothing,
                },
            };
            self.plan.push(Planned::new(Some(at), what, step.time));
            at += 1;
        }
    }

    /// Plans the ends of lookups that nobody answers, by their ids. All are pending.
    pub(super) fn plan_unanswered(&mut self, ids: &[Box<[u8]>]) {
        self.plan.clear();
        let pending = ids.iter().filter_map(|id| Some((id, self.lookups.find(id)?.0)));
        for (id, name) in pending.take(self.limit) {
            let what = What::Reply {
                name: name.clone(),
                id: id.clone(),
                ending: Ending::Unavailable,
            };
            self.plan.push(Planned::new(None, what, self.last));
        }
    }

    /// Makes the inputs of the call.
    pub(super) fn build(&mut self, tape: &Tape) {
        self.batch.inputs.clear();
        self.batch.headers.clear();
        self.batch.bytes.clear();
        self.view.inputs.clear();
        self.batch_number += 1;
        let mut plan = std::mem::take(&mut self.plan);
        for planned in &mut plan {
            let step = planned.live.map(|at| &tape.steps[at]);
            match self.input(planned, step, tape) {
                Ok(Some(input)) => {
                    planned.input = Some(self.batch.inputs.len() as u32);
                    self.batch.inputs.push(input);
                }
                Ok(None) => {}
                Err(why) => planned.dead = why,
            }
        }
        self.plan = plan;
    }

    fn input(&mut self, planned: &Planned, step: Option<&Step>, tape: &Tape) -> Result<Option<Input>, String> {
        let none = Span::default();
        let mut input = Input {
            what: Happening::Event,
            late: false,
            source: 0,
            rank: 0,
            time: planned.time,
            offset: 0,
            key: none,
            tag: none,
            value: none,
        };
        match (&planned.what, step.map(|step| &step.what)) {
            (What::Record, Some(Live::Record { unreadable: true, .. })) => {
                // No rules see it: the reason is the live one's.
                let dead = step.map_or(&b""[..], |step| step.dead.of(&tape.bytes));
                return Err(String::from_utf8_lossy(dead).into_owned());
            }
            (
                What::Record,
                Some(Live::Record {
                    rank,
                    offset,
                    late,
                    value,
                    headers,
                    ..
                }),
            ) => {
                let Some((source, _)) = &self.guest.wiring.inputs[usize::from(*rank)] else {
                    return Ok(None);
                };
                (input.source, input.rank, input.late, input.offset) = (*source, *rank, *late, *offset as u64);
                let bytes = &mut self.batch.bytes;
                let start = bytes.len();
                match value {
                    None => input.what = Happening::Tombstone,
                    Some(value) => {
                        let read = self
                            .guest
                            .readers
                            .read(&mut self.sources, *rank, value.of(&tape.bytes), bytes);
                        if let Err(why) = read {
                            bytes.truncate(start);
                            return Err(why);
                        }
                    }
                }
                input.value = span(start, bytes);
                for (name, value) in &tape.record_headers[headers.start as usize..headers.end as usize] {
                    let of = self.batch.inputs.len() as u32;
                    let name = Span::append(bytes, name.of(&tape.bytes));
                    let value = Span::append(bytes, value.of(&tape.bytes));
                    self.batch.headers.push(Header { of, name, value });
                }
            }
            (What::Timer(StepKey::Timer { kind, tag, .. }), _) => {
                input.what = Happening::Timer;
                let index = self.ids.timers.iter().position(|id| id == kind);
                input.source = index.ok_or("the shadow's rules don't know this kind of timer")? as u16;
                input.tag = Span::append(&mut self.batch.bytes, tag);
            }
            (What::Reply { name, ending, .. }, _) => {
                let index = self.ids.lookups.iter().position(|id| *id == name.1);
                let index = index.ok_or("the shadow's rules don't know this lookup")?;
                input.source = index as u16;
                input.tag = Span::append(&mut self.batch.bytes, &name.2);
                let start = self.batch.bytes.len();
                input.what = match ending {
                    Ending::Absent => Happening::Absent,
                    Ending::Unavailable => Happening::Unavailable,
                    Ending::Body(body) => {
                        let reply = &self.guest.wiring.lookups[index].reply;
                        match reply.read(body, &mut self.batch.bytes) {
                            Ok(()) => Happening::Answer,
                            Err(_) => {
                                self.batch.bytes.truncate(start);
                                Happening::Unreadable
                            }
                        }
                    }
                };
                if input.what == Happening::Answer {
                    input.value = span(start, &self.batch.bytes);
                }
            }
            _ => return Ok(None),
        }
        input.key = self.place(planned.key(tape), planned.time);
        Ok(Some(input))
    }

    /// The key's place in the batch: the same for equal keys. Also tells the view whose input this is.
    fn place(&mut self, key: &[u8], time: Millis) -> Span {
        let slot = self.view.rows.slot(rows::hash(key), key);
        self.view.inputs.push((slot, time));
        let index = slot.index();
        if index >= self.spans.len() {
            self.spans.resize(index + 1, (0, Span::default()));
        }
        let (number, span) = &mut self.spans[index];
        if *number != self.batch_number {
            *number = self.batch_number;
            *span = Span::append(&mut self.batch.bytes, key);
        }
        *span
    }
}

impl Planned {
    fn new(live: Option<usize>, what: What, time: Millis) -> Planned {
        Planned {
            live,
            what,
            input: None,
            dead: String::new(),
            time,
        }
    }

    /// The key of its state.
    pub fn key<'a>(&'a self, tape: &'a Tape) -> &'a [u8] {
        match (&self.what, self.live) {
            (What::Timer(StepKey::Timer { key, .. }), _) => key,
            (What::Reply { name, .. }, _) => &name.0,
            (_, Some(live)) => tape.steps[live].key.of(&tape.bytes),
            _ => &[],
        }
    }
}

fn span(start: usize, bytes: &[u8]) -> Span {
    Span {
        start: start as u32,
        len: (bytes.len() - start) as u32,
    }
}
