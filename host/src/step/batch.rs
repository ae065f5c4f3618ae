//! Builds the batch that the rules are called with: keys, values in the reader's schema, and headers.
//!
//! Rule: a key that occurs more than once is stored once in the batch's bytes. The inputs of the state's batch are the
//! same, in the same order.

use super::{Context, Inputs, PlannedStep, Refusal, StepInput};
use crate::binding::ReplyForm;
use crate::metrics::DeadLetterReason;
use crate::record::journal::LookupEnding;
use crate::record::{Millis, Span, StepKey};
use crate::rules::{Batch, Happening, Header, Input};
use crate::state::rows;

/// The most bytes of values in one batch, not counting its first input: 512 inputs of 512 bytes. This also bounds the
/// guest's memory.
pub const BATCH_BYTES: usize = 256 << 10;

/// Builds batches. It is kept for its memory: that of one batch, and sixteen bytes for each row.
#[derive(Default)]
pub struct BatchBuilder {
    batch: Batch,
    hashes: Vec<u64>,
    /// For each row: the number of the last batch that contained its key, and the key's place in that batch.
    keys: Vec<(u64, Span)>,
    number: u64,
}

impl BatchBuilder {
    /// Forgets the rows. To be called after they were rebuilt.
    pub fn forget(&mut self) {
        self.keys.clear();
    }

    /// The batch.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The number of inputs in it.
    pub fn len(&self) -> usize {
        self.batch.inputs.len()
    }

    /// The key of an input.
    pub fn key(&self, input: u32) -> &[u8] {
        self.batch.inputs[input as usize].key.of(&self.batch.bytes)
    }

    /// Makes a batch of the planned steps. It leaves out steps that the rules don't see or that can't be read.
    pub fn build<P: Inputs>(&mut self, plan: &mut [PlannedStep<P::Record, P::Mark>], cx: &mut Context<'_, P>) {
        self.batch.inputs.clear();
        self.batch.headers.clear();
        self.batch.bytes.clear();
        self.number += 1;
        cx.state.begin_batch();
        // Two passes, so that the cache lines of all keys are on their way before the first one is needed.
        self.hashes.clear();
        for planned in plan.iter_mut() {
            planned.hash = rows::hash(key(planned, cx.port));
            self.hashes.push(planned.hash);
        }
        cx.state.prefetch(&self.hashes);
        for planned in plan {
            if let Some(why) = cx.port.known_trap(planned) {
                planned.refused = Some(Refusal {
                    kind: DeadLetterReason::Trap,
                    why: why.to_owned(),
                });
                continue;
            }
            match self.input(planned, cx) {
                Ok(Some(mut input)) => {
                    input.key = self.place_key(planned, cx);
                    planned.input = Some(self.batch.inputs.len() as u32);
                    self.batch.inputs.push(input);
                }
                Ok(None) => {}
                Err(refusal) => planned.refused = Some(refusal),
            }
        }
    }

    /// The input of a step without its key, if the rules see the step.
    fn input<P: Inputs>(
        &mut self,
        planned: &PlannedStep<P::Record, P::Mark>,
        cx: &mut Context<'_, P>,
    ) -> Result<Option<Input>, Refusal> {
        let unknown = |what: &str| unreadable(format!("the rules don't know this {what}"));
        match &planned.what {
            StepInput::Record(record) => self.record(record, planned.time, cx),
            StepInput::Timer(StepKey::Timer { kind, tag, .. }) => {
                let mut input = empty(Happening::Timer, planned.time);
                // Rules that don't know a pending kind are refused when they are bound to the task.
                let kind = cx.state.declared_timer(*kind);
                input.source = kind.ok_or_else(|| unknown("kind of timer"))? as u16;
                input.tag = Span::append(&mut self.batch.bytes, tag);
                Ok(Some(input))
            }
            StepInput::Timer(_) => Err(unreadable("not a timer".into())),
            StepInput::Reply { name, ending, .. } => {
                let mut input = empty(Happening::Unavailable, planned.time);
                let lookup = cx.state.declared_lookup(name.lookup);
                let lookup = lookup.ok_or_else(|| unknown("lookup"))?;
                input.source = lookup as u16;
                input.tag = Span::append(&mut self.batch.bytes, &name.tag);
                (input.what, input.value) = self.ending(ending, &cx.guest.wiring.lookups[lookup].reply);
                Ok(Some(input))
            }
            StepInput::Elsewhere(_) => Ok(None),
        }
    }

