//! One instance of the rules, with its limits.
//!
//! Rule: a call returns effects or it traps; after a trap the sandbox is dead. State is inside for the length of one call.

use super::engine::{Compiled, Rules};
use super::{Batch, Description, Effects, Found, Kind, Level, Read, Refused, Trap, Version, verify};
use crate::wit::{self, State};
use std::any::Any;
use std::sync::Arc;
use wasmtime::{ResourceLimiter, Store};

/// Elements of all tables (function pointers): far beyond what a compiler makes, 8 MiB of the host's memory.
const MAX_TABLE: usize = 1 << 20;

/// Lines that one call may log.
const MAX_LINES: u32 = 100;

/// Bytes of a line that is logged.
const MAX_LINE: usize = 4096;

/// What wasmtime says when a guest hands over more than [`Store::set_hostcall_fuel`] allows.
const TOO_MUCH: &str = "too much data is being copied between the host and the guest";

/// One instance of rules. `S` is what it sees of state.
pub struct Sandbox<S: State> {
    store: Store<Inside>,
    rules: wit::Rules,
    /// The clock of the time limits must not stop before.
    compiled: Arc<Compiled>,
    dead: bool,
    state: std::marker::PhantomData<S>,
}

impl<S: State> Sandbox<S> {
    /// A fresh instance, described and ready.
    pub fn new(rules: &Rules) -> Result<Self, Trap> {
        let compiled = rules.0.clone();
        let mut store = open::<S>(&compiled);
        let instance = match compiled.pre.instantiate(&mut store) {
            Ok(instance) => instance,
            Err(error) => return Err(store.data_mut().trap(error)),
        };
        let rules = match wit::Rules::new(&mut store, &instance) {
            Ok(rules) => rules,
            Err(error) => return Err(store.data_mut().trap(error)),
        };
        match rules.describe(&mut store, &compiled.settings) {
            // The same settings give the same answer: it was checked when the rules were compiled.
            Ok(Ok(_)) => Ok(Sandbox {
                store,
                rules,
                compiled,
                dead: false,
                state: std::marker::PhantomData,
            }),
            Ok(Err(text)) => Err(Trap::new(
                Kind::Other,
                format_args!("describe has refused settings that it had accepted: {text}"),
            )),
            Err(error) => Err(store.data_mut().trap(error)),
        }
    }

    /// Handles a batch. `state` answers what it reads, and is given back also when it traps. `patience` multiplies the
    /// time limit. The effects are as the guest gave them: [`verify`](super::verify()) them.
    pub fn process(&mut self, batch: &Batch, state: &mut S, patience: u32) -> Result<Effects, Trap> {
        if self.dead {
            return Err(Trap::new(Kind::Dead, "this sandbox has trapped before; make a new one"));
        }
        let inputs = batch.inputs.len();
        self.store
            .set_epoch_deadline(self.compiled.limits.ticks(inputs, patience));
        let inside = self.store.data_mut();
        inside.begin(inputs);
        inside.exchange(state);
        let result = self.rules.process(&mut self.store, batch);
        let inside = self.store.data_mut();
        inside.exchange(state);
        inside.inputs = None;
        result.map_err(|error| {
            self.dead = true;
            self.store.data_mut().trap(error)
        })
    }

    /// Of which rules.
    pub fn version(&self) -> Version {
        self.compiled.version
    }
}

/// The first start: everything that can't be known without running the guest.
pub(super) fn describe(compiled: &Compiled) -> Result<Description, Refused> {
    let mut store = open::<Nothing>(compiled);
    let instance = match compiled.pre.instantiate(&mut store) {
        Ok(instance) => instance,
        Err(error) => return Err(Refused::Start(store.data_mut().trap(error))),
    };
    let rules = wit::Rules::new(&mut store, &instance).map_err(|error| Refused::ExportType(format!("{error:#}")))?;
    match rules.describe(&mut store, &compiled.settings) {
        Ok(Ok(description)) => Ok(description),
        Ok(Err(text)) => Err(Refused::Settings(text)),
        Err(error) => Err(Refused::Start(store.data_mut().trap(error))),
    }
}

/// A store with its limits set for `describe`.
fn open<S: State>(compiled: &Compiled) -> Store<Inside> {
    let inside = Inside {
        state: Box::new(S::default()),
        inputs: None,
        description: compiled.description.clone(),
        version: compiled.version,
        room: compiled.limits.memory,
        table_room: MAX_TABLE,
        lines: 0,
        last_error: String::new(),
        fault: None,
    };
    let mut store = Store::new(&compiled.clock.engine, inside);
    store.limiter(|inside| inside);
    store.set_hostcall_fuel(compiled.limits.memory);
    store.set_epoch_deadline(compiled.limits.ticks(1, 1));
    store
}

/// State, before and after.
#[derive(Default)]
struct Nothing;

impl State for Nothing {
    fn get_many(&mut self, _: &[Read], _: &[u8]) -> Result<Found, String> {
        Err("there is no state".into())
    }
}

