//! The host's data for one instance: what its imports use, and what bounds it.
//!
//! Rule: whatever ends a call from inside is noted here, because wasmtime would keep only its text.

use super::{Description, Found, Level, Read, Trap, TrapKind, Version, verify};
use crate::wit::{self, StateReader};
use std::any::Any;
use std::sync::Arc;
use wasmtime::ResourceLimiter;

/// Maximum number of elements in all tables (function pointers). It is far more than compilers use, and takes 8 MiB of
/// the host's memory.
const MAX_TABLE: usize = 1 << 20;

/// Maximum number of lines that a call may log.
const MAX_LINES: u32 = 100;

/// Maximum length of a logged line, in bytes.
const MAX_LINE: usize = 4096;

/// Wasmtime's message if a guest passes more data than [`Store::set_hostcall_fuel`](wasmtime::Store::set_hostcall_fuel) allows.
const TOO_MUCH: &str = "too much data is being copied between the host and the guest";

/// [`StateReader`] without its type, so that a component is linked only once for all types of state.
trait AnyState: Any + Send {
    fn get_many(&mut self, reads: &[Read], bytes: &[u8]) -> Result<Found, String>;
}

impl<S: StateReader> AnyState for S {
    fn get_many(&mut self, reads: &[Read], bytes: &[u8]) -> Result<Found, String> {
        StateReader::get_many(self, reads, bytes)
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
    /// The data of an instance that runs no call yet. `memory` is the limit of its memory.
    pub(super) fn new<S: StateReader>(description: Arc<Description>, version: Version, memory: usize) -> Inside {
        Inside {
            state: Box::new(S::default()),
            inputs: None,
            description,
            version,
            room: memory,
            table_room: MAX_TABLE,
            lines: 0,
            last_error: String::new(),
            fault: None,
        }
    }

    pub(super) fn begin(&mut self, inputs: usize) {
        self.inputs = Some(inputs);
        self.lines = 0;
        self.last_error.clear();
    }

    /// The call is over.
    pub(super) fn end_call(&mut self) {
        self.inputs = None;
    }

    pub(super) fn exchange<S: StateReader>(&mut self, state: &mut S) {
        let any: &mut dyn Any = &mut *self.state;
        // `Sandbox::<S>::new` has made the box, and nothing replaces it.
        let own = any.downcast_mut::<S>().expect("the sandbox's own type of state");
        std::mem::swap(own, state);
    }

    /// Ends the call from within an import.
    pub(super) fn end(&mut self, kind: TrapKind, text: impl std::fmt::Display) -> wasmtime::Error {
        let trap = self.fault.insert(Trap::new(kind, text));
        wasmtime::Error::msg(trap.text.clone())
    }

    /// Translates the error of a call.
    pub(super) fn trap(&mut self, error: wasmtime::Error) -> Trap {
        if let Some(fault) = self.fault.take() {
            return fault;
        }
        match error.downcast_ref::<wasmtime::Trap>() {
            Some(wasmtime::Trap::UnreachableCodeReached) if !self.last_error.is_empty() => {
                Trap::new(TrapKind::Panic, &self.last_error)
            }
            Some(trap @ wasmtime::Trap::UnreachableCodeReached) => Trap::new(TrapKind::Panic, trap),
            Some(wasmtime::Trap::Interrupt) => Trap::new(TrapKind::Time, "the call took longer than it may"),
            Some(trap @ wasmtime::Trap::StackOverflow) => Trap::new(TrapKind::Stack, trap),
            Some(trap @ wasmtime::Trap::MemoryOutOfBounds) => Trap::new(
                TrapKind::Other,
                format_args!("{trap} (often calls nested too deep: a compiled guest's own stack is in its memory)"),
            ),
            Some(trap) => Trap::new(TrapKind::Other, trap),
            None => {
                let text = format!("{error:#}");
                // Wasmtime has no type for this error. A test checks its message.
                let kind = if text.contains(TOO_MUCH) {
                    TrapKind::Memory
                } else {
                    TrapKind::Other
                };
                Trap::new(kind, text)
            }
        }
    }

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

impl ResourceLimiter for Inside {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        if more > self.room {
            let text = format!(
                "{more} bytes more were asked for, {} are left (memory_limit)",
                self.room
            );
            return Err(self.end(TrapKind::Memory, text));
        }
        self.room -= more;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        if more > self.table_room {
            return Err(self.end(
                TrapKind::Memory,
                format_args!("tables of more than {MAX_TABLE} elements"),
            ));
        }
        self.table_room -= more;
        Ok(true)
    }
}

impl wit::host::Host for Inside {
    fn get_many(&mut self, reads: &[Read], bytes: &[u8]) -> wasmtime::Result<Found> {
        let Some(inputs) = self.inputs else {
            return Err(self.end(TrapKind::Host, "get-many was called outside of process"));
        };
        if let Err(wrong) = verify::reads(reads, bytes, inputs, &self.description) {
            return Err(self.end(TrapKind::Host, wrong));
        }
        AnyState::get_many(&mut *self.state, reads, bytes).map_err(|text| self.end(TrapKind::Host, text))
    }

    fn log(&mut self, level: Level, mut message: String) {
        message.truncate(message.floor_char_boundary(MAX_LINE));
        self.line(level, message);
    }
}
