//! A running instance, from its start to its stop.
//!
//! Rule: its owner reads what the threads report, and never waits for one of them, except to stop it.

use super::environment::{Environment, Stores};
use super::member::Member;
use super::memory;
use super::supervisor::Supervisor;
use super::tasks::Tasks;
use super::threads::{self, Crew, Threads};
use super::worker_runner::WorkerRunner;
use crate::binding::{Layout, Status};
use crate::config::Config;
use crate::deploy::agent::{self, ConfiguredRules, DeployAgent};
use crate::deploy::client::DeployClient;
use crate::deploy::compile::{Compile, on_threads};
use crate::deploy::reader::ControlReader;
use crate::deploy::view::DeployView;
use crate::error::Result;
use crate::log::Log;
use crate::metrics::Metrics;
use crate::registry::Schemas;
use crate::service::Services;
use std::sync::Arc;

/// What an instance is made from.
pub struct InstanceParts {
    /// The pipeline.
    pub config: Arc<Config>,
    /// The layout of its topics and tasks.
    pub layout: Arc<Layout>,
    /// Compiles versions of its rules.
    pub compile: Compile,
    /// The rules that the file names. `None` if something was deployed already.
    pub first: Option<ConfiguredRules>,
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
pub struct RunningInstance {
    threads: Threads,
    tasks: Tasks,
    view: Arc<DeployView>,
    client: Arc<DeployClient>,
}

impl RunningInstance {
    /// Starts the workers and joins the group.
    pub fn start(parts: InstanceParts) -> Result<RunningInstance> {
        memory::keep();
        let (tasks, view) = (Tasks::default(), Arc::new(DeployView::default()));
        let client = Arc::new(deploys(&parts));
        let environment = Environment {
            config: parts.config.clone(),
            layout: parts.layout.clone(),
            log: parts.log.clone(),
            schemas: parts.schemas.clone(),
            stores: parts.stores.clone(),
            metrics: parts.metrics.clone(),
        };
        let agent = agent(&environment, parts.reader, parts.compile, parts.first);
        let runners = runners(&environment, parts.services)?;
        let supervisor = Supervisor::new(
            environment.config.clone(),
            view.clone(),
            tasks.clone(),
            environment.metrics.clone(),
            environment.log.assignment(),
        );
        let threads = Threads::start(Crew {
            member: Member::join(environment.log.clone())?,
            environment,
            supervisor,
            runners,
            agent,
            view: view.clone(),
            tasks: tasks.clone(),
        })?;
        Ok(RunningInstance {
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

    /// What each of its tasks is doing.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// What the instance knows about versions.
    pub fn view(&self) -> &Arc<DeployView> {
        &self.view
    }

    /// Makes deploys to the pipeline.
    pub fn client(&self) -> &Arc<DeployClient> {
        &self.client
    }

    /// Whether it has ended by itself. [`stop`](RunningInstance::stop) says why.
    pub fn has_ended(&self) -> bool {
        self.threads.have_ended()
    }

    /// Commits the open epochs, closes the tasks, and leaves the group.
    pub fn stop(mut self) -> Result<()> {
        self.threads.stop()
    }
}

impl Drop for RunningInstance {
    fn drop(&mut self) {
        if let Err(why) = self.threads.stop() {
            tracing::error!(%why, "the instance stopped with an error");
        }
    }
}

fn runners(
    environment: &Environment,
    mut services: Box<dyn FnMut() -> Box<dyn Services>>,
) -> Result<Vec<WorkerRunner>> {
    let producers = threads::producers(environment).into_iter().enumerate();
    producers
        .map(|(index, producer)| environment.runner(index, producer?, services()))
        .collect()
}

/// Makes the client of deploys for this instance.
fn deploys(parts: &InstanceParts) -> DeployClient {
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
fn agent(
    environment: &Environment,
    reader: ControlReader,
    compile: Compile,
    first: Option<ConfiguredRules>,
) -> DeployAgent {
    let config = &environment.config;
    DeployAgent::new(agent::AgentParts {
        log: environment.log.clone(),
        layout: environment.layout.clone(),
        reader,
        pipeline: config.name.clone(),
        instance: config.instance.clone(),
        compile,
        first,
        limit: config.rules.deploy_limit,
        inputs: config.inputs.clone(),
        schemas: environment.schemas.clone(),
        play: Some(threads::play),
        start: on_threads(),
    })
}
