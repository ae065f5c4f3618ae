//! The port to schemas: a Confluent-compatible registry over HTTP, or a folder of `ID-TOPIC.avsc` files.
//!
//! Rule: an id means one schema for ever, so a schema that was read once is kept. "Unknown" is an answer, but
//! "unavailable" is not.

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
    /// The registry did not answer. It may answer later.
    #[error("{0}")]
    Unavailable(String),
    /// There is a schema, but it can't be used.
    #[error("{0}")]
    Invalid(String),
}

/// Where schemas come from. A call may block on I/O, once for each id.
pub trait Schemas: Send + Sync {
    /// The schema text (Avro JSON) with this id.
    fn by_id(&self, id: u32) -> Result<Arc<str>, NoSchema>;
    /// The id for values of this schema in the topic. A new schema is registered, if that is possible.
    fn id_for(&self, topic: &str, schema: &str) -> Result<u32, NoSchema>;
    /// The newest schema of the topic's values, with its id. It is for checks before the start.
    fn latest(&self, topic: &str) -> Result<(u32, Arc<str>), NoSchema>;
}
