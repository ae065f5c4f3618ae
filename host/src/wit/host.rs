//! The interface `host`: what the rules may call. `wit/rules.wit` documents each item.

use super::list::{List, flat, variants};
use super::types::Span;
use wasmtime::component::{ComponentType, Lift, Linker, Lower};

/// A read of the state of an input's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType)]
#[component(record)]
pub struct Read {
    pub what: Question,
    pub store: u16,
    pub of: u32,
    pub entry: Span,
    pub after: Span,
    pub limit: u32,
}

/// What a read asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType)]
#[component(enum)]
#[repr(u8)]
pub enum Question {
    #[component(name = "entry")]
    Entry,
    #[component(name = "page")]
    Page,
    #[component(name = "page-after")]
    PageAfter,
}

/// The answers to reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, ComponentType, Lower)]
#[component(record)]
pub struct Found {
    pub cells: List<Cell>,
    pub bytes: Vec<u8>,
}

/// An entry that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType)]
#[component(record)]
pub struct Cell {
    pub of: u32,
    pub entry: Span,
    pub value: Span,
    pub expires: i64,
}

/// The severity of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
pub enum Level {
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

variants! {
    Question { Entry, Page, PageAfter }
}

flat! {
    Read { what: Question, store: u16, of: u32, entry: Span, after: Span, limit: u32 }
    Cell { of: u32, entry: Span, value: Span, expires: i64 }
}

/// What the host provides to the rules.
pub trait Host {
    /// Implements `get-many`. An error ends the call of the rules.
    fn get_many(&mut self, reads: &[Read], bytes: &[u8]) -> wasmtime::Result<Found>;
    /// Implements `log`.
    fn log(&mut self, level: Level, message: String);
}

/// Links the interface to the data of the store.
pub fn link<T: Host + Send + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut interface = linker.instance("pelton:rules/host@0.1.0")?;
    interface.func_wrap("get-many", |mut store, (reads, bytes): (List<Read>, Vec<u8>)| {
        store.data_mut().get_many(&reads, &bytes).map(|found| (found,))
    })?;
    interface.func_wrap("log", |mut store, (level, message): (Level, String)| {
        store.data_mut().log(level, message);
        Ok(())
    })
}
