//! Tapes: what a shadow gets about an epoch of the live task. A tape has the steps, their live effects, and the rows
//! that they need.
//!
//! Rules:
//! - A tape is written while the epoch is open, sealed with it, and handed over when it is committed. The tape of a
//!   dropped epoch is dropped. So a shadow sees each step once, in order.
//! - A row comes with the first step of its key after the shadow's beginning P. Only steps of a key write its row, so
//!   the row that is committed before that step's epoch is the row as of P.

use super::key_set::KeySet;
use crate::arrivals::{Arrivals, Waiting};
use crate::record::journal::LookupEnding;
use crate::record::{Millis, NEVER, Offset, Rank, Span, StepKey, StoreEntry};
use crate::rules::{Effect, Effects, Header};
use crate::state::rows::Rows;
use crate::step::{self, CallTally};
use std::ops::Range;

/// A step of a live task.
pub type LiveStep = step::PlannedStep<Waiting, ()>;

/// What a shadow gets about one epoch. Spans are in `bytes`; those of rows and cells are in `images`.
#[derive(Debug)]
pub struct Tape {
    pub bytes: Vec<u8>,
    pub steps: Vec<TapedStep>,
    /// Effects of the live rules.
    pub effects: Vec<Effect>,
    /// Headers of the effects. `of` is the index of the effect.
    pub headers: Vec<Header>,
    /// Headers of the records.
    pub record_headers: Vec<(Span, Span)>,
    pub images: Vec<u8>,
    pub rows: Vec<Image>,
    pub cells: Vec<Shipped>,
    /// All timers before this time are due after these steps.
    pub until: Millis,
    /// Where the task is after the epoch.
    pub end: TapeEnd,
    /// What the calls of the live rules took.
    pub calls: CallTally,
    /// Index of the current batch's first step.
    batch: usize,
}

/// A place between two steps of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapeEnd {
    /// The step before it.
    pub last: StepKey,
    /// How many journaled inputs come between that step and it.
    pub sequence: u64,
}

impl Default for Tape {
    fn default() -> Tape {
        Tape {
            bytes: vec![],
            steps: vec![],
            effects: vec![],
            headers: vec![],
            record_headers: vec![],
            images: vec![],
            rows: vec![],
            cells: vec![],
            until: NEVER,
            end: TapeEnd {
                last: StepKey::Start,
                sequence: 0,
            },
            calls: CallTally::default(),
            batch: 0,
        }
    }
}

/// A step of the live task.
#[derive(Debug)]
pub struct TapedStep {
    pub what: TapedInput,
    pub time: Millis,
    pub hash: u64,
    pub key: Span,
    /// Its live effects. Empty if there are none, or if it was refused.
    pub effects: Range<u32>,
    /// Why it was refused. Empty if it was not.
    pub dead: Span,
}

/// The kinds of steps.
#[derive(Debug)]
pub enum TapedInput {
    Record {
        rank: Rank,
        offset: Offset,
        late: bool,
        /// Rules don't see it.
        unreadable: bool,
        value: Option<Span>,
        headers: Range<u32>,
    },
    Timer {
        kind: u16,
        tag: Span,
    },
    Reply {
        lookup: u16,
        id: Span,
        /// Its number among the journaled inputs after the last step.
        sequence: u64,
        ending: LookupEnding,
    },
}

/// A row as of P.
#[derive(Debug)]
pub struct Image {
    pub key: Span,
    pub cells: Range<u32>,
}

/// A cell of a row.
#[derive(Debug)]
pub struct Shipped {
    pub store: u16,
    pub schema: u16,
    pub expires: Millis,
    pub entry: Span,
    pub value: Span,
}

/// The key of a live step.
fn key<'a>(planned: &'a LiveStep, arrivals: &'a Arrivals) -> &'a [u8] {
    match &planned.what {
        step::StepInput::Record(record) => arrivals.record(record).key().unwrap_or_default(),
        step::StepInput::Timer(StepKey::Timer { key, .. }) => key,
        step::StepInput::Reply { name, .. } => &name.key,
        step::StepInput::Timer(_) | step::StepInput::Elsewhere(_) => &[],
    }
}

/// The timer that a step is.
pub fn timer_of(step: &TapedStep, tape: &Tape) -> Option<StepKey> {
    let TapedInput::Timer { kind, tag } = &step.what else {
        return None;
    };
    Some(StepKey::Timer {
        time: step.time,
        key: step.key.of(&tape.bytes).into(),
        kind: *kind,
        tag: tag.of(&tape.bytes).into(),
    })
}

