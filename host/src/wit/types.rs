//! The interface `types`. `wit/rules.wit` documents each item.

use super::list::{Field, List, flat, variants};
use wasmtime::component::{ComponentType, Lift};

/// A range of the bytes that are passed along with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ComponentType)]
#[component(record)]
pub struct Span {
    pub start: u32,
    pub len: u32,
}

impl Field for Span {
    const SIZE: usize = 8;
    const ALIGN: usize = 4;
    #[inline(always)]
    fn put(self, to: &mut [u8]) {
        self.start.put(to);
        self.len.put(&mut to[4..]);
    }
    #[inline(always)]
    fn take(from: &[u8]) -> Option<Self> {
        let (start, len) = (u32::take(from)?, u32::take(&from[4..])?);
        Some(Span { start, len })
    }
}

/// What the rules say about themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, ComponentType, Lift)]
#[component(record)]
pub struct Description {
    pub inputs: Vec<Channel>,
    pub outputs: Vec<Channel>,
    pub stores: Vec<Store>,
    pub lookups: Vec<Lookup>,
    pub timers: Vec<String>,
    pub counters: Vec<String>,
}

/// An input or an output.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(record)]
pub struct Channel {
    pub name: String,
    pub schema: String,
}

/// A store.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(record)]
pub struct Store {
    pub name: String,
    pub shape: Shape,
    pub schema: String,
}

/// What a store has for each key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
pub enum Shape {
    #[component(name = "value")]
    Value,
    #[component(name = "map")]
    Map,
}

/// An external service.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(record)]
pub struct Lookup {
    pub name: String,
    pub request: String,
    pub reply: String,
}

/// Inputs of one task, for one call.
#[derive(Clone, Debug, Default, PartialEq, Eq, ComponentType, wasmtime::component::Lower)]
#[component(record)]
pub struct Batch {
    pub inputs: List<Input>,
    pub headers: List<Header>,
    pub bytes: Vec<u8>,
}

/// One step of the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType)]
#[component(record)]
pub struct Input {
    pub what: Happening,
    pub late: bool,
    pub source: u16,
    pub rank: u16,
    pub time: i64,
    pub offset: u64,
    pub key: Span,
    pub tag: Span,
    pub value: Span,
}

/// The kinds of inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType)]
#[component(enum)]
#[repr(u8)]
pub enum Happening {
    #[component(name = "event")]
    Event,
    #[component(name = "tombstone")]
    Tombstone,
    #[component(name = "timer")]
    Timer,
    #[component(name = "answer")]
    Answer,
    #[component(name = "absent")]
    Absent,
    #[component(name = "unavailable")]
    Unavailable,
    #[component(name = "unreadable")]
    Unreadable,
}

/// A header of an event, or of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType)]
#[component(record)]
pub struct Header {
    pub of: u32,
    pub name: Span,
    pub value: Span,
}

/// Effects of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, ComponentType, Lift)]
#[component(record)]
pub struct Effects {
    pub effects: List<Effect>,
    pub headers: List<Header>,
    pub bytes: Vec<u8>,
}

/// One effect of one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType)]
#[component(record)]
pub struct Effect {
    pub what: Action,
    pub on: u16,
    pub of: u32,
    pub at: i64,
    pub name: Span,
    pub value: Span,
}

/// The kinds of effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType)]
#[component(enum)]
#[repr(u8)]
pub enum Action {
    #[component(name = "put")]
    Put,
    #[component(name = "delete")]
    Delete,
    #[component(name = "clear")]
    Clear,
    #[component(name = "send")]
    Send,
    #[component(name = "send-keyed")]
    SendKeyed,
    #[component(name = "tombstone")]
    Tombstone,
    #[component(name = "tombstone-keyed")]
    TombstoneKeyed,
    #[component(name = "set-timer")]
    SetTimer,
    #[component(name = "cancel-timer")]
    CancelTimer,
    #[component(name = "ask")]
    Ask,
    #[component(name = "count")]
    Count,
    #[component(name = "reject")]
    Reject,
}

variants! {
    Happening { Event, Tombstone, Timer, Answer, Absent, Unavailable, Unreadable }
    Action {
        Put, Delete, Clear, Send, SendKeyed, Tombstone, TombstoneKeyed, SetTimer, CancelTimer, Ask, Count, Reject
    }
}

flat! {
    Input {
        what: Happening, late: bool, source: u16, rank: u16, time: i64, offset: u64, key: Span, tag: Span, value: Span
    }
    Header { of: u32, name: Span, value: Span }
    Effect { what: Action, on: u16, of: u32, at: i64, name: Span, value: Span }
}

#[cfg(test)]
mod tests {
    use super::super::list::Flat;
    use super::*;

    const SPAN: Span = Span { start: 1 << 31, len: 7 };
    const INPUT: Input = Input {
        what: Happening::Absent,
        late: true,
        source: 2,
        rank: u16::MAX,
        time: -3,
        offset: u64::MAX,
        key: SPAN,
        tag: Span { start: 0, len: 0 },
        value: SPAN,
    };
    const EFFECT: Effect = Effect {
        what: Action::Reject,
        on: 1,
        of: u32::MAX,
        at: i64::MIN,
        name: SPAN,
        value: SPAN,
    };

    /// Each record in a list takes exactly its own bytes.
    fn there_and_back<T: Flat + Clone + PartialEq + std::fmt::Debug>(record: T) {
        let list = vec![record; 3];
        let mut memory = vec![0xaa; list.len() * T::SIZE32];
        for (record, place) in list.iter().zip(memory.chunks_exact_mut(T::SIZE32)) {
            record.write(place);
        }
        let read: Option<Vec<T>> = memory.chunks_exact(T::SIZE32).map(T::read).collect();
        assert_eq!(read, Some(list));
    }

    #[test]
    fn lists_come_back_as_they_were() {
        there_and_back(INPUT);
        there_and_back(EFFECT);
        let header = Header {
            of: 9,
            name: SPAN,
            value: SPAN,
        };
        there_and_back(header);
    }

    #[test]
    fn a_byte_that_names_no_variant_is_refused() {
        let mut place = vec![0; Effect::SIZE32];
        EFFECT.write(&mut place);
        place[0] = Action::Reject as u8 + 1;
        assert_eq!(Effect::read(&place), None);
    }
}
