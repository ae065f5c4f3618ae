//! A task: one partition number of every input topic. It is the unit of ordering, state and parallelism.
//!
//! Rule: a task is a deterministic state machine. Its outputs and its state depend only on the logs of its input
//! partitions and on its journal, not on batch sizes, commit times, crashes, interleaving or the wall clock. Whatever
//! one of those decides is journaled first.
//!
//! The life of an epoch, as a task sees it:
//!
//! ```text
//! arrive*  ->  run* (plan -> rules -> apply)  ->  seal  ->  commit
//!                                                     \->  abort -> rebuild from the committed meta, read again
//! ```

pub mod epoch;
mod ledger;
mod live;
mod machine;
mod open;
mod progress;
pub mod restore;
pub mod schedule;
mod undeclared;
mod work;

pub use epoch::Epoch;
pub use machine::Task;
pub use restore::Restored;
pub use schedule::Moment;
