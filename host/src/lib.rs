//! Pelton: Kafka topics into Kafka topics, through keyed state and rules in WebAssembly, exactly once.
//!
//! The modules in the order of the layers; each imports only from layers above it in this list (`tests/` checks it).
//! Data flows one way: `log` -> `task` (`arrivals`, `rules`, `rows`, `timers`, `lookups`) -> `commit` -> `log`.

// what host and rules say to each other
pub mod wit;

// words
pub mod config;
pub mod error;
pub mod metrics;
pub mod record;

// pure: no I/O, no async, no clock, no thread
pub mod control;
pub mod convert;
pub mod delta;
pub mod encoding;
pub mod journal;
pub mod lookups;
pub mod meta;
pub mod murmur2;
pub mod rows;
pub mod sweep;
pub mod timers;
pub mod undo;
pub mod watermark;

// ports: a trait where there are two real implementations
pub mod log;
pub mod registry;
pub mod rules;
pub mod service;
pub mod store;

// spine
pub mod task;

// process
pub mod http;
pub mod pipeline;
pub mod testkit;
pub mod worker;

// edge
pub mod cli;
