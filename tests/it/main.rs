//! All integration tests in one binary: it links once.

#[cfg(feature = "kafka")]
mod kafka_port;
#[cfg(feature = "kafka")]
mod registry;