/// [`State`] without its type, so that a component is linked once for all kinds of state.
trait AnyState: Any + Send {
    fn get_many(&mut self, reads: &[Read], bytes: &[u8]) -> Result<Found, String>;
}

impl<S: State> AnyState for S {
    fn get_many(&mut self, reads: &[Read], bytes: &[u8]) -> Result<Found, String> {
        State::get_many(self, reads, bytes)
    }
}

/// What the host keeps for one instance.
pub(super) struct Inside {
    state: Box<dyn AnyState>,
    /// Inputs of the batch that is processed; none: no batch is.
    inputs: Option<usize>,
    description: Arc<Description>,
    version: Version,
    /// Bytes by which memories may still grow.
    room: usize,
    /// Elements by which tables may still grow.
    table_room: usize,
    /// Lines logged in this call.
    lines: u32,
    /// The last error that was logged in this call: what a panic says before it traps.
    last_error: String,
    /// Why the host has ended the call.
    fault: Option<Trap>,
}

impl Inside {
    fn begin(&mut self, inputs: usize) {
        self.inputs = Some(inputs);
        self.lines = 0;
        self.last_error.clear();
    }

    fn exchange<S: State>(&mut self, state: &mut S) {
        let any: &mut dyn Any = &mut *self.state;
        // The box was made by `Sandbox::<S>::new`, and is never replaced.
        let own = any.downcast_mut::<S>().expect("the sandbox's own type of state");
        std::mem::swap(own, state);
    }

    /// Ends the call from within an import.
    pub(super) fn end(&mut self, kind: Kind, text: impl std::fmt::Display) -> wasmtime::Error {
        let trap = self.fault.insert(Trap::new(kind, text));
        wasmtime::Error::msg(trap.text.clone())
    }

    /// What an error of a call was.
    fn trap(&mut self, error: wasmtime::Error) -> Trap {
        if let Some(fault) = self.fault.take() {
            return fault;
        }
        match error.downcast_ref::<wasmtime::Trap>() {
            Some(wasmtime::Trap::UnreachableCodeReached) if !self.last_error.is_empty() => {
                Trap::new(Kind::Panic, &self.last_error)
            }
            Some(trap @ wasmtime::Trap::UnreachableCodeReached) => Trap::new(Kind::Panic, trap),
            Some(wasmtime::Trap::Interrupt) => Trap::new(Kind::Time, "the call took longer than it may"),
            Some(trap @ wasmtime::Trap::StackOverflow) => Trap::new(Kind::Stack, trap),
            Some(trap @ wasmtime::Trap::MemoryOutOfBounds) => Trap::new(
                Kind::Other,
                format_args!("{trap} (often calls nested too deep: a compiled guest's own stack is in its memory)"),
            ),
            Some(trap) => Trap::new(Kind::Other, trap),
            None => {
                let text = format!("{error:#}");
                // Wasmtime has no type for it; a test holds the words.
                let kind = if text.contains(TOO_MUCH) {
                    Kind::Memory
                } else {
                    Kind::Other
                };
                Trap::new(kind, text)
            }
        }
    }
}

impl ResourceLimiter for Inside {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        if more > self.room {
            let text = format!(
                "{more} bytes more were asked for, {} are left (memory_limit)",
                self.room
            );
            return Err(self.end(Kind::Memory, text));
        }
        self.room -= more;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        if more > self.table_room {
            return Err(self.end(Kind::Memory, format_args!("tables of more than {MAX_TABLE} elements")));
        }
        self.table_room -= more;
        Ok(true)
    }
}

impl wit::host::Host for Inside {
    fn get_many(&mut self, reads: &[Read], bytes: &[u8]) -> wasmtime::Result<Found> {
        let Some(inputs) = self.inputs else {
            return Err(self.end(Kind::Host, "get-many was called outside of process"));
        };
        if let Err(text) = verify::reads(reads, bytes, inputs, &self.description) {
            return Err(self.end(Kind::Host, text));
        }
        AnyState::get_many(&mut *self.state, reads, bytes).map_err(|text| self.end(Kind::Host, text))
    }

    fn log(&mut self, level: Level, mut message: String) {
        message.truncate(message.floor_char_boundary(MAX_LINE));
        self.line(level, message);
    }
}

impl Inside {
    /// Logs a line, of any import that writes one.
    pub(super) fn line(&mut self, level: Level, message: String) {
        self.lines = self.lines.saturating_add(1);
        let version = self.version;
        if self.lines <= MAX_LINES {
            match level {
                Level::Debug => tracing::debug!(target: "rules", %version, "{message}"),
                Level::Info => tracing::info!(target: "rules", %version, "{message}"),
                Level::Warn => tracing::warn!(target: "rules", %version, "{message}"),
                Level::Error => tracing::error!(target: "rules", %version, "{message}"),
            }
        } else if self.lines == MAX_LINES + 1 {
            tracing::warn!(target: "rules", %version, "more than {MAX_LINES} lines in one call: the rest is not logged");
        }
        if level == Level::Error {
            self.last_error = message;
        }
    }
}
