//! Pelton as a whole: one test binary, a module a subject.

mod deploys;
#[cfg(all(feature = "kafka", feature = "rocks"))]
mod dev;
mod guest_forms;
#[cfg(feature = "kafka")]
mod kafka_port;
mod new;
mod odd_deploys;
#[cfg(all(feature = "kafka", feature = "rocks"))]
mod pipeline_kafka;
#[cfg(feature = "kafka")]
mod registry;
mod rules;
mod same_result;
mod scenarios;
mod sim;
mod testkit;
mod tidy;
mod upgrade;
