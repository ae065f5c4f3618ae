//! Checks what a guest has returned, before it is used.
//!
//! Rule: what passes can be applied without further checks. Spans are within the bytes, indexes within the description,
//! and sizes fit into a Kafka record. Every limit is for a single input or effect, never for a batch, so that the
//! verdict on an input does not depend on how batches are cut.

use super::{Action, Description, Effect, Effects, Header, Question, Read, Shape, Span, Store};
use thiserror::Error;

/// Maximum number of effects of one input. With 32 bytes each, these are 128 KiB.
pub const MAX_EFFECTS: usize = 4096;

/// Maximum size of a map's entry in bytes. It is copied into the keys of RocksDB and of the changelog.
pub const MAX_ENTRY: usize = 4 << 10;

/// Maximum size of an entry with its value, or of a request. Two of them fit into a changelog record of 512 KiB.
pub const MAX_CELL: usize = 256 << 10;

/// Maximum size of key, value and headers of an output. A broker accepts 1 MiB (`message.max.bytes`), including
/// framing.
pub const MAX_OUTPUT: usize = 1_000_000;

/// Maximum size of a tag of a timer or lookup. It is part of the timer's key.
pub const MAX_TAG: usize = 1 << 10;

/// Maximum size of the reason of a rejection. It goes into a header of the dead letter.
pub const MAX_REASON: usize = 16 << 10;

/// The size of a header's framing in a record: two lengths.
const HEADER: usize = 8;

/// Effects that can't be applied. The effects of the inputs before it are valid.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("effects of input {input} of the batch: {what}")]
pub struct Wrong {
    /// Index of the input that the effects belong to. If there is no such input, the last one before it.
    pub input: usize,
    /// What is wrong with them, in one line.
    pub what: String,
}

/// What is wrong with an effect.
#[derive(Clone, Copy, Debug, Error)]
enum InvalidEffect<'a> {
    #[error("it names input {of} of {inputs}; `of` must never go back")]
    Order { of: usize, inputs: usize },
    #[error("there are no inputs")]
    NoInputs,
    #[error("more than {MAX_EFFECTS} effects of one input")]
    TooMany,
    #[error("a rejection must be the only effect of its input")]
    NotAlone,
    #[error("`on` is {on}, the rules have {length} {list}")]
    Undeclared {
        on: usize,
        length: usize,
        list: &'static str,
    },
    #[error("a span lies outside of the {0} bytes")]
    Outside(usize),
    #[error("an entry of {0} bytes; {MAX_ENTRY} at most")]
    LongEntry(usize),
    #[error("store `{0}` has one value and no entries")]
    NoEntries(&'a str),
    #[error("entry and value of {0} bytes; {MAX_CELL} at most")]
    LargeCell(usize),
    #[error("timestamp {0} is before 1970, which Kafka refuses")]
    Timestamp(i64),
    #[error("a span of a header lies outside of the bytes")]
    HeaderOutside,
    #[error("the name of a header is not UTF-8")]
    HeaderName,
    #[error("key, value and headers of {0} bytes; {MAX_OUTPUT} at most")]
    LargeOutput(usize),
    #[error("a tag of {0} bytes; {MAX_TAG} at most")]
    LongTag(usize),
    #[error("a request of {0} bytes; {MAX_CELL} at most")]
    LargeRequest(usize),
    #[error("{0} is added; counters never go back")]
    Count(i64),
    #[error("a reason must be UTF-8 of at most {MAX_REASON} bytes")]
    Reason,
}

