//! Checks what a guest has returned, before it is used.
//!
//! Rule: what passes can be applied without further checks. Spans are within the bytes, indexes within the description,
//! and sizes fit into a Kafka record. Every limit is for a single input or effect, never for a batch, so that the
//! verdict on an input does not depend on how batches are cut.

use super::{Action, Description, Effect, Effects, Header, Question, Read, Shape, Span, Store};
use std::fmt;

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

/// Framing of a header in a record: two lengths.
const HEADER: usize = 8;

/// Effects that can't be applied. The effects of the inputs before it are valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Index of the input that the effects belong to. If there is no such input, the last one before it.
    pub input: usize,
    /// What is wrong with them, in one line.
    pub what: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "effects of input {} of the batch: {}", self.input, self.what)
    }
}

impl std::error::Error for Wrong {}

/// Checks the effects of a batch of `inputs` inputs.
pub fn verify(effects: &Effects, inputs: usize, description: &Description) -> Result<(), Wrong> {
    let mut turns = Turns::default();
    let mut headers = effects.headers.iter().peekable();
    for (i, effect) in effects.effects.iter().enumerate() {
        let mut check = || {
            turns.take(effect, inputs)?;
            place(effect, description)?;
            let sizes = sizes(effect, &effects.bytes)?;
            match effect.what {
                Action::Put | Action::Delete | Action::Clear => {
                    change(effect, sizes, &description.stores[usize::from(effect.on)])
                }
                Action::Send | Action::SendKeyed | Action::Tombstone | Action::TombstoneKeyed => {
                    let own = std::iter::from_fn(|| headers.next_if(|header| header.of as usize == i));
                    output(effect, sizes, own, &effects.bytes)
                }
                Action::SetTimer | Action::CancelTimer | Action::Ask => tagged(sizes),
                Action::Count if effect.at < 0 => Err(format!("{} is added; counters never go back", effect.at)),
                Action::Count => Ok(()),
                Action::Reject => reason(effect, sizes, &effects.bytes),
            }
        };
        if let Err(why) = check() {
            let what = format!("effect {i} ({:?}): {why}", effect.what);
            return Err(Wrong {
                input: turns.input,
                what,
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

/// Whose turn it is: the inputs in order, each with its effects.
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
    fn take(&mut self, effect: &Effect, inputs: usize) -> Result<(), String> {
        let of = effect.of as usize;
        if of != self.input {
            if of < self.input || of >= inputs {
                return Err(format!("it names input {of} of {inputs}; `of` must never go back"));
            }
            *self = Turns {
                input: of,
                ..Turns::default()
            };
        } else if inputs == 0 {
            return Err("there are no inputs".into());
        }
        self.count += 1;
        if self.count > MAX_EFFECTS {
            return Err(format!("more than {MAX_EFFECTS} effects of one input"));
        }
        if self.rejected || (effect.what == Action::Reject && self.count > 1) {
            return Err("a rejection must be the only effect of its input".into());
        }
        self.rejected = effect.what == Action::Reject;
        Ok(())
    }
}

/// What the effect is on is declared.
#[inline]
fn place(effect: &Effect, description: &Description) -> Result<(), String> {
    let (list, length) = match effect.what {
        Action::Put | Action::Delete | Action::Clear => ("stores", description.stores.len()),
        Action::Send | Action::SendKeyed | Action::Tombstone | Action::TombstoneKeyed => {
            ("outputs", description.outputs.len())
        }
        Action::SetTimer | Action::CancelTimer => ("timers", description.timers.len()),
        Action::Ask => ("lookups", description.lookups.len()),
        Action::Count => ("counters", description.counters.len()),
        Action::Reject => return Ok(()),
    };
    let on = usize::from(effect.on);
    match on < length {
        true => Ok(()),
        false => Err(format!("`on` is {on}, the rules have {length} {list}")),
    }
}

/// Bytes of the parts of an effect; 0 for a part that counts for nothing in an effect of its kind.
#[derive(Clone, Copy)]
struct Sizes {
    name: usize,
    value: usize,
}

/// The parts of an effect that count lie within the bytes.
#[inline]
fn sizes(effect: &Effect, bytes: &[u8]) -> Result<Sizes, String> {
    let (has_name, has_value) = match effect.what {
        Action::Put | Action::SendKeyed | Action::Ask => (true, true),
        Action::Send | Action::Reject => (false, true),
        Action::Delete | Action::Clear | Action::TombstoneKeyed | Action::SetTimer | Action::CancelTimer => {
            (true, false)
        }
        Action::Tombstone | Action::Count => (false, false),
    };
    if (has_name && !within(effect.name, bytes)) || (has_value && !within(effect.value, bytes)) {
        return Err(format!("a span lies outside of the {} bytes", bytes.len()));
    }
    Ok(Sizes {
        name: if has_name { effect.name.len as usize } else { 0 },
        value: if has_value { effect.value.len as usize } else { 0 },
    })
}

/// A change of state is one that the store can hold.
#[inline]
fn change(effect: &Effect, sizes: Sizes, store: &Store) -> Result<(), String> {
    let Sizes { name, value } = sizes;
    match store.shape {
        Shape::Map if name > MAX_ENTRY => return Err(format!("an entry of {name} bytes; {MAX_ENTRY} at most")),
        Shape::Value if name > 0 || effect.what == Action::Clear => {
            return Err(format!("store `{}` has one value and no entries", store.name));
        }
        _ => {}
    }
    match name + value {
        0..=MAX_CELL => Ok(()),
        size => Err(format!("entry and value of {size} bytes; {MAX_CELL} at most")),
    }
}

/// An output is one that Kafka takes. `own` are its headers.
#[inline]
fn output<'a>(
    effect: &Effect,
    sizes: Sizes,
    own: impl Iterator<Item = &'a Header>,
    bytes: &[u8],
) -> Result<(), String> {
    if effect.at < 0 {
        return Err(format!("timestamp {} is before 1970, which Kafka refuses", effect.at));
    }
    let mut size = sizes.name + sizes.value;
    for header in own {
        if !within(header.name, bytes) || !within(header.value, bytes) {
            return Err("a span of a header lies outside of the bytes".into());
        }
        if std::str::from_utf8(header.name.of(bytes)).is_err() {
            return Err("the name of a header is not UTF-8".into());
        }
        size += header.name.len as usize + header.value.len as usize + HEADER;
    }
    match size {
        0..=MAX_OUTPUT => Ok(()),
        _ => Err(format!("key, value and headers of {size} bytes; {MAX_OUTPUT} at most")),
    }
}

/// A timer or a lookup has a tag that fits into its key.
#[inline]
fn tagged(sizes: Sizes) -> Result<(), String> {
    match sizes {
        Sizes { name, .. } if name > MAX_TAG => Err(format!("a tag of {name} bytes; {MAX_TAG} at most")),
        Sizes { value, .. } if value > MAX_CELL => Err(format!("a request of {value} bytes; {MAX_CELL} at most")),
        _ => Ok(()),
    }
}

/// A rejection has a reason that fits into a header.
#[inline]
fn reason(effect: &Effect, sizes: Sizes, bytes: &[u8]) -> Result<(), String> {
    match sizes.value <= MAX_REASON && std::str::from_utf8(effect.value.of(bytes)).is_ok() {
        true => Ok(()),
        false => Err(format!("a reason must be UTF-8 of at most {MAX_REASON} bytes")),
    }
}

/// Checks the reads of a `get-many` call, in a batch of `inputs` inputs.
pub(super) fn reads(reads: &[Read], bytes: &[u8], inputs: usize, description: &Description) -> Result<(), String> {
    for (i, read) in reads.iter().enumerate() {
        let what = if read.of as usize >= inputs {
            format!("names input {} of {inputs}", read.of)
        } else if usize::from(read.store) >= description.stores.len() {
            format!("names store {} of {}", read.store, description.stores.len())
        } else if !within(read.entry, bytes) || (read.what == Question::PageAfter && !within(read.after, bytes)) {
            format!("has a span outside of its {} bytes", bytes.len())
        } else if description.stores[usize::from(read.store)].shape == Shape::Value
            && (read.what != Question::Entry || read.entry.len > 0)
        {
            let name = &description.stores[usize::from(read.store)].name;
            format!("asks for an entry of store `{name}`, which has one value and no entries")
        } else {
            continue;
        };
        return Err(format!("get-many: read {i} {what}"));
    }
    Ok(())
}

#[inline]
fn within(span: Span, bytes: &[u8]) -> bool {
    span.start as usize + span.len as usize <= bytes.len()
}

#[cfg(test)]
mod tests;
