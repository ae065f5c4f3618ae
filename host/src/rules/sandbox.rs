//! A sandbox: one instance of the rules, with its limits.
//!
//! Rule: a call either returns effects or traps. After a trap, the sandbox is dead. State is inside only during a call.

use super::engine::{Compiled, Rules};
use super::{Batch, Description, Effects, Found, Kind, Level, Read, Refused, Trap, Version, verify};
use crate::wit::{self, State};
use std::any::Any;
use std::sync::Arc;
use wasmtime::{ResourceLimiter, Store};

/// Maximum number of elements in all tables (function pointers). It is far more than compilers use, and takes 8 MiB of
/// the host's memory.
const MAX_TABLE: usize = 1 << 20;

/// Maximum number of lines that a call may log.
const MAX_LINES: u32 = 100;

/// Maximum length of a logged line, in bytes.
const MAX_LINE: usize = 4096;

/// Wasmtime's message if a guest passes more data than [`Store::set_hostcall_fuel`] allows.
const TOO_MUCH: &str = "too much data is being copied between the host and the guest";

/// One instance of rules. `S` is its view of state.
pub struct Sandbox<S: State> {
    store: Store<Inside>,
    rules: wit::Rules,
    /// Keeps the clock for time limits running.
    compiled: Arc<Compiled>,
    dead: bool,
    state: std::marker::PhantomData<S>,
}

impl<S: State> Sandbox<S> {
    /// Makes an instance and describes it, so that it is ready for batches.
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
            // The description was checked when the rules were compiled, and the same settings give the same one.
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

    /// Processes a batch. `state` answers its reads, and is given back even if it traps. `patience` multiplies the time
    /// limit. The effects are unchecked: [`verify`](super::verify()) them.
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

    /// The version of its rules.
    pub fn version(&self) -> Version {
        self.compiled.version
    }
}

/// Starts the rules for the first time, and gets all that is only known by running them.
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

/// A store with the limits for `describe`.
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

/// The state while no batch is processed.
#[derive(Default)]
struct Nothing;

impl State for Nothing {
    fn get_many(&mut self, _: &[Read], _: &[u8]) -> Result<Found, String> {
        Err("there is no state".into())
    }
}

/// [`State`] without its type, so that a component is linked only once for all types of state.
trait AnyState: Any + Send {
    fn get_many(&mut self, reads: &[Read], bytes: &[u8]) -> Result<Found, String>;
}

impl<S: State> AnyState for S {
    fn get_many(&mut self, reads: &[Read], bytes: &[u8]) -> Result<Found, String> {
        State::get_many(self, reads, bytes)
    }
}

/// The host's data for one instance.
pub(super) struct Inside {
    state: Box<dyn AnyState>,
    /// Number of inputs of the current batch, if there is one.
    inputs: Option<usize>,
    description: Arc<Description>,
    version: Version,
    /// How many bytes memories may still grow by.
    room: usize,
    /// How many elements tables may still grow by.
    table_room: usize,
    /// How many lines this call has logged.
    lines: u32,
    /// The last error that this call has logged. A guest logs its panic message before it traps.
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
        // `Sandbox::<S>::new` has made the box, and nothing replaces it.
        let own = any.downcast_mut::<S>().expect("the sandbox's own type of state");
        std::mem::swap(own, state);
    }

    /// Ends the call from within an import.
    pub(super) fn end(&mut self, kind: Kind, text: impl std::fmt::Display) -> wasmtime::Error {
        let trap = self.fault.insert(Trap::new(kind, text));
        wasmtime::Error::msg(trap.text.clone())
    }

    /// Translates the error of a call.
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
                // Wasmtime has no type for this error. A test checks its message.
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
    /// Logs a line, for any import that writes one.
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
