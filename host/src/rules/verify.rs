//! Checks what a guest has returned, before it is used.
//!
//! Rule: what passes can be applied without further checks. Spans are within the bytes, indexes within the description,
//! and sizes fit into a Kafka record. Every limit is for a single input or effect, never for a batch, so that the
//! verdict on an input does not depend on how batches are cut.

use super::{Action, Description, Effects, Question, Read, Shape, Span};
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
    let bytes = &effects.bytes;
    let mut headers = effects.headers.iter().peekable();
    let mut input = 0;
    let mut count = 0;
    let mut rejected = false;
    for (i, effect) in effects.effects.iter().enumerate() {
        let wrong = |input: usize, what: fmt::Arguments<'_>| {
            let what = format!("effect {i} ({:?}): {what}", effect.what);
            Err(Wrong { input, what })
        };
        let of = effect.of as usize;
        if of != input {
            if of < input || of >= inputs {
                return wrong(
                    input,
                    format_args!("it names input {of} of {inputs}; `of` must never go back"),
                );
            }
            (input, count, rejected) = (of, 0, false);
        } else if inputs == 0 {
            return wrong(0, format_args!("there are no inputs"));
        }
        count += 1;
        if count > MAX_EFFECTS {
            return wrong(input, format_args!("more than {MAX_EFFECTS} effects of one input"));
        }
        if rejected || (effect.what == Action::Reject && count > 1) {
            return wrong(input, format_args!("a rejection must be the only effect of its input"));
        }
        // What the index points into, and which fields are used.
        let (list, length) = match effect.what {
            Action::Put | Action::Delete | Action::Clear => ("stores", description.stores.len()),
            Action::Send | Action::SendKeyed | Action::Tombstone | Action::TombstoneKeyed => {
                ("outputs", description.outputs.len())
            }
            Action::SetTimer | Action::CancelTimer => ("timers", description.timers.len()),
            Action::Ask => ("lookups", description.lookups.len()),
            Action::Count => ("counters", description.counters.len()),
            Action::Reject => ("", usize::MAX),
        };
        let on = usize::from(effect.on);
        if on >= length {
            return wrong(input, format_args!("`on` is {on}, the rules have {length} {list}"));
        }
        let (has_name, has_value) = match effect.what {
            Action::Put | Action::SendKeyed | Action::Ask => (true, true),
            Action::Send | Action::Reject => (false, true),
            Action::Delete | Action::Clear | Action::TombstoneKeyed | Action::SetTimer | Action::CancelTimer => {
                (true, false)
            }
            Action::Tombstone | Action::Count => (false, false),
        };
        if (has_name && !within(effect.name, bytes)) || (has_value && !within(effect.value, bytes)) {
            return wrong(input, format_args!("a span lies outside of the {} bytes", bytes.len()));
        }
        let name = if has_name { effect.name.len as usize } else { 0 };
        let value = if has_value { effect.value.len as usize } else { 0 };
        match effect.what {
            Action::Put | Action::Delete | Action::Clear => {
                let store = &description.stores[on];
                match store.shape {
                    Shape::Map if name > MAX_ENTRY => {
                        return wrong(input, format_args!("an entry of {name} bytes; {MAX_ENTRY} at most"));
                    }
                    Shape::Value if name > 0 || effect.what == Action::Clear => {
                        return wrong(
                            input,
                            format_args!("store `{}` has one value and no entries", store.name),
                        );
                    }
                    _ => {}
                }
                if name + value > MAX_CELL {
                    let size = name + value;
                    return wrong(
                        input,
                        format_args!("entry and value of {size} bytes; {MAX_CELL} at most"),
                    );
                }
            }
            Action::Send | Action::SendKeyed | Action::Tombstone | Action::TombstoneKeyed => {
                if effect.at < 0 {
                    return wrong(
                        input,
                        format_args!("timestamp {} is before 1970, which Kafka refuses", effect.at),
                    );
                }
                let mut size = name + value;
                while let Some(header) = headers.next_if(|header| header.of as usize == i) {
                    if !within(header.name, bytes) || !within(header.value, bytes) {
                        return wrong(input, format_args!("a span of a header lies outside of the bytes"));
                    }
                    if std::str::from_utf8(header.name.of(bytes)).is_err() {
                        return wrong(input, format_args!("the name of a header is not UTF-8"));
                    }
                    size += header.name.len as usize + header.value.len as usize + HEADER;
                }
                if size > MAX_OUTPUT {
                    return wrong(
                        input,
                        format_args!("key, value and headers of {size} bytes; {MAX_OUTPUT} at most"),
                    );
                }
            }
            Action::SetTimer | Action::CancelTimer | Action::Ask => {
                if name > MAX_TAG {
                    return wrong(input, format_args!("a tag of {name} bytes; {MAX_TAG} at most"));
                }
                if value > MAX_CELL {
                    return wrong(input, format_args!("a request of {value} bytes; {MAX_CELL} at most"));
                }
            }
            Action::Count => {
                if effect.at < 0 {
                    return wrong(input, format_args!("{} is added; counters never go back", effect.at));
                }
            }
            Action::Reject => {
                if value > MAX_REASON || std::str::from_utf8(effect.value.of(bytes)).is_err() {
                    return wrong(
                        input,
                        format_args!("a reason must be UTF-8 of at most {MAX_REASON} bytes"),
                    );
                }
                rejected = true;
            }
        }
    }
    match headers.next() {
        None => Ok(()),
        Some(header) => {
            let of = header.of as usize;
            let input = effects.effects.get(of).map_or(input, |effect| effect.of as usize);
            let what =
                format!("a header names effect {of}, which is no output or stands before that of another header");
            Err(Wrong { input, what })
        }
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
