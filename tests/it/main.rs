//! Tests of Pelton as a whole: one test binary, with a module for each subject.
//!
//! Each module is marked as a test, so that its helpers may `unwrap` like tests.

#[cfg(test)]
mod bindings;
#[cfg(test)]
mod deploys;
#[cfg(all(feature = "kafka", feature = "rocks"))]
#[cfg(test)]
mod dev;
#[cfg(test)]
mod guest_forms;
#[cfg(feature = "kafka")]
#[cfg(test)]
mod kafka_port;
#[cfg(test)]
mod new;
#[cfg(test)]
mod odd_deploys;
#[cfg(all(feature = "kafka", feature = "rocks"))]
#[cfg(test)]
mod pipeline_kafka;
#[cfg(feature = "kafka")]
#[cfg(test)]
mod registry;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod same_result;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod start;
#[cfg(test)]
mod testkit;
#[cfg(test)]
mod tidy;
mod upgrade;
