//! Pelton as a whole: one test binary, a module a subject.

mod guest_forms;
#[cfg(feature = "kafka")]
mod kafka_port;
#[cfg(feature = "kafka")]
mod registry;
mod rules;
mod scenarios;
mod sim;
mod tidy;
