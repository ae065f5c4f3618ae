//! One instance of a pipeline: its workers, its membership in the group, its edges.
//!
//! Rule: a partition has one owner. A task runs only between "assigned and restored" and "closed and released"; whoever
//! can't keep that ends the process.

mod assignment;
mod deploy;
mod health;
mod memory;
pub mod preflight;
mod signal;
mod start;
mod threads;

pub(crate) use deploy::misfits;
pub use deploy::{Deployer, limits, wire};
pub use health::health;
pub use signal::stop_signal;
#[cfg(feature = "kafka")]
pub use start::kafka;
pub use start::{output_partitions, run, run_on, schemas};

use crate::config::Config;
use crate::error::{Failure, Result};
use crate::log::{Log, Producer};
use crate::metrics::Metrics;
use crate::registry::Schemas;
use crate::service::Services;
use crate::store::Store;
use crate::task::{Layout, Status, Wiring};
use health::Tasks;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use threads::{Command, Event};

/// Makes a handle of the local store for a worker, or for a restore.
pub type Stores = Arc<dyn Fn() -> Box<dyn Store> + Send + Sync>;

/// What an instance is made of.
pub struct Parts {
    /// The pipeline.
    pub config: Arc<Config>,
    /// Its order and topics.
    pub layout: Arc<Layout>,
    /// Its rules.
    pub wiring: Arc<Wiring>,
    /// The cluster.
    pub log: Arc<dyn Log>,
    /// Where schemas come from.
    pub schemas: Option<Arc<dyn Schemas>>,
    /// Local state; none: every start restores from the changelog.
    pub stores: Option<Stores>,
    /// External services, one handle a worker.
    pub services: Box<dyn FnMut() -> Box<dyn Services>>,
    /// Where numbers go.
    pub metrics: Arc<Metrics>,
}

/// A running instance.
pub struct Running {
    stop: Arc<AtomicBool>,
    supervisor: Option<JoinHandle<Result<()>>>,
    commands: Vec<Sender<Command>>,
    tasks: Tasks,
    /// What runs now, for tasks that open later.
    wiring: Arc<Mutex<Arc<Wiring>>>,
}

impl Running {
    /// Starts workers, joins the group.
    pub fn start(mut parts: Parts) -> Result<Running> {
        memory::keep();
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = Tasks::default();
        let (events, inbox) = channel::<Event>();
        let mut commands = vec![];
        let mut workers = vec![];
        for (index, producer) in producers(&parts).into_iter().enumerate() {
            let producer = producer?;
            let ports = crate::worker::Ports {
                log: parts.log.clone(),
                reader: parts.log.reader(threads::proofs(&parts.config))?,
                producer,
                services: (parts.services)(),
                schemas: parts.schemas.clone(),
                store: parts.stores.as_ref().map(|stores| stores()),
            };
            let worker = crate::worker::Worker::new(
                index,
                &parts.config,
                parts.layout.clone(),
                parts.wiring.clone(),
                ports,
                parts.metrics.clone(),
            );
            let (sender, receiver) = channel();
            commands.push(sender);
            workers.push(threads::spawn(index, worker, receiver, events.clone(), tasks.clone())?);
        }
        let wiring = Arc::new(Mutex::new(parts.wiring));
        let group = parts.log.join()?;
        let supervisor = assignment::Supervisor {
            group,
            log: parts.log,
            layout: parts.layout,
            config: parts.config,
            wiring: wiring.clone(),
            metrics: parts.metrics,
            tasks: tasks.clone(),
            stores: parts.stores,
            commands: commands.clone(),
            events,
            inbox,
            restoring: BTreeMap::new(),
            fenced: None,
            stop: stop.clone(),
        };
        let supervisor = std::thread::Builder::new()
            .name("supervisor".into())
            .spawn(move || supervisor.run(workers))
            .map_err(|e| Failure::Fatal(format!("no thread for the supervisor: {e}")))?;
        Ok(Running {
            stop,
            supervisor: Some(supervisor),
            commands,
            tasks,
            wiring,
        })
    }

    /// How the tasks stand that run.
    pub fn statuses(&self) -> Vec<Status> {
        self.tasks.running()
    }

    /// True when it has ended by itself: [`stop`](Running::stop) says why.
    pub fn has_ended(&self) -> bool {
        self.supervisor.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Finishes the open epochs, commits, closes the tasks, leaves the group.
    pub fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        self.stop.store(true, Ordering::Release);
        let Some(supervisor) = self.supervisor.take() else {
            return Ok(());
        };
        supervisor
            .join()
            .unwrap_or_else(|_| Err(Failure::Fatal("the supervisor panicked".into())))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(why) = self.end() {
            tracing::error!(%why, "the instance ended badly");
        }
    }
}

/// A producer for each worker. Before the group is joined, so that what an earlier life left open is aborted before offsets
/// are read; all at once, because each may have to wait for that.
fn producers(parts: &Parts) -> Vec<Result<Box<dyn Producer>>> {
    let (log, config) = (&parts.log, &parts.config);
    let open = |index| log.producer(&transactional_id(config, index));
    std::thread::scope(|scope| {
        let opening: Vec<_> = (0..config.workers)
            .map(|index| scope.spawn(move || open(index)))
            .collect();
        let panicked = |_| Err(Failure::Fatal("a producer panicked at its start".into()));
        opening
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(panicked))
            .collect()
    })
}

/// Stable across restarts: what an earlier life left open is found, and aborted, by its id.
pub fn transactional_id(config: &Config, worker: usize) -> String {
    format!("{}-{}-{worker}", config.name, config.instance)
}
