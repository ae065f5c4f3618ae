//! The words of the WIT package in Rust: what the host and the rules say to each other.
//!
//! Rule: `wit/rules.wit` is the only definition. The types are written here and not generated, because lists of records
//! cross the boundary as wholes ([`List`]) and not field by field; that they fit is checked, name by name, whenever a
//! component is loaded. [`Span`] is the same type everywhere in the host.

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

/// A sandbox's view of state. It is moved in for each call and moved out afterwards, so no pointer is shared.
pub trait State: Default + Send + 'static {
    /// Answers reads, with the state at the start of the batch. The reads are valid: their inputs and stores exist,
    /// their spans are within `bytes`, and pages are of maps. If it fails, the call traps with this text.
    fn get_many(&mut self, reads: &[Read], bytes: &[u8]) -> Result<Found, String>;
}

/// The exports of a component's instance.
pub struct Rules {
    describe: Func,
    process: Func,
}

impl Rules {
    /// Finds them. Err: one is not there, or has another type.
    pub fn new(mut store: impl AsContextMut, instance: &Instance) -> Result<Rules> {
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
        Ok(Rules { describe, process })
    }

    /// See `describe`.
    pub fn describe(&self, store: impl AsContextMut, settings: &str) -> Result<Result<Description, String>> {
        // SAFETY: `new` has checked this type. (A function with a type borrows, so it can't be kept.)
        let typed = unsafe { TypedFunc::<(&str,), (Result<Description, String>,)>::new_unchecked(self.describe) };
        typed.call(store, (settings,)).map(|(result,)| result)
    }

    /// See `process`.
    pub fn process(&self, store: impl AsContextMut, batch: &Batch) -> Result<Effects> {
        // SAFETY: `new` has checked this type.
        let typed = unsafe { TypedFunc::<(&Batch,), (Effects,)>::new_unchecked(self.process) };
        typed.call(store, (batch,)).map(|(effects,)| effects)
    }
}