/// Checks the effects of a batch of `inputs` inputs.
pub fn verify(effects: &Effects, inputs: usize, description: &Description) -> Result<(), Wrong> {
    let mut turns = Turns::default();
    let mut headers = effects.headers.iter().peekable();
    for (i, effect) in effects.effects.iter().enumerate() {
        let own = std::iter::from_fn(|| headers.next_if(|header| header.of as usize == i));
        let checked = turns
            .take(effect, inputs)
            .and_then(|()| check(effect, own, &effects.bytes, description));
        if let Err(fault) = checked {
            return Err(Wrong {
                input: turns.input,
                what: format!("effect {i} ({:?}): {fault}", effect.what),
            });
        }
    }
    match headers.next() {
        None => Ok(()),
        Some(header) => {
            let of = header.of as usize;
            let effect = effects.effects.get(of);
            Err(Wrong {
                input: effect.map_or(turns.input, |effect| effect.of as usize),
                what: format!("a header names effect {of}, which is no output or stands before that of another header"),
            })
        }
    }
}

/// Assigns effects to inputs: each input, in order, has its effects.
#[derive(Default)]
struct Turns {
    input: usize,
    /// Effects of the input so far.
    count: usize,
    rejected: bool,
}

impl Turns {
    /// The next effect.
    #[inline]
    fn take(&mut self, effect: &Effect, inputs: usize) -> Result<(), InvalidEffect<'static>> {
        let of = effect.of as usize;
        if of != self.input {
            if of < self.input || of >= inputs {
                return Err(InvalidEffect::Order { of, inputs });
            }
            *self = Turns {
                input: of,
                ..Turns::default()
            };
        } else if inputs == 0 {
            return Err(InvalidEffect::NoInputs);
        }
        self.count += 1;
        if self.count > MAX_EFFECTS {
            return Err(InvalidEffect::TooMany);
        }
        if self.rejected || (effect.what == Action::Reject && self.count > 1) {
            return Err(InvalidEffect::NotAlone);
        }
        self.rejected = effect.what == Action::Reject;
        Ok(())
    }
}

/// Checks that an effect can be applied. `own` are its headers, if it is an output.
#[inline]
fn check<'a>(
    effect: &Effect,
    own: impl Iterator<Item = &'a Header>,
    bytes: &[u8],
    description: &'a Description,
) -> Result<(), InvalidEffect<'a>> {
    let on = usize::from(effect.on);
    let declared = |length: usize, list| match on < length {
        true => Ok(()),
        false => Err(InvalidEffect::Undeclared { on, length, list }),
    };
    let part = |span: Span| match within(span, bytes) {
        true => Ok(span.len as usize),
        false => Err(InvalidEffect::Outside(bytes.len())),
    };
    match effect.what {
        Action::Put | Action::Delete | Action::Clear => {
            declared(description.stores.len(), "stores")?;
            let entry = part(effect.name)?;
            let value = if effect.what == Action::Put {
                part(effect.value)?
            } else {
                0
            };
            change(effect.what, entry, value, &description.stores[on])
        }
        Action::Send | Action::SendKeyed | Action::Tombstone | Action::TombstoneKeyed => {
            declared(description.outputs.len(), "outputs")?;
            let keyed = matches!(effect.what, Action::SendKeyed | Action::TombstoneKeyed);
            let key = if keyed { part(effect.name)? } else { 0 };
            let sends = matches!(effect.what, Action::Send | Action::SendKeyed);
            let value = if sends { part(effect.value)? } else { 0 };
            output(effect.at, key + value, own, bytes)
        }
        Action::SetTimer | Action::CancelTimer => {
            declared(description.timers.len(), "timers")?;
            tag(part(effect.name)?)
        }
        Action::Ask => {
            declared(description.lookups.len(), "lookups")?;
            let (name, request) = (part(effect.name)?, part(effect.value)?);
            tag(name)?;
            match request {
                0..=MAX_CELL => Ok(()),
                _ => Err(InvalidEffect::LargeRequest(request)),
            }
        }
        Action::Count => {
            declared(description.counters.len(), "counters")?;
            match effect.at {
                0.. => Ok(()),
                added => Err(InvalidEffect::Count(added)),
            }
        }
        Action::Reject => match part(effect.value)? {
            0..=MAX_REASON if std::str::from_utf8(effect.value.of(bytes)).is_ok() => Ok(()),
            _ => Err(InvalidEffect::Reason),
        },
    }
}

