//! Pelton as a whole: one test binary, a module a subject.

#[cfg(feature = "kafka")]
mod kafka_port;
#[cfg(feature = "kafka")]
mod registry;
mod rules;
mod sim;
