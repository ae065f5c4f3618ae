//! The types of the WIT package in Rust: the interface between host and rules.
//!
//! Rule: `wit/rules.wit` is the only definition. The types are written by hand instead of generated, because lists of
//! records are copied as a whole ([`List`]) and not field by field. When a component is loaded, wasmtime checks that
//! they match, name by name. [`Span`] is the same type everywhere in the host.

pub mod host;
mod list;
pub mod types;

pub use host::{Cell, Found, Level, Question, Read};
pub use list::List;
pub use types::{
    Action, Batch, Channel, Description, Effect, Effects, Happening, Header, Input, Lookup, Shape, Span, Store,
};

use wasmtime::component::{Func, Instance, TypedFunc};
use wasmtime::{AsContextMut, Result};

/// The version of the WIT package that this host serves. Another patch version is compatible.
pub const PACKAGE: &str = "0.1.0";

/// A sandbox's view of state. It is moved in for each call and moved out afterwards, so no pointer is shared.
pub trait StateReader: Default + Send + 'static {
    /// Answers reads, with the state at the start of the batch. The reads are valid: their inputs and stores exist,
    /// their spans are within `bytes`, and pages are of maps. If it fails, the call traps with this text.
    fn get_many(&mut self, reads: &[Read], bytes: &[u8]) -> Result<Found, String>;
}

/// The exports of an instance of a component.
pub struct Exports {
    describe: Func,
    process: Func,
}

impl Exports {
    /// Finds the exports. Fails if one is missing or has the wrong type.
    pub fn new(mut store: impl AsContextMut, instance: &Instance) -> Result<Exports> {
        let mut find = |name: &str| {
            let missing = || wasmtime::Error::msg(format!("no exported function `{name}`"));
            instance.get_func(&mut store, name).ok_or_else(missing)
        };
        let (describe, process) = (find("describe")?, find("process")?);
        let store = store.as_context();
        let checked = describe.typed::<(&str,), (Result<Description, String>,)>(&store);
        checked.map_err(|error| error.context("function `describe`"))?;
        let checked = process.typed::<(&Batch,), (Effects,)>(&store);
        checked.map_err(|error| error.context("function `process`"))?;
        Ok(Exports { describe, process })
    }

    /// Calls `describe`.
    pub fn describe(&self, store: impl AsContextMut, settings: &str) -> Result<Result<Description, String>> {
        // SAFETY: `new` has checked this type. (A typed function borrows, so it can't be kept.)
        let typed = unsafe { TypedFunc::<(&str,), (Result<Description, String>,)>::new_unchecked(self.describe) };
        typed.call(store, (settings,)).map(|(result,)| result)
    }

    /// Calls `process`.
    pub fn process(&self, store: impl AsContextMut, batch: &Batch) -> Result<Effects> {
        // SAFETY: `new` has checked this type.
        let typed = unsafe { TypedFunc::<(&Batch,), (Effects,)>::new_unchecked(self.process) };
        typed.call(store, (batch,)).map(|(effects,)| effects)
    }
}
