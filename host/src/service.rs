//! The port to external services. They are asked by URL and answer later, and nothing waits for them.
//!
//! Calls are made at least once. Through the journal, the task makes the effect of a reply happen exactly once. There
//! are two implementations: `http` (tokio), and the scripted one of the simulator.

pub mod http;
mod services;

pub use services::{Answer, LookupId, ServiceCall, ServiceReply, Services};
