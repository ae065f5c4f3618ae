//! Pelton as a whole: scenarios, the simulator and its auditor, real Kafka, the benchmark.

pub mod auditor;
#[cfg(feature = "kafka")]
pub mod rig;
pub mod stage;

#[cfg(feature = "kafka")]
pub mod wire;
