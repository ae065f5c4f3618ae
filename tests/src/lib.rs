//! What tests and the benchmark share.

#[cfg(feature = "kafka")]
pub mod rig;

#[cfg(feature = "kafka")]
pub mod wire;
