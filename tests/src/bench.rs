//! `make bench`: runs the money pipeline on a preloaded log, and measures the cost of an event.
//!
//! Rules: only the time from the start of the instance to its last committed output is measured, not the benchmark's
//! own filling and checking. CPU is CPU time, not wall time, so that the figures also hold on a busy machine.

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
