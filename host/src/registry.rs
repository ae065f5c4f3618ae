//! The port to schemas: a Confluent-compatible registry over HTTP, or a folder of `ID-TOPIC.avsc`.
//!
//! Rule: an id means one schema for ever, so a schema that was read once is kept. "Unknown" is an answer, "unavailable" is not.

pub mod confluent;
pub mod folder;

use std::sync::Arc;
use thiserror::Error;

/// Why there is no schema.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NoSchema {
    /// The registry says that it has none with this id, or none for this topic.
    #[error("{0}")]
    Unknown(String),
    /// It could not be asked. The same question may be answered later.
    #[error("{0}")]
    Unavailable(String),
    /// It has one, but that can't be used.
    #[error("{0}")]
    Invalid(String),
}

/// Where schemas come from. A call may block on I/O, once for each id.
pub trait Schemas: Send + Sync {
    /// The schema text (Avro JSON) with this id.
    fn by_id(&self, id: u32) -> Result<Arc<str>, NoSchema>;
    /// The id under which values of this schema are written to the topic. It is looked up, or registered if that is possible.
    fn id_for(&self, topic: &str, schema: &str) -> Result<u32, NoSchema>;
    /// The newest schema of the topic's values, with its id, for checks before the start.
    fn latest(&self, topic: &str) -> Result<(u32, Arc<str>), NoSchema>;
}
