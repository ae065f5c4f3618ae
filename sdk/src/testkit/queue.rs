//! The queue of steps in their order, and the batches that are made of them.

use super::record::Input;
use crate::inputs::NoAnswer;
use crate::wire::{Batch, Happening, Header, Input as Step, Span};
use std::collections::BTreeMap;

/// The order of steps: at the same time, records come first, then timers, then replies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    pub time: i64,
    pub class: u8,
    pub key: Vec<u8>,
    pub on: u16,
    pub tag: Vec<u8>,
}

impl At {
    pub(super) fn record(time: i64, rank: u16, offset: u64) -> At {
        At {
            time,
            class: 0,
            key: Vec::new(),
            on: rank,
            tag: offset.to_be_bytes().into(),
        }
    }
}

/// A step in the queue.
#[derive(Clone)]
pub(super) enum Item {
    Record { input: Input, rank: u16, offset: u64 },
    Timer,
    Reply(Result<Vec<u8>, NoAnswer>),
}

/// The batch of these steps.
pub(super) fn batch(steps: &[(At, (u64, Item))]) -> Batch {
    let (mut bytes, mut headers, mut inputs) = (Vec::new(), Vec::new(), Vec::new());
    let mut keys = BTreeMap::new();
    for (of, (at, (_, item))) in steps.iter().enumerate() {
        let key = match item {
            Item::Record { input, .. } => &input.key,
            _ => &at.key,
        };
        let key = *keys.entry(key.clone()).or_insert_with(|| Span::append(&mut bytes, key));
        let mut step = Step {
            what: Happening::Timer,
            late: false,
            source: at.on,
            rank: 0,
            time: at.time,
            offset: 0,
            key,
            tag: Span::EMPTY,
            value: Span::EMPTY,
        };
        match item {
            Item::Record { input, rank, offset } => {
                (step.what, step.late, step.rank, step.offset) = (Happening::Event, input.late, *rank, *offset);
                match &input.value {
                    Some(value) => step.value = Span::append(&mut bytes, value),
                    None => step.what = Happening::Tombstone,
                }
                headers.extend(input.headers.iter().map(|(name, value)| Header {
                    of: of as u32,
                    name: Span::append(&mut bytes, name.as_bytes()),
                    value: Span::append(&mut bytes, value),
                }));
            }
            Item::Timer => step.tag = Span::append(&mut bytes, &at.tag),
            Item::Reply(answer) => {
                step.tag = Span::append(&mut bytes, &at.tag);
                step.what = match answer {
                    Ok(answer) => {
                        step.value = Span::append(&mut bytes, answer);
                        Happening::Answer
                    }
                    Err(NoAnswer::Absent) => Happening::Absent,
                    Err(NoAnswer::Unavailable) => Happening::Unavailable,
                    Err(NoAnswer::Unreadable) => Happening::Unreadable,
                };
            }
        }
        inputs.push(step);
    }
    Batch { inputs, headers, bytes }
}
