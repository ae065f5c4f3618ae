//! The rig: a real Kafka broker and a real schema registry on this machine, without containers, for tests and the
//! benchmark.
//!
//! Rules: everything that is started ends with this process, even if the process is killed. Ports are free ones of the
//! loopback. Each server's data is in its own folder. Needs java (17 or newer) and mvn; the jars are fetched from Maven
//! Central once.

mod broker;
mod jars;
mod ports;
mod process;
mod registry;
pub mod secure;
mod topics;
mod unique;

pub use broker::Rig;
pub use process::Server;
pub use registry::Registry;
pub use topics::{Ending, Read, Record, Writer};