impl Tape {
    /// Writes the steps of a batch before it is applied. `sequence` is the number of its first reply.
    pub fn begin(&mut self, plan: &[LiveStep], arrivals: &Arrivals, sequence: u64) {
        self.batch = self.steps.len();
        for (number, planned) in plan.iter().enumerate() {
            let what = match &planned.what {
                step::StepInput::Record(record) => self.record(record, arrivals),
                step::StepInput::Timer(StepKey::Timer { kind, tag, .. }) => TapedInput::Timer {
                    kind: *kind,
                    tag: Span::append(&mut self.bytes, tag),
                },
                step::StepInput::Reply { name, id, ending } => TapedInput::Reply {
                    lookup: name.lookup,
                    id: Span::append(&mut self.bytes, id),
                    // Replies come first in a batch.
                    sequence: sequence + number as u64,
                    ending: ending.clone(),
                },
                // Only timers are planned as timers, and a live task plans nothing that happens elsewhere.
                step::StepInput::Timer(_) | step::StepInput::Elsewhere(_) => TapedInput::Timer {
                    kind: u16::MAX,
                    tag: Span::default(),
                },
            };
            let key = Span::append(&mut self.bytes, key(planned, arrivals));
            self.steps.push(TapedStep {
                what,
                time: planned.time,
                hash: planned.hash,
                key,
                effects: 0..0,
                dead: Span::default(),
            });
        }
    }

    fn record(&mut self, waiting: &Waiting, arrivals: &Arrivals) -> TapedInput {
        let record = arrivals.record(waiting);
        let value = record.value().map(|value| Span::append(&mut self.bytes, value));
        let first = self.record_headers.len() as u32;
        for (name, value) in record.headers() {
            let name = Span::append(&mut self.bytes, name);
            let value = Span::append(&mut self.bytes, value);
            self.record_headers.push((name, value));
        }
        TapedInput::Record {
            rank: waiting.rank(),
            offset: waiting.offset(),
            late: waiting.is_late(),
            unreadable: waiting.is_unreadable(),
            value,
            headers: first..self.record_headers.len() as u32,
        }
    }

    /// Keeps the steps of the batch that were taken, and adds their effects.
    pub fn taken(&mut self, taken: &[LiveStep], effects: &Effects) {
        self.steps.truncate(self.batch + taken.len());
        let (base, first) = (self.bytes.len() as u32, self.effects.len() as u32);
        self.bytes.extend_from_slice(&effects.bytes);
        // An effect's unused span may have any value.
        let moved = |span: Span| Span {
            start: span.start.wrapping_add(base),
            ..span
        };
        self.effects.extend(effects.effects.iter().map(|effect| Effect {
            name: moved(effect.name),
            value: moved(effect.value),
            ..*effect
        }));
        self.headers.extend(effects.headers.iter().map(|header| Header {
            of: header.of + first,
            name: moved(header.name),
            value: moved(header.value),
        }));
        let mut from = 0;
        for (planned, step) in taken.iter().zip(&mut self.steps[self.batch..]) {
            let mut range = from..from;
            if let Some(input) = planned.input {
                while effects.effects.get(range.end).is_some_and(|effect| effect.of == input) {
                    range.end += 1;
                }
                from = range.end;
            }
            match &planned.refused {
                None => step.effects = first + range.start as u32..first + range.end as u32,
                Some(refusal) => step.dead = Span::append(&mut self.bytes, refusal.why.as_bytes()),
            }
        }
    }

    /// Adds the rows of keys that are not in `known`, as committed before this epoch's own writes.
    pub fn ship(&mut self, rows: &Rows, known: &mut KeySet) {
        for step in &self.steps {
            let key = step.key.of(&self.bytes);
            if !known.add(key) {
                continue;
            }
            let first = self.cells.len() as u32;
            let key_span = Span::append(&mut self.images, key);
            if let Some(slot) = rows.find(step.hash, key) {
                rows.image(slot, &mut |store, entry, cell: StoreEntry<'_>| {
                    self.cells.push(Shipped {
                        store,
                        schema: cell.schema,
                        expires: cell.expires,
                        entry: Span::append(&mut self.images, entry),
                        value: Span::append(&mut self.images, cell.value),
                    });
                });
            }
            self.rows.push(Image {
                key: key_span,
                cells: first..self.cells.len() as u32,
            });
        }
    }

    /// Approximate memory that it takes.
    pub fn size(&self) -> usize {
        self.bytes.len()
            + self.images.len()
            + self.steps.len() * size_of::<TapedStep>()
            + self.effects.len() * size_of::<Effect>()
            + self.cells.len() * size_of::<Shipped>()
            + self.rows.len() * size_of::<Image>()
            + self.headers.len() * size_of::<Header>()
            + self.record_headers.len() * size_of::<(Span, Span)>()
    }

    /// Empties the tape.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.steps.clear();
        self.effects.clear();
        self.headers.clear();
        self.record_headers.clear();
        self.images.clear();
        self.rows.clear();
        self.cells.clear();
        (self.calls, self.batch) = (CallTally::default(), 0);
    }
}
