//! `pelton run`: from a checked config to a running instance, and its stop.

mod file_rules;

use super::{InstanceParts, RunningInstance, Stores, preflight, surface, transactional_id};
use crate::binding::Layout;
use crate::config::{Config, Finding, SchemaSource, Severity};
use crate::deploy::agent::ConfiguredRules;
#[cfg(feature = "kafka")]
use crate::deploy::client::DeployClient;
use crate::deploy::compile::{Compile, compiler};
use crate::deploy::reader::ControlReader;
use crate::error::{Failure, Result};
use crate::http::{listen, serve};
use crate::log::Log;
use crate::metrics::Metrics;
use crate::registry::confluent::Confluent;
use crate::registry::folder::Folder;
use crate::registry::{NoSchema, Schemas};
#[cfg(feature = "kafka")]
use crate::rules::Engine;
use crate::service::http::HttpServices;
use crate::store::Directory;
use anyhow::{Context, bail};
use file_rules::{Compiling, FileRules, compile};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// Pause before trying again to reach what is away at the start.
const RETRY: Duration = Duration::from_secs(1);

/// How often to check whether the instance has ended.
const LOOK: Duration = Duration::from_millis(200);

/// Runs a pipeline on Kafka until it is told to stop.
#[cfg(feature = "kafka")]
pub fn run(config: Config) -> anyhow::Result<()> {
    let stop = super::stop_signal()?;
    let kafka = kafka(&config)?;
    run_on(config, Arc::new(kafka), stop)
}

/// The cluster of a pipeline. It connects in the background.
#[cfg(feature = "kafka")]
pub fn kafka(config: &Config) -> Result<crate::log::kafka::Kafka> {
    const TIMEOUT: &str = "transaction.timeout.ms";
    let mut properties = config.kafka.clone();
    if properties.iter().all(|(key, _)| key != TIMEOUT) {
        properties.push((TIMEOUT.into(), config.epoch.transaction_timeout.as_millis().to_string()));
    }
    let layout = Layout::new(config, 0);
    let changelog = layout.changelog;
    let kafka = crate::log::kafka::Kafka::new(layout.topics, &properties, &config.name, &config.instance)?;
    Ok(match config.state.compress {
        true => kafka,
        false => kafka.plain(changelog),
    })
}

/// An author that deploys to a pipeline through Kafka only. The runtime is for its registry client.
#[cfg(feature = "kafka")]
pub fn client(config: Config, runtime: &tokio::runtime::Handle) -> anyhow::Result<DeployClient> {
    let config = Arc::new(config);
    let log = Arc::new(kafka(&config)?);
    let lead = config.inputs.first().context("the pipeline has no input")?;
    let partitions = log.topic(&lead.topic)?;
    let partitions = partitions
        .with_context(|| format!("there is no topic '{}'", lead.topic))?
        .partitions;
    let name = config.control_topic();
    if log.topic(&name)?.is_none() {
        bail!("there is no topic '{name}': the pipeline has never run");
    }
    let schemas = schemas(&config, runtime)?;
    let outputs = output_partitions(&config, log.as_ref())?;
    let engine = Engine::new()?;
    Ok(DeployClient {
        log,
        layout: Arc::new(Layout::new(&config, partitions)),
        compile: compiler(engine, config.clone(), schemas, outputs),
        pipeline: config.name.clone(),
        name: "the command line".into(),
        limit: config.rules.deploy_limit,
    })
}

/// Says that this build has no Kafka.
#[cfg(not(feature = "kafka"))]
pub fn client(
    _config: Config,
    _runtime: &tokio::runtime::Handle,
) -> anyhow::Result<crate::deploy::client::DeployClient> {
    bail!("this build of pelton has no Kafka: name a running instance with --to")
}

/// Says that this build has no Kafka.
#[cfg(not(feature = "kafka"))]
pub fn run(_config: Config) -> anyhow::Result<()> {
    bail!("this build of pelton has no Kafka: build it with the feature 'kafka' (it is there by default)")
}

/// Runs a pipeline on a log until it is told to stop.
pub fn run_on(config: Config, log: Arc<dyn Log>, stop: Receiver<()>) -> anyhow::Result<()> {
    match phases(config, log, stop) {
        Err(why) if why.is::<StopRequested>() => Ok(()),
        ended => ended,
    }
}

/// The phases of the start, and then the instance until it stops.
fn phases(config: Config, log: Arc<dyn Log>, stop: Receiver<()>) -> anyhow::Result<()> {
    let start = Start::new(config, log, stop)?;
    // Compiling takes about as long as everything that the brokers are asked, so it runs on its own thread meanwhile.
    let compiling = compile(start.config.clone())?;
    let cluster = start.check()?;
    let topics = start.topics()?;
    let rules = start.rules(compiling, topics)?;
    let local = start.recover(&cluster)?;
    start.serve(rules, local)
}

/// The instance was told to stop before it was running.
#[derive(Debug, thiserror::Error)]
#[error("told to stop")]
struct StopRequested;

