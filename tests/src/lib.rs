//! Tests of Pelton as a whole: scenarios, the simulator and its auditor, real Kafka, and the benchmark.

pub mod auditor;
pub mod bench;
#[cfg(feature = "kafka")]
pub mod rig;
pub mod sim;
#[cfg(feature = "kafka")]
pub mod soak;
pub mod stage;
pub mod translate;
#[cfg(feature = "kafka")]
pub mod wire;
