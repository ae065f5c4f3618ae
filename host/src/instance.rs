//! One instance of a pipeline: its workers, its group membership, its outer edges.
//!
//! Rule: a partition has one owner. A task runs only from when it is assigned and restored until it is closed and
//! released. If the process can't guarantee that, it ends.
#![expect(
    clippy::disallowed_methods,
    reason = "a process has threads; what they drive is told the time"
)]

pub mod driven;
mod health;
mod member;
mod memory;
pub mod preflight;
mod restore;
pub mod seat;
mod signal;
pub mod site;
mod start;
pub mod supervisor;
mod surface;
mod threads;

pub use signal::stop_signal;
#[cfg(feature = "kafka")]
pub use start::kafka;
pub use start::{client, output_partitions, run, run_on, schemas};
pub use surface::surface;

use crate::binding::{Layout, Status};
use crate::config::Config;
use crate::deploy::agent::{self, DeployAgent, First};
use crate::deploy::client::DeployClient;
use crate::deploy::compile::{Compile, on_threads};
use crate::deploy::reader::ControlReader;
use crate::deploy::view::DeployView;
use crate::error::Result;
use crate::log::Log;
use crate::metrics::Metrics;
use crate::registry::Schemas;
use crate::service::Services;
use crate::store::Store;
use health::Tasks;
use member::Member;
use seat::Seat;
use site::Site;
use std::sync::Arc;
use supervisor::Supervisor;
use threads::{Crew, Threads};

/// Makes a handle of the local store for a worker, or for a restore.
pub type Stores = Arc<dyn Fn() -> Box<dyn Store> + Send + Sync>;

/// What an instance is made from.
pub struct Parts {
    /// The pipeline.
    pub config: Arc<Config>,
    /// The layout of its topics and tasks.
    pub layout: Arc<Layout>,
    /// Compiles versions of its rules.
    pub compile: Compile,
    /// The rules that the file names. `None` if something was deployed already.
    pub first: Option<First>,
    /// What was read from the control topic so far.
    pub reader: ControlReader,
    /// The cluster.
    pub log: Arc<dyn Log>,
    /// Where schemas come from.
    pub schemas: Option<Arc<dyn Schemas>>,
    /// Local state, or `None` if every start restores from the changelog.
    pub stores: Option<Stores>,
    /// Makes a handle of the external services for each worker.
    pub services: Box<dyn FnMut() -> Box<dyn Services>>,
    /// Its metrics.
    pub metrics: Arc<Metrics>,
}

/// A running instance.
pub struct Running {
    threads: Threads,
    tasks: Tasks,
    view: Arc<DeployView>,
    client: Arc<DeployClient>,
}

impl Running {
    /// Starts the workers and joins the group.
    pub fn start(parts: Parts) -> Result<Running> {
        memory::keep();
        let (tasks, view) = (Tasks::default(), Arc::new(DeployView::default()));
        let client = Arc::new(deploys(&parts));
        let site = Site {
            config: parts.config.clone(),
            layout: parts.layout.clone(),
            log: parts.log.clone(),
            schemas: parts.schemas.clone(),
            stores: parts.stores.clone(),
            metrics: parts.metrics.clone(),
        };
        let agent = agent(&site, parts.reader, parts.compile, parts.first);
        let seats = seats(&site, parts.services)?;
        let supervisor = Supervisor::new(
            site.config.clone(),
            view.clone(),
            tasks.clone(),
            site.metrics.clone(),
            site.log.assignment(),
        );
        let threads = Threads::start(Crew {
            member: Member::join(site.log.clone())?,
            site,
            supervisor,
            seats,
            agent,
            view: view.clone(),
            tasks: tasks.clone(),
        })?;
        Ok(Running {
            threads,
            tasks,
            view,
            client,
        })
    }

    /// The status of the running tasks.
    pub fn statuses(&self) -> Vec<Status> {
        self.tasks.running()
    }

    /// What the instance knows about versions.
    pub fn view(&self) -> &Arc<DeployView> {
        &self.view
    }

    /// Makes deploys to the pipeline.
    pub fn client(&self) -> &Arc<DeployClient> {
        &self.client
    }

    /// Whether it has ended by itself. [`stop`](Running::stop) says why.
    pub fn has_ended(&self) -> bool {
        self.threads.have_ended()
    }

    /// Commits the open epochs, closes the tasks, and leaves the group.
    pub fn stop(mut self) -> Result<()> {
        self.threads.stop()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(why) = self.threads.stop() {
            tracing::error!(%why, "the instance stopped with an error");
        }
    }
}

fn seats(site: &Site, mut services: Box<dyn FnMut() -> Box<dyn Services>>) -> Result<Vec<Seat>> {
    let producers = threads::producers(site).into_iter().enumerate();
    producers
        .map(|(index, producer)| site.seat(index, producer?, services()))
        .collect()
}

/// Makes the author of deploys for this instance.
fn deploys(parts: &Parts) -> DeployClient {
    DeployClient {
        log: parts.log.clone(),
        layout: parts.layout.clone(),
        compile: parts.compile.clone(),
        pipeline: parts.config.name.clone(),
        name: format!("instance '{}'", parts.config.instance),
        limit: parts.config.rules.deploy_limit,
    }
}

/// Makes the instance's part in deploys, which reads and writes the control topic.
fn agent(site: &Site, reader: ControlReader, compile: Compile, first: Option<First>) -> DeployAgent {
    let config = &site.config;
    DeployAgent::new(agent::Parts {
        log: site.log.clone(),
        layout: site.layout.clone(),
        reader,
        name: (config.name.clone(), config.instance.clone()),
        compile,
        first,
        limit: config.rules.deploy_limit,
        inputs: config.inputs.clone(),
        schemas: site.schemas.clone(),
        play: Some(threads::play),
        start: on_threads(),
    })
}

/// The transactional id of a worker. It is the same after a restart, so that what an earlier process left open is found
/// and aborted.
pub fn transactional_id(config: &Config, worker: usize) -> String {
    format!("{}-{}-{worker}", config.name, config.instance)
}