/// Checks that the store can hold a change of state.
#[inline]
fn change(what: Action, entry: usize, value: usize, store: &Store) -> Result<(), InvalidEffect<'_>> {
    match store.shape {
        Shape::Map if entry > MAX_ENTRY => return Err(InvalidEffect::LongEntry(entry)),
        Shape::Value if entry > 0 || what == Action::Clear => return Err(InvalidEffect::NoEntries(&store.name)),
        _ => {}
    }
    match entry + value {
        0..=MAX_CELL => Ok(()),
        size => Err(InvalidEffect::LargeCell(size)),
    }
}

/// Checks that Kafka accepts an output. `size` is that of its key and value.
#[inline]
fn output<'a>(
    at: i64,
    mut size: usize,
    own: impl Iterator<Item = &'a Header>,
    bytes: &[u8],
) -> Result<(), InvalidEffect<'static>> {
    if at < 0 {
        return Err(InvalidEffect::Timestamp(at));
    }
    for header in own {
        if !within(header.name, bytes) || !within(header.value, bytes) {
            return Err(InvalidEffect::HeaderOutside);
        }
        if std::str::from_utf8(header.name.of(bytes)).is_err() {
            return Err(InvalidEffect::HeaderName);
        }
        size += header.name.len as usize + header.value.len as usize + HEADER;
    }
    match size {
        0..=MAX_OUTPUT => Ok(()),
        _ => Err(InvalidEffect::LargeOutput(size)),
    }
}

/// Checks that a tag fits into the key of its timer or lookup.
#[inline]
fn tag(bytes: usize) -> Result<(), InvalidEffect<'static>> {
    match bytes {
        0..=MAX_TAG => Ok(()),
        _ => Err(InvalidEffect::LongTag(bytes)),
    }
}

/// A read that can't be answered, because it is wrong in itself.
#[derive(Debug, Error)]
#[error("get-many: read {read} {fault}")]
pub(super) struct WrongRead {
    /// Its index in the call.
    read: usize,
    fault: ReadFault,
}

#[derive(Debug, Error)]
enum ReadFault {
    #[error("names input {named} of {inputs}")]
    NoInput { named: u32, inputs: usize },
    #[error("names store {named} of {stores}")]
    NoStore { named: u16, stores: usize },
    #[error("has a span outside of its {0} bytes")]
    SpanOutside(usize),
    #[error("asks for an entry of store `{0}`, which has one value and no entries")]
    NoEntries(String),
}

/// Checks the reads of a `get-many` call, in a batch of `inputs` inputs.
pub(super) fn reads(reads: &[Read], bytes: &[u8], inputs: usize, description: &Description) -> Result<(), WrongRead> {
    for (i, read) in reads.iter().enumerate() {
        let fault = if read.of as usize >= inputs {
            ReadFault::NoInput { named: read.of, inputs }
        } else if usize::from(read.store) >= description.stores.len() {
            ReadFault::NoStore {
                named: read.store,
                stores: description.stores.len(),
            }
        } else if !within(read.entry, bytes) || (read.what == Question::PageAfter && !within(read.after, bytes)) {
            ReadFault::SpanOutside(bytes.len())
        } else if description.stores[usize::from(read.store)].shape == Shape::Value
            && (read.what != Question::Entry || read.entry.len > 0)
        {
            ReadFault::NoEntries(description.stores[usize::from(read.store)].name.clone())
        } else {
            continue;
        };
        return Err(WrongRead { read: i, fault });
    }
    Ok(())
}

#[inline]
fn within(span: Span, bytes: &[u8]) -> bool {
    span.start as usize + span.len as usize <= bytes.len()
}

#[cfg(test)]
mod tests;
