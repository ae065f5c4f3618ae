//! Pelton as a whole: scenarios, the simulator and its auditor, real Kafka, the benchmark.

pub mod auditor;
pub mod bench;
#[cfg(feature = "kafka")]
pub mod rig;
pub mod sim;
pub mod stage;

#[cfg(feature = "kafka")]
pub mod wire;