    fn record<P: Inputs>(
        &mut self,
        record: &P::Record,
        time: Millis,
        cx: &mut Context<'_, P>,
    ) -> Result<Option<Input>, Refusal> {
        let read = cx.port.read(record, cx.sources)?;
        let Some((source, _)) = &cx.guest.wiring.inputs[usize::from(read.rank)] else {
            return Ok(None);
        };
        let mut input = empty(Happening::Event, time);
        (input.source, input.rank) = (*source, read.rank.0);
        (input.late, input.offset) = (read.late, read.offset.0 as u64);
        let bytes = &mut self.batch.bytes;
        let start = bytes.len();
        match read.value {
            None => input.what = Happening::Tombstone,
            Some(value) => {
                if let Err(why) = cx.guest.readers.read(cx.sources, read.rank, value, bytes) {
                    bytes.truncate(start);
                    return Err(unreadable(why.to_string()));
                }
            }
        }
        input.value = span_from(start, bytes);
        let of = self.batch.inputs.len() as u32;
        cx.port.headers(record, |name, value| {
            let name = Span::append(bytes, name);
            let value = Span::append(bytes, value);
            self.batch.headers.push(Header { of, name, value });
        });
        Ok(Some(input))
    }

    fn ending(&mut self, ending: &LookupEnding, form: &ReplyForm) -> (Happening, Span) {
        let bytes = &mut self.batch.bytes;
        let start = bytes.len();
        match ending {
            LookupEnding::Absent => (Happening::Absent, Span::default()),
            LookupEnding::Unavailable => (Happening::Unavailable, Span::default()),
            LookupEnding::Body(body) => {
                if form.read(body, bytes).is_ok() {
                    return (Happening::Answer, span_from(start, bytes));
                }
                bytes.truncate(start);
                (Happening::Unreadable, Span::default())
            }
        }
    }

    /// Puts the key into the batch, unless it is there already, and tells the state whose input this is.
    fn place_key<P: Inputs>(&mut self, planned: &PlannedStep<P::Record, P::Mark>, cx: &mut Context<'_, P>) -> Span {
        let key = key(planned, cx.port);
        let row = cx.state.add_input(planned.hash, key, planned.time).index();
        if row >= self.keys.len() {
            self.keys.resize(row + 1, (0, Span::default()));
        }
        let (number, span) = &mut self.keys[row];
        if *number != self.number {
            *number = self.number;
            *span = Span::append(&mut self.batch.bytes, key);
        }
        *span
    }
}

/// The key of the state that a step belongs to. Empty for a step that happens elsewhere.
pub fn key<'a, P: Inputs>(planned: &'a PlannedStep<P::Record, P::Mark>, port: &'a P) -> &'a [u8] {
    match &planned.what {
        StepInput::Record(record) => port.key(record),
        StepInput::Timer(StepKey::Timer { key, .. }) => key,
        StepInput::Reply { name, .. } => &name.key,
        StepInput::Timer(_) | StepInput::Elsewhere(_) => &[],
    }
}

fn empty(what: Happening, time: Millis) -> Input {
    Input {
        what,
        late: false,
        source: 0,
        rank: 0,
        time,
        offset: 0,
        key: Span::default(),
        tag: Span::default(),
        value: Span::default(),
    }
}

fn unreadable(why: String) -> Refusal {
    let kind = DeadLetterReason::Unreadable;
    Refusal { kind, why }
}

fn span_from(start: usize, bytes: &[u8]) -> Span {
    Span {
        start: start as u32,
        len: (bytes.len() - start) as u32,
    }
}
