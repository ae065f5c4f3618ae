//! Schemas by id and by topic.
//!
//! Rule: "unknown" and "invalid" are final answers. After "unavailable", the same question may be asked again.

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
