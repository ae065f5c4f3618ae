//! The demo: the money pipeline on the embedded log, with generated traffic and a session service over real HTTP.
//!
//! Everything except Kafka is real: the guest component, the worker, transactions, timers, lookups. It ends after a
//! while, with a summary that must add up. With `--file`, another pipeline runs on the same traffic, if it reads the
//! same topics.

use crate::args::{Args, PARTITIONS};
use crate::live::Demo;
use crate::session_service::{Behaviour, SessionService};
use crate::show::Screen;
use crate::traffic::Stream;
use anyhow::{Context, bail};
use clap::Parser;
use pelton::binding::Layout;
use pelton::config::Config;
use pelton::deploy::agent::ConfiguredRules;
use pelton::deploy::compile::compiler;
use pelton::deploy::reader::ControlReader;
use pelton::http::{Server, listen, serve};
use pelton::instance::{InstanceParts, RunningInstance, output_partitions, surface};
use pelton::log::embedded::{Clock, Embedded};
use pelton::metrics::Metrics;
use pelton::record::Partition;
use pelton::registry::Schemas;
use pelton::registry::folder::Folder;
use pelton::rules::{Description, Engine};
use pelton::service::http::HttpServices;
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

/// How much is kept of each partition of a topic that nothing reads to its end.
const KEPT: &[(&str, &str)] = &[("retention.bytes", "4194304")];

/// Runs the demo as the process's arguments say.
pub fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let service = SessionService::start(Behaviour {
        latency: Duration::from_millis(20),
        errors: 0.01,
    })?;
    let config = load(&args, &service)?;
    let Some(pelton::config::SchemaSource::Folder(folder)) = &config.schemas else {
        bail!("the demo reads its schemas from a folder: [schemas] folder = ...");
    };
    let schemas: Arc<dyn Schemas> = Arc::new(Folder::open(folder)?);
    let cluster = cluster(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let (parts, description) = parts(&config, &cluster, schemas.clone(), runtime.handle())?;
    let metrics = parts.metrics.clone();
    let running = RunningInstance::start(parts)?;
    let surface = surface(&config, &running, metrics.clone(), PARTITIONS as usize);
    let server = listen(args.http).and_then(|listener| serve(listener, surface));
    let demo = Demo {
        traffic: traffic(&config)?,
        appended: Cell::new(0),
        schemas,
        description,
        tasks: Partition::all(PARTITIONS)
            .map(|partition| metrics.task(partition))
            .collect(),
        metrics,
        cluster,
        board: running.view().clone(),
        running,
        screen: greet(&args, &server)?,
        config,
    };
    demo.run(&args)?;
    drop(service);
    Ok(())
}

/// The pipeline's file, with this session service.
fn load(args: &Args, service: &SessionService) -> anyhow::Result<Arc<Config>> {
    let mut sets = args.sets.clone();
    sets.push(format!(
        "lookups.session.url={}/sessions/{{userSessionId}}",
        service.url()
    ));
    match Config::load(&args.file, &sets) {
        Ok(config) => Ok(Arc::new(config)),
        Err(findings) => bail!(findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")),
    }
}

/// A cluster in memory, with the pipeline's topics.
fn cluster(config: &Config) -> anyhow::Result<Embedded> {
    let cluster = Embedded::new("demo", Clock::real());
    for input in &config.inputs {
        cluster.create_topic(&input.topic, PARTITIONS, &[])?;
    }
    for output in &config.outputs {
        cluster.create_topic(&output.topic, PARTITIONS, KEPT)?;
    }
    for owned in config.owned_topics(PARTITIONS) {
        let kept = if owned.name == config.dead_letters_topic() {
            KEPT
        } else {
            &[]
        };
        cluster.create_topic(&owned.name, owned.partitions, kept)?;
    }
    Ok(cluster)
}

/// The parts of the instance, and the rules in the file.
fn parts(
    config: &Arc<Config>,
    cluster: &Embedded,
    schemas: Arc<dyn Schemas>,
    runtime: &tokio::runtime::Handle,
) -> anyhow::Result<(InstanceParts, Description)> {
    let layout = Arc::new(Layout::new(config, PARTITIONS));
    let log = Arc::new(cluster.instance(layout.topics.clone(), &config.name, &config.instance));
    let component = std::fs::read(&config.rules.file)
        .with_context(|| format!("{} is not built: make guest", config.rules.file.display()))?;
    let engine = Engine::new().map_err(anyhow::Error::msg)?;
    let outputs = output_partitions(config, log.as_ref())?;
    let settings = config.rules.settings.clone();
    let compile = compiler(engine, config.clone(), Some(schemas.clone()), outputs);
    let wiring = compile(&component, &settings.to_string()).map_err(anyhow::Error::msg)?;
    let metrics = Arc::new(Metrics::of(config));
    let services = HttpServices::new(&config.lookups, runtime, &metrics).map_err(anyhow::Error::msg)?;
    let description = wiring.rules.description().clone();
    let parts = InstanceParts {
        config: config.clone(),
        reader: ControlReader::begin(log.clone(), layout.clone())?,
        layout,
        compile,
        first: Some(ConfiguredRules::new(component, &settings, wiring)),
        log,
        schemas: Some(schemas),
        stores: None,
        services: Box::new(move || Box::new(services.share())),
        metrics,
    };
    Ok((parts, description))
}

/// The streams of the traffic that the pipeline reads.
fn traffic(config: &Config) -> anyhow::Result<Vec<Stream>> {
    let reads = |stream: &Stream| config.inputs.iter().any(|input| input.topic == stream.topic());
    let traffic: Vec<Stream> = Stream::ALL.into_iter().filter(reads).collect();
    if traffic.is_empty() {
        let topics: Vec<&str> = Stream::ALL.iter().map(|stream| stream.topic()).collect();
        bail!("the pipeline reads none of the demo's topics: {}", topics.join(", "));
    }
    Ok(traffic)
}

/// Prints where it serves. Returns the screen for live figures, if there is one.
fn greet(args: &Args, server: &std::io::Result<Server>) -> anyhow::Result<Option<Screen>> {
    let screen = (!args.attached).then(Screen::new);
    match (&screen, server) {
        (Some(screen), Ok(server)) => screen.line(&format!(
            "metrics and health at http://{0}/metrics and /health; new rules: pelton rules deploy FILE --to http://{0}",
            server.address
        )),
        (Some(screen), Err(why)) => screen.line(&format!(
            "no metrics: {} can't be served ({why}); try --http 127.0.0.1:0",
            args.http
        )),
        (None, Ok(server)) => println!("http://{}", server.address),
        (None, Err(why)) => bail!("{} can't be served ({why}); try --http 127.0.0.1:0", args.http),
    }
    Ok(screen)
}

/// The file's inputs determine the streams and their ranks.
const _: [Stream; 3] = Stream::ALL;
