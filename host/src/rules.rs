//! The port to the rules: compiles a component, describes it, and runs it on batches.
//!
//! Rule: a trap or a refused component never harms the worker. A guest reads state only through [`StateReader::get_many`],
//! and its only answer is effects.
//!
//! [`Engine::compile`] checks a component and makes [`Rules`] of it. That is slow, so workers don't do it. A
//! [`Sandbox`] is one instance of them, fast to make, one for each worker and version. [`verify`] checks what a call
//! has returned before anything is applied.

mod clock;
mod compiled;
mod engine;
mod inside;
mod load;
mod rules_error;
mod sandbox;
mod trap;
mod verify;
mod version;
mod wasi;

pub use crate::wit::{
    Action, Batch, Cell, Channel, Description, Effect, Effects, Found, Happening, Header, Input, Level, Lookup,
    Question, Read, Shape, Span, StateReader, Store,
};
pub use compiled::{Rules, SandboxLimits};
pub use engine::{Engine, EngineError};
pub use rules_error::RulesError;
pub use sandbox::Sandbox;
pub use trap::{Trap, TrapKind};
pub use verify::{MAX_CELL, MAX_EFFECTS, MAX_ENTRY, MAX_OUTPUT, MAX_REASON, MAX_TAG, Wrong, verify};
pub use version::Version;
