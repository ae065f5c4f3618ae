//! Pelton reads Kafka topics and writes Kafka topics, through state by key and rules in WebAssembly, exactly once.
//!
//! The modules, lowest first. Each imports only from those before it, and ports never import each other.
//! `tests/it/tidy.rs` checks both.
//!
//! ```text
//! pure      fault error wit record state               no I/O, no async, no clock, no thread
//! setting   config clock metrics                       what is asked for, what time it is, what is counted
//! ports     log registry rules service store           a trait where there are two real implementations
//! task      binding arrivals step shadow deploy task   one partition: from its records to their effects
//! process   worker http instance testkit               threads, membership, HTTP; the same by hand, for tests
//! ```
//!
//! Data flows one way: `log` -> `arrivals` -> `step` (`rules`, `state`) -> `task` -> `worker` -> `log`.

pub mod arrivals;
pub mod binding;
pub mod clock;
pub mod config;
pub mod deploy;
pub mod error;
pub mod fault;
pub mod http;
pub mod instance;
pub mod log;
pub mod metrics;
pub mod record;
pub mod registry;
pub mod rules;
pub mod service;
pub mod shadow;
pub mod state;
pub mod step;
pub mod store;
pub mod task;
pub mod testkit;
pub mod wit;
pub mod worker;
