//! Deploys: how versions and decisions get to an instance through the control topic, and what the instance writes
//! there.
//!
//! Rule: the topic's records decide, in their order ([`protocol`]). The other files only read and write them, and
//! compile the rules in them.
//!
//! `reader` reads, `batch` writes, `compile` compiles the rules, `agent` is an instance's part in a deploy, `client` is the part
//! of the process that deploys, `checks` says what a version may not change, `schedule` is what tasks are told, `view` what the
//! other threads of an instance know, `status` reports to people, in the
//! words of `api`.

pub mod agent;
pub mod api;
pub mod batch;
pub mod checks;
pub mod client;
pub mod compile;
pub mod protocol;
pub mod reader;
mod refused;
mod schedule;
pub mod status;
pub mod view;

pub use refused::DeployRefused;
pub use schedule::{Prepare, RulesSchedule};