/// What all phases of the start use.
struct Start {
    config: Arc<Config>,
    log: Arc<dyn Log>,
    stop: Receiver<()>,
    /// Serves the registry and the external services.
    runtime: tokio::runtime::Runtime,
    metrics: Arc<Metrics>,
    /// The port of `http`. It is taken first: an instance without it must not join the group, only to leave it again.
    listener: Option<TcpListener>,
}

/// The topics exist, and fit the config.
struct CheckedTopics {
    layout: Arc<Layout>,
    /// Partitions of the outputs, by index.
    outputs: Vec<i32>,
}

/// The deployed rules are known, and so are those in the file.
struct DeployedRules {
    layout: Arc<Layout>,
    schemas: Option<Arc<dyn Schemas>>,
    compile: Compile,
    first: Option<ConfiguredRules>,
    reader: ControlReader,
}

/// The local state is open.
struct Local {
    stores: Option<Stores>,
    /// Locked as long as the instance runs, so that no other process opens the stores.
    _directory: Option<Directory>,
}

// The phases, in their order.
impl Start {
    fn new(config: Config, log: Arc<dyn Log>, stop: Receiver<()>) -> anyhow::Result<Start> {
        let listening = |address| {
            listen(address).with_context(|| {
                format!("http = \"{address}\" can't be served: does another process have the port? `--set http=off` does without")
            })
        };
        let listener = config.http.map(listening).transpose()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let metrics = Arc::new(Metrics::of(&config));
        Ok(Start {
            config: Arc::new(config),
            log,
            stop,
            runtime,
            metrics,
            listener,
        })
    }

    /// Checks that the brokers answer, and that other owners' topics fit the config. Returns the id of the cluster.
    fn check(&self) -> anyhow::Result<String> {
        let cluster = self.patiently(|| self.log.cluster())?;
        let findings = self.patiently(|| preflight::look(&self.config, &|name| self.log.topic(name)))?;
        passed("the topics don't fit", findings)?;
        Ok(cluster)
    }

    /// Makes sure that the pipeline's own topics exist.
    fn topics(&self) -> anyhow::Result<CheckedTopics> {
        let partitions = self.patiently(|| own_topics(&self.config, self.log.as_ref()))?;
        Ok(CheckedTopics {
            layout: Arc::new(Layout::new(&self.config, partitions)),
            outputs: output_partitions(&self.config, self.log.as_ref())?,
        })
    }

    /// Reads the control topic, and waits until the file's rules are compiled and bound.
    fn rules(&self, compiling: Compiling, topics: CheckedTopics) -> anyhow::Result<DeployedRules> {
        let CheckedTopics { layout, outputs } = topics;
        let schemas = schemas(&self.config, self.runtime.handle())?;
        if let Some(schemas) = &schemas {
            self.patiently(|| preflight::answers(&self.config, schemas.as_ref()))?;
        }
        let (reader, empty) = self.patiently(|| {
            let reader = ControlReader::begin(self.log.clone(), layout.clone())?;
            let empty = reader.end()? <= reader.position();
            Ok((reader, empty))
        })?;
        let compiled = compiling
            .join()
            .map_err(|_| anyhow::anyhow!("the rules' compiler panicked"))?;
        let FileRules {
            engine,
            component,
            rules,
            mut findings,
        } = compiled?;
        let mut wiring = None;
        if let Some(rules) = rules {
            match preflight::wiring(rules, &self.config, schemas.as_deref(), &outputs) {
                Ok(wired) => wiring = Some(Arc::new(wired)),
                Err(misfits) => findings.extend(misfits),
            }
        }
        // What was deployed takes precedence over the file, which only names the first rules.
        if empty {
            passed("the rules don't fit", findings)?;
        }
        Ok(DeployedRules {
            layout,
            compile: compiler(engine, self.config.clone(), schemas.clone(), outputs),
            schemas,
            first: wiring.map(|wiring| ConfiguredRules::new(component, &self.config.rules.settings, wiring)),
            reader,
        })
    }

    /// Opens the local state, and ends everything from earlier runs that holds the group's offsets back.
    fn recover(&self, cluster: &str) -> anyhow::Result<Local> {
        let config = &self.config;
        let directory = config
            .state
            .dir
            .as_deref()
            .map(|dir| Directory::open(dir, cluster))
            .transpose()?;
        if let Some(directory) = &directory {
            // The ids of workers that this instance used to have: their open transactions would hold back the group's
            // offsets.
            for worker in config.workers..directory.workers_ever()? as usize {
                drop(self.log.producer(&transactional_id(config, worker))?);
            }
            directory.remember_workers(config.workers as u32)?;
        }
        Ok(Local {
            stores: stores(directory.as_ref())?,
            _directory: directory,
        })
    }

