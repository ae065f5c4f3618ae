//! The ports through which a worker reaches the outside world.
//!
//! Rule: everything that it reads, writes or asks goes through one of them.

use crate::log::{Log, Producer, Reader};
use crate::registry::Schemas;
use crate::service::Services;
use crate::store::LocalStore;
use std::sync::Arc;

/// What a worker needs from the outside.
pub struct Ports {
    /// The log.
    pub log: Arc<dyn Log>,
    /// Reads the inputs of its tasks.
    pub reader: Box<dyn Reader>,
    /// Commits its epochs.
    pub producer: Box<dyn Producer>,
    /// Calls external services.
    pub services: Box<dyn Services>,
    /// The source of schemas, if the pipeline uses a registry.
    pub schemas: Option<Arc<dyn Schemas>>,
    /// The local store, if the pipeline has one.
    pub store: Option<Box<dyn LocalStore>>,
}
