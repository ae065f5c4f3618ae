//! The state of a task: its rows, timers and pending lookups, and the delta that carries every change into the changelog.
//!
//! Invariant: *the deltas rebuild the state.* A replay of the committed epochs' deltas in order gives exactly the
//! committed state. With the deltas of the sealed and the open epoch, it gives the current state. This is because every
//! write changes memory and the open epoch's delta in one call. There is no other way to write: all parts are private,
//! and only shared references to them leave this module.
//!
//! ```text
//! put, delete, clear, set_timer, ... ->  open epoch  -> seal ->  sealed epoch  -> commit ->  committed
//!                                             \-----------------------\------- abort ------->  as of the last commit
//! ```
//!
//! Two functions change state without the delta, and each says so: [`replay`](TaskState::replay) applies what a delta
//! already contains, and [`commit_unlogged`](TaskState::commit_unlogged) is for a shadow, whose state has no changelog.

mod bookkeeping;
pub mod delta;
mod dump;
mod ids;
mod lifecycle;
pub mod lookups;
pub mod meta;
pub mod rows;
mod sweep;
mod task_state;
#[cfg(test)]
mod tests;
pub mod timers;
pub mod undo;
mod unknown;
mod view;

pub use dump::DumpedEntry;
pub use lifecycle::SealedDelta;
pub use task_state::{EffectTarget, TaskState, Undeclared};
pub use unknown::Unknown;
pub use view::View;