    /// Runs the instance until it ends, or is told to.
    fn serve(mut self, rules: DeployedRules, local: Local) -> anyhow::Result<()> {
        let listener = self.listener.take();
        let Start { config, metrics, .. } = &self;
        let services = HttpServices::new(&config.lookups, self.runtime.handle(), metrics)?;
        let tasks = rules.layout.partitions as usize;
        let running = RunningInstance::start(InstanceParts {
            config: config.clone(),
            layout: rules.layout,
            compile: rules.compile,
            first: rules.first,
            reader: rules.reader,
            log: self.log.clone(),
            schemas: rules.schemas,
            stores: local.stores,
            services: Box::new(move || Box::new(services.share())),
            metrics: metrics.clone(),
        })?;
        let surface = surface(config, &running, metrics.clone(), tasks);
        let serving = listener.map(|listener| serve(listener, surface)).transpose();
        let _server = serving.context("the thread of the HTTP server can't be started")?;
        tracing::info!(pipeline = config.name, instance = config.instance, "running");
        loop {
            match self.stop.recv_timeout(LOOK) {
                Err(RecvTimeoutError::Timeout) if !running.has_ended() => {}
                _ => break,
            }
        }
        running.stop()?;
        // The last epoch is committed; or the broker has aborted it, and the next start processes its records again.
        tracing::info!("stopped: nothing is lost");
        Ok(())
    }

    /// Tries until it succeeds. The error may be [`StopRequested`].
    fn patiently<T>(&self, mut call: impl FnMut() -> Result<T>) -> anyhow::Result<T> {
        loop {
            match call() {
                Ok(done) => return Ok(done),
                Err(Failure::Retry(why)) => tracing::warn!(%why, "trying again"),
                Err(other) => bail!(other),
            }
            if !matches!(self.stop.recv_timeout(RETRY), Err(RecvTimeoutError::Timeout)) {
                bail!(StopRequested);
            }
        }
    }
}

/// Logs the warnings. Fails if there are errors.
fn passed(what: &str, findings: Vec<Finding>) -> anyhow::Result<()> {
    let (errors, warnings): (Vec<_>, Vec<_>) = findings
        .into_iter()
        .partition(|finding| finding.level == Severity::Error);
    for warning in warnings {
        tracing::warn!(key = warning.key, value = warning.value, "{}", warning.cure);
    }
    if !errors.is_empty() {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        bail!("{what}:\n{}", lines.join("\n"));
    }
    Ok(())
}

/// Creates Pelton's own topics, unless they exist. Returns the number of the inputs' partitions.
fn own_topics(config: &Config, log: &dyn Log) -> Result<i32> {
    let vanished = || Failure::Retry("the topic of the first input has just vanished".into());
    let lead = config
        .inputs
        .first()
        .ok_or_else(|| Failure::Fatal("the pipeline has no input".into()))?;
    let partitions = log.topic(&lead.topic)?.ok_or_else(vanished)?.partitions;
    for owned in config.owned_topics(partitions) {
        if log.topic(&owned.name)?.is_none() {
            let settings: Vec<(&str, &str)> = owned
                .required
                .iter()
                .chain(&owned.preferred)
                .map(|(key, value)| (*key, value.as_str()))
                .collect();
            log.create(&owned.name, owned.partitions, &settings)?;
            tracing::info!(topic = owned.name, partitions = owned.partitions, "topic created");
        }
    }
    Ok(partitions)
}

/// Number of each output's partitions, by index.
pub fn output_partitions(config: &Config, log: &dyn Log) -> anyhow::Result<Vec<i32>> {
    let partitions = |output: &crate::config::OutputConfig| {
        let info = log.topic(&output.topic)?;
        Ok(info
            .with_context(|| format!("there is no topic '{}'", output.topic))?
            .partitions)
    };
    config.outputs.iter().map(partitions).collect()
}

/// The source of the pipeline's schemas. Does not call a registry yet.
pub fn schemas(
    config: &Config,
    runtime: &tokio::runtime::Handle,
) -> std::result::Result<Option<Arc<dyn Schemas>>, NoSchema> {
    let made: std::result::Result<Arc<dyn Schemas>, NoSchema> = match &config.schemas {
        None => return Ok(None),
        Some(SchemaSource::Registry(url)) => {
            Confluent::new(url, runtime.clone()).map(|registry| Arc::new(registry) as _)
        }
        Some(SchemaSource::Folder(path)) => Folder::open(path).map(|folder| Arc::new(folder) as _),
    };
    made.map(Some)
}

#[cfg(feature = "rocks")]
fn stores(directory: Option<&Directory>) -> anyhow::Result<Option<Stores>> {
    let Some(directory) = directory else { return Ok(None) };
    let rocks = crate::store::Rocks::open(directory)?;
    Ok(Some(Arc::new(move || Box::new(rocks.store()))))
}

#[cfg(not(feature = "rocks"))]
fn stores(directory: Option<&Directory>) -> anyhow::Result<Option<Stores>> {
    if directory.is_some() {
        bail!("state.dir is given, and this build of pelton has no RocksDB: build it with the feature 'rocks'");
    }
    Ok(None)
}
