//! The words of the WIT package in Rust: what the host and the rules say to each other.
//!
//! Rule: `wit/rules.wit` is the only definition. These are plain structs that own their lists, and [`Span`] is the same
//! type everywhere in the host.

#![expect(
    clippy::derivable_impls,
    reason = "the structs are generated, and the enums beside them have no default"
)]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "pelton:rules/rules",
    additional_derives: [PartialEq, Eq],
    imports: { default: trappable },
});

pub use pelton::rules::host::{Cell, Found, Level, Question, Read};
pub use pelton::rules::types::{Action, Channel, Effect, Happening, Header, Input, Lookup, Shape, Span, Store};

impl Default for Span {
    fn default() -> Self {
        Span { start: 0, len: 0 }
    }
}

impl Default for Batch {
    fn default() -> Self {
        Batch {
            inputs: Vec::new(),
            headers: Vec::new(),
            bytes: Vec::new(),
        }
    }
}

impl Default for Effects {
    fn default() -> Self {
        Effects {
            effects: Vec::new(),
            headers: Vec::new(),
            bytes: Vec::new(),
        }
    }
}

impl Default for Found {
    fn default() -> Self {
        Found {
            cells: Vec::new(),
            bytes: Vec::new(),
        }
    }
}

impl Default for Description {
    fn default() -> Self {
        Description {
            inputs: Vec::new(),
            outputs: Vec::new(),
            stores: Vec::new(),
            lookups: Vec::new(),
            timers: Vec::new(),
            counters: Vec::new(),
        }
    }
}
