//! The port to schemas: a Confluent-compatible registry over HTTP, or a folder of `ID-TOPIC.avsc` files.
//!
//! Rule: an id means one schema for ever, so a schema that was read once is kept. "Unknown" is an answer, but
//! "unavailable" is not.

pub mod confluent;
pub mod folder;
mod schemas;

pub use schemas::{NoSchema, Schemas};
