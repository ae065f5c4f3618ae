//! One instance of a pipeline: its workers, its group membership, its outer edges.
//!
//! Rule: a partition has one owner. A task runs only from when it is assigned and restored until it is closed and
//! released. If the process can't guarantee that, it ends.
#![expect(
    clippy::disallowed_methods,
    reason = "a process has threads; what they drive is told the time"
)]

pub mod command;
pub mod driven;
pub mod environment;
mod health;
mod member;
mod memory;
pub mod preflight;
mod restore;
mod running;
mod signal;
mod start;
pub mod supervisor;
mod surface;
mod tasks;
mod threads;
pub mod worker_runner;

pub use environment::{Stores, transactional_id};
pub use running::{InstanceParts, RunningInstance};
pub use signal::stop_signal;
#[cfg(feature = "kafka")]
pub use start::kafka;
pub use start::{client, output_partitions, run, run_on, schemas};
pub use surface::surface;
