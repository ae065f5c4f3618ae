//! One instance of a pipeline: its workers, its membership in the group, its edges.
//!
//! Rule: a partition has one owner. A task runs only between "assigned and restored" and "closed and released"; whoever
//! can't keep that ends the process.

mod assignment;
pub mod control;
mod health;
mod memory;
pub mod preflight;
mod signal;
mod start;
mod surface;
mod threads;

pub use signal::stop_signal;
#[cfg(feature = "kafka")]
pub use start::kafka;
pub use start::{author, output_partitions, run, run_on, schemas};
pub use surface::surface;
pub use threads::wall;

use crate::config::Config;
use crate::error::{Failure, Result};
use crate::log::{Log, Producer};
use crate::metrics::Metrics;
use crate::registry::Schemas;
use crate::service::Services;
use crate::store::Store;
use crate::task::{Layout, Status};
use control::author::Author;
use control::board::Board;
use control::carrier::{self, Carrier, First};
use control::compile::{Compile, on_threads};
use control::follow::Following;
use health::Tasks;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use threads::Event;

/// Makes a handle of the local store for a worker, or for a restore.
pub type Stores = Arc<dyn Fn() -> Box<dyn Store> + Send + Sync>;

/// What an instance is made of.
pub struct Parts {
    /// The pipeline.
    pub config: Arc<Config>,
    /// Its order and topics.
    pub layout: Arc<Layout>,
    /// Compiles versions of its rules.
    pub compile: Compile,
    /// The rules that the file names; none is needed when something was deployed.
    pub first: Option<First>,
    /// What was read of the control topic so far.
    pub following: Following,
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
    control: Option<JoinHandle<()>>,
    tasks: Tasks,
    board: Arc<Board>,
    author: Arc<Author>,
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
                Arc::default(),
                ports,
                parts.metrics.clone(),
            );
            let (sender, receiver) = channel();
            commands.push(sender);
            workers.push(threads::spawn(index, worker, receiver, events.clone(), tasks.clone())?);
        }
        let (board, config) = (Arc::new(Board::default()), &parts.config);
        let carrier = Carrier::new(carrier::Parts {
            log: parts.log.clone(),
            layout: parts.layout.clone(),
            following: parts.following,
            name: (config.name.clone(), config.instance.clone()),
            compile: parts.compile.clone(),
            first: parts.first,
            limit: config.rules.deploy_limit,
            inputs: config.inputs.clone(),
            schemas: parts.schemas.clone(),
            plays: true,
            start: on_threads(),
        });
        let author = Arc::new(Author {
            log: parts.log.clone(),
            layout: parts.layout.clone(),
            compile: parts.compile,
            pipeline: config.name.clone(),
            name: format!("instance '{}'", config.instance),
            limit: config.rules.deploy_limit,
        });
        let control = threads::carry(
            carrier,
            board.clone(),
            commands.clone(),
            events.clone(),
            tasks.clone(),
            stop.clone(),
        )?;
        let group = parts.log.join()?;
        let supervisor = assignment::Supervisor {
            group,
            log: parts.log,
            layout: parts.layout,
            config: parts.config,
            board: board.clone(),
            metrics: parts.metrics,
            tasks: tasks.clone(),
            stores: parts.stores,
            commands,
            events,
            inbox,
            restoring: BTreeMap::new(),
            fenced: None,
            stop: stop.clone(),
        };
        let supervisor = std::thread::Builder::new()
            .name("supervisor".into())
            .spawn({
                let stop = stop.clone();
                move || {
                    let result = supervisor.run(workers);
                    // The control thread ends with it.
                    stop.store(true, Ordering::Release);
                    result
                }
            })
            .map_err(|e| Failure::Fatal(format!("no thread for the supervisor: {e}")))?;
        Ok(Running {
            stop,
            supervisor: Some(supervisor),
            control: Some(control),
            tasks,
            board,
            author,
        })
    }

    /// How the tasks stand that run.
    pub fn statuses(&self) -> Vec<Status> {
        self.tasks.running()
    }

    /// What it knows of versions.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// Deploys to the pipeline.
    pub fn author(&self) -> &Arc<Author> {
        &self.author
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
        let result = supervisor
            .join()
            .unwrap_or_else(|_| Err(Failure::Fatal("the supervisor panicked".into())));
        if let Some(control) = self.control.take() {
            let _ = control.join();
        }
        result
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
