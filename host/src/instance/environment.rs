//! What all parts of an instance need, and how its parts are made.

use super::command::Claim;
use super::restore::Restore;
use super::worker_runner::WorkerRunner;
use crate::binding::Layout;
use crate::config::Config;
use crate::error::Result;
use crate::log::{Log, Producer};
use crate::metrics::Metrics;
use crate::registry::Schemas;
use crate::service::Services;
use crate::store::LocalStore;
use crate::task::restore::Access;
use crate::worker::{Ports, Worker};
use std::sync::Arc;
use std::time::Duration;

/// Minimum time between two proofs of an input's end.
const PROOFS_MIN: Duration = Duration::from_millis(10);

/// Used if there are no inputs, when idleness does not matter.
const NO_INPUTS: Duration = Duration::from_secs(1);

/// Makes a handle of the local store for a worker, or for a restore.
pub type Stores = Arc<dyn Fn() -> Box<dyn LocalStore> + Send + Sync>;

/// What all parts of an instance need.
#[derive(Clone)]
pub struct Environment {
    /// The pipeline.
    pub config: Arc<Config>,
    /// The layout of its topics and tasks.
    pub layout: Arc<Layout>,
    /// The cluster.
    pub log: Arc<dyn Log>,
    /// Where schemas come from.
    pub schemas: Option<Arc<dyn Schemas>>,
    /// Local state, or `None` if every start restores from the changelog.
    pub stores: Option<Stores>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
}

impl Environment {
    /// The producer of a worker. It first aborts what an earlier process has left open.
    pub fn producer(&self, worker: usize) -> Result<Box<dyn Producer>> {
        self.log.producer(&transactional_id(&self.config, worker))
    }

    /// A worker without tasks.
    pub fn runner(
        &self,
        index: usize,
        producer: Box<dyn Producer>,
        services: Box<dyn Services>,
    ) -> Result<WorkerRunner> {
        let ports = Ports {
            log: self.log.clone(),
            reader: self.log.reader(self.proofs())?,
            producer,
            services,
            schemas: self.schemas.clone(),
            store: self.stores.as_ref().map(|stores| stores()),
        };
        let worker = Worker::new(index, &self.config, self.layout.clone(), ports, self.metrics.clone());
        Ok(WorkerRunner::new(worker))
    }

    /// A restore, and the access that answers its questions.
    pub fn restore(&self, claim: Claim) -> (Restore, Access) {
        let Claim { partition, stay } = claim;
        let (config, layout) = (self.config.clone(), self.layout.clone());
        let store = self.stores.as_ref().map(|stores| stores());
        (
            Restore::begin(config, layout, partition, stay, store.is_some()),
            Access::new(self.log.clone(), partition).with_store(store, stay),
        )
    }

    /// How often the ends of partitions are proved: four times in the shortest `idle_after`.
    fn proofs(&self) -> Duration {
        let shortest = self.config.inputs.iter().map(|input| input.idle_after).min();
        (shortest.unwrap_or(NO_INPUTS) / 4).max(PROOFS_MIN)
    }
}

/// The transactional id of a worker. It is the same after a restart, so that what an earlier process left open is found
/// and aborted.
pub fn transactional_id(config: &Config, worker: usize) -> String {
    format!("{}-{}-{worker}", config.name, config.instance)
}
