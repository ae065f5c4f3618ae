//! What Pelton's rules are written with.
#![doc = include_str!("../README.md")]

extern crate self as pelton_sdk;

mod arena;
pub mod avro;
mod ctx;
mod declare;
#[doc(hidden)]
pub mod derived;
mod entry;
mod output;
mod overlay;
mod rules;
mod run;
mod settings;
mod store;
mod walk;
#[doc(hidden)]
pub mod wire;

pub use ctx::{Ctx, Reads};
pub use declare::Declare;
pub use entry::{Bytes, Entry, Part, Text};
pub use output::{Counter, Lookup, Output, OutputRecord};
pub use pelton_derive::{Due, Event, Reply, Settings};
pub use rules::{Inputs, Never, NoAnswer, Outcome, Place, Record, Reject, Replies, Rules, Step, Timers};
pub use settings::{FromSettings, Setting};
pub use store::{Drain, Map, Scan, Set, Value};
#[doc(hidden)]
pub use wit_bindgen;
