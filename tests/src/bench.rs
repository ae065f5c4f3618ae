//! `make bench`: the money pipeline under a preloaded log, and what an event costs.
//!
//! Rules: everything that is measured lies between the start of the instance and the last committed output; what the
//! benchmark itself does (filling, checking) lies outside. CPU is CPU time, not wall time: it holds on a busy machine, too.

mod beside;
pub mod cpu;
pub mod prometheus;
mod report;
mod run;
mod swapping;
mod workload;

pub use report::{compare, print};
pub use run::{Options, Report, embedded};
#[cfg(feature = "kafka")]
pub use run::{kafka, swaps};
