//! One run: fills the log, starts an instance in this process, waits for the last committed output, and counts.
//!
//! Rule: a run counts only if its totals add up: every record that was written is accounted for exactly once.

use super::beside::Beside;
use super::cpu::{self, Thread};
use super::swapping::Swapping;
use super::workload::{self, Written};
use anyhow::{Context, Result, bail, ensure};
use pelton::binding::Layout;
use pelton::config::{Config, SchemaSource};
use pelton::deploy::agent::ConfiguredRules;
use pelton::deploy::api::Shadowing;
use pelton::deploy::compile::compiler;
use pelton::deploy::reader::ControlReader;
use pelton::instance::{InstanceParts, RunningInstance, Stores, output_partitions};
use pelton::log::Log;
use pelton::log::embedded::{Clock, Embedded};
use pelton::metrics::Metrics;
use pelton::record::Partition;
use pelton::registry::Schemas;
use pelton::registry::folder::Folder;
use pelton::rules::Engine;
use pelton::service::http::HttpServices;
use pelton_demo::session_service::{Behaviour, SessionService};
use pelton_demo::show::Totals;
use pelton_demo::traffic::{Parameters, Stream};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The number of partitions of every topic.
const PARTITIONS: i32 = 4;

/// A broker that has just started spends a third of its CPU on compiling its own code. So a run with this fraction of
/// the money events comes before the one that counts.
#[cfg(feature = "kafka")]
const WARM_PART: u64 = 3;

/// How often the end is looked for.
const LOOK: Duration = Duration::from_millis(2);

/// A pipeline that commits nothing for this long counts as stuck.
const STILL: Duration = Duration::from_secs(60);

/// The pipeline's file, as a user would write it.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/money-avro/folder.toml");

/// The settings of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The workload.
    pub workload: Parameters,
    /// The component with the rules.
    pub rules: PathBuf,
    /// The data directory. `None` keeps state in memory and in the changelog only.
    pub state: Option<PathBuf>,
    /// Overridden keys of the pipeline's file.
    pub sets: Vec<String>,
    /// Also measure the wire alone, on Kafka.
    pub wire: bool,
    /// Warm the broker up with a smaller run first.
    pub warm: bool,
    /// Swap the rules all the time, this far ahead in event time. Zero means now, wherever the tasks are.
    pub swaps: Option<Duration>,
    /// Also run the same rules as a shadow.
    pub shadow: bool,
}

/// The results of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was written into the log.
    pub written: Written,
    /// How the records were accounted for.
    pub totals: Totals,
    /// From the start of the instance to its first committed output.
    pub first: Duration,
    /// From the start of the instance to its last committed output.
    pub wall: Duration,
    /// CPU time of this process between the two.
    pub cpu: Duration,
    /// CPU time of the broker in that time. `None` if the log is in this process.
    pub broker: Option<Duration>,
    /// The threads that the instance started, by number, with their CPU time.
    pub threads: BTreeMap<u32, Thread>,
    /// CPU time of the threads that already existed (the session service, the log's admin clients).
    pub others: Duration,
    /// Peak resident memory.
    pub peak: u64,
    /// The text of the metrics at the end.
    pub metrics: String,
    /// The load of the machine at the end.
    pub load: f64,
    /// The number of committed and of refused swaps.
    pub swaps: (usize, usize),
    /// The shadow's findings. `None` if there was no shadow.
    pub shadow: Option<Shadowing>,
}

/// Runs on a real Kafka. If asked, also measures what the wire alone costs for as many records of the same size.
#[cfg(feature = "kafka")]
pub fn kafka(options: &Options, rig: &crate::rig::Rig) -> Result<(Report, Option<crate::wire::WireReport>)> {
    warm_up(options, rig)?;
    let (_, report) = on_broker(options, rig)?;
    let size = report.written.bytes / report.written.made.records().max(1);
    let wire = || crate::wire::wire(rig, report.written.made.money, size as usize);
    let wire = options.wire.then(wire).transpose()?;
    Ok((report, wire))
}

/// Runs on a real Kafka without swaps, and then with each kind of swaps. Returns the reports with the names of their
/// runs.
#[cfg(feature = "kafka")]
pub fn swaps(options: &Options, kinds: &[(String, Duration)], rig: &crate::rig::Rig) -> Result<Vec<(String, Report)>> {
    warm_up(options, rig)?;
    let none = ("none".to_owned(), None);
    let kinds = kinds.iter().map(|(name, ahead)| (name.clone(), Some(*ahead)));
    let mut runs = vec![];
    for (index, (name, ahead)) in std::iter::once(none).chain(kinds).enumerate() {
        let mut one = options.clone();
        one.swaps = ahead;
        one.state = options.state.as_ref().map(|folder| folder.join(index.to_string()));
        one.sets.push(format!("name=bench-{index}"));
        let (config, report) = on_broker(&one, rig)?;
        remove(&config, rig)?;
        runs.push((name, report));
    }
    Ok(runs)
}

/// Makes a smaller run first, if asked.
#[cfg(feature = "kafka")]
fn warm_up(options: &Options, rig: &crate::rig::Rig) -> Result<()> {
    if !options.warm {
        return Ok(());
    }
    let mut small = options.clone();
    small.workload.money = (options.workload.money / WARM_PART).max(1);
    small.state = None;
    small.swaps = None;
    small.shadow = false;
    small.sets.push("name=warm-up".to_string());
    let (config, _) = on_broker(&small, rig)?;
    remove(&config, rig)
}

/// Removes the topics. The next run creates them again.
#[cfg(feature = "kafka")]
fn remove(config: &Config, rig: &crate::rig::Rig) -> Result<()> {
    inputs(config)
        .chain(outputs(config))
        .try_for_each(|topic| rig.delete(topic))
}

/// Creates the topics, fills them, and runs. Also returns the pipeline's file.
#[cfg(feature = "kafka")]
fn on_broker(options: &Options, rig: &crate::rig::Rig) -> Result<(Arc<Config>, Report)> {
    let service = SessionService::start(Behaviour::default())?;
    let mut sets = vec![format!("kafka.bootstrap.servers={}", rig.brokers())];
    sets.extend(options.sets.clone());
    let config = config(options, &service, sets)?;
    let lz4 = [("compression.type", "lz4")];
    for topic in inputs(&config).chain(outputs(&config)) {
        rig.create(topic, PARTITIONS, &lz4)?;
    }
    for owned in config.owned_topics(PARTITIONS) {
        let settings = owned.required.iter().chain(&owned.preferred);
        let settings: Vec<_> = settings.map(|(key, value)| (*key, value.as_str())).collect();
        rig.create(&owned.name, owned.partitions, &settings)?;
    }
    let written = workload::produce(options.workload.clone(), rig)?;
    let layout = Arc::new(Layout::new(&config, PARTITIONS));
    let log = pelton::instance::kafka(&config)?;
    let report = measure(config.clone(), layout, Arc::new(log), written, options, rig.pid())?;
    Ok((config, report))
}

/// Runs on the log in this process, to measure the engine alone.
pub fn embedded(options: &Options) -> Result<Report> {
    let service = SessionService::start(Behaviour::default())?;
    let config = config(options, &service, options.sets.clone())?;
    let cluster = Embedded::new("bench", Clock::real());
    for topic in inputs(&config).chain(outputs(&config)) {
        cluster.create_topic(topic, PARTITIONS, &[])?;
    }
    for owned in config.owned_topics(PARTITIONS) {
        cluster.create_topic(&owned.name, owned.partitions, &[])?;
    }
    let written = workload::embed(options.workload.clone(), &cluster)?;
    let layout = Arc::new(Layout::new(&config, PARTITIONS));
    let log = cluster.instance(layout.topics.clone(), &config.name, &config.instance);
    measure(config, layout, Arc::new(log), written, options, None)
}

fn inputs(config: &Config) -> impl Iterator<Item = &str> {
    config.inputs.iter().map(|input| input.topic.as_str())
}

fn outputs(config: &Config) -> impl Iterator<Item = &str> {
    config.outputs.iter().map(|output| output.topic.as_str())
}

fn config(options: &Options, service: &SessionService, mut sets: Vec<String>) -> Result<Arc<Config>> {
    sets.insert(0, format!("lookups.session.url={}", service.url()));
    sets.insert(0, format!("rules.file={}", options.rules.display()));
    if let Some(folder) = &options.state {
        sets.insert(0, format!("state.dir={}", folder.display()));
    }
    match Config::load(Path::new(FILE), &sets) {
        Ok(config) => Ok(Arc::new(config)),
        Err(findings) => bail!(
            "{FILE}: {}",
            findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        ),
    }
}

/// Runs the pipeline on the records in the log, until all results are committed.
fn measure(
    config: Arc<Config>,
    layout: Arc<Layout>,
    log: Arc<dyn Log>,
    written: Written,
    options: &Options,
    broker: Option<u32>,
) -> Result<Report> {
    let Some(SchemaSource::Folder(folder)) = &config.schemas else {
        bail!("{FILE} names no folder of schemas");
    };
    let schemas: Arc<dyn Schemas> = Arc::new(Folder::open(folder)?);
    let component = std::fs::read(&options.rules).with_context(|| options.rules.display().to_string())?;
    let engine = Engine::new()?;
    let outputs = output_partitions(&config, log.as_ref())?;
    let compile = compiler(engine, config.clone(), Some(schemas.clone()), outputs);
    let settings = &config.rules.settings;
    let wiring = compile(&component, &settings.to_string()).map_err(anyhow::Error::msg)?;
    let first = Some(ConfiguredRules::new(component, settings, wiring));
    let stores = stores(&config, log.as_ref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let metrics = Arc::new(Metrics::of(&config));
    let services = HttpServices::new(&config.lookups, runtime.handle(), &metrics)?;
    let tasks: Vec<_> = Partition::all(PARTITIONS)
        .map(|partition| metrics.task(partition))
        .collect();
    let sum = |of: &dyn Fn(&pelton::metrics::TaskMetrics) -> u64| tasks.iter().map(of).sum::<u64>();
    let enriched = || sum(&|task| task.events_out.iter().map(|counter| counter.get()).sum());
    let processed = || sum(&|task| task.inputs.events_in.iter().map(|counter| counter.get()).sum());

    cpu::forget_peak()?;
    let before = cpu::threads()?;
    let theirs = broker.map(cpu::process).transpose()?;
    let (begun, ours) = (Instant::now(), cpu::own());
    let running = RunningInstance::start(InstanceParts {
        config: config.clone(),
        reader: ControlReader::begin(log.clone(), layout.clone())?,
        layout,
        compile,
        first,
        log,
        schemas: Some(schemas),
        stores,
        services: Box::new(move || Box::new(services.share())),
        metrics: metrics.clone(),
    })?;
    let watched = || {
        Partition::all(PARTITIONS)
            .map(|partition| metrics.task(partition))
            .collect()
    };
    let swapping = options.swaps.map(|ahead| Swapping::start(&running, watched(), ahead));
    let beside = options.shadow.then(|| Beside::start(&running, watched()));
    let all = written.made.records();
    // The closing records make everything before them final. They themselves would wait for the clock.
    let due = all - written.made.ignored;
    let (mut first, mut last) = (None, (Instant::now(), 0));
    loop {
        let now = processed();
        if now > last.1 {
            last = (Instant::now(), now);
            first.get_or_insert(begun.elapsed());
        }
        if now >= due && enriched() >= written.made.money || running.has_ended() {
            break;
        }
        if last.0.elapsed() > STILL {
            let statuses = running.statuses();
            bail!("the pipeline stands still at {now} of {all} records: {statuses:#?}");
        }
        std::thread::sleep(LOOK);
    }
    let (wall, cpu) = (begun.elapsed(), cpu::own() - ours);
    let swaps = swapping.map_or((0, 0), Swapping::end);
    let theirs = theirs
        .zip(broker.map(cpu::process).transpose()?)
        .map(|(before, after)| after - before);
    let mut threads = cpu::threads()?;
    let peak = cpu::peak()?;
    let text = metrics.text();
    let gauge = |of: &dyn Fn(&pelton::metrics::TaskMetrics) -> i64| tasks.iter().map(of).sum::<i64>().max(0) as u64;
    let counters: Vec<u64> = {
        let names = ["duplicates", "ignored", "sessions", "user_changes"].map(String::from);
        metrics
            .rules(&[], &names)
            .counters
            .iter()
            .map(|counter| counter.get())
            .collect()
    };
    let shadow = beside.map(Beside::end).transpose().map_err(anyhow::Error::msg)?;
    running.stop()?;
    let totals = Totals {
        read: all,
        enriched: enriched(),
        duplicates: counters[0],
        ignored: counters[1],
        sessions: counters[2],
        user_changes: counters[3],
        pending: gauge(&|task| task.timers.get()),
        asked: gauge(&|task| task.lookups_pending.get()),
        dead_letters: sum(&|task| task.dead_letters.iter().map(|counter| counter.get()).sum()),
        waiting: all - processed(),
    };
    ensure!(totals.adds_up(), "the totals don't add up: that is a bug\n{totals}");
    let mut others = Duration::ZERO;
    for (number, old) in &before {
        if let Some(thread) = threads.remove(number) {
            others += thread.cpu - old.cpu;
        }
    }
    Ok(Report {
        written,
        totals,
        first: first.context("nothing was committed")?,
        wall,
        cpu,
        broker: theirs,
        threads,
        others,
        peak,
        metrics: text,
        load: cpu::load()?,
        swaps,
        shadow,
    })
}

#[cfg(feature = "rocks")]
fn stores(config: &Config, log: &dyn Log) -> Result<Option<Stores>> {
    let Some(folder) = &config.state.dir else {
        return Ok(None);
    };
    let directory = pelton::store::Directory::open(folder, &log.cluster()?)?;
    let rocks = pelton::store::rocks::Rocks::open(&directory)?;
    // This keeps the directory's lock for as long as stores are made.
    Ok(Some(Arc::new(move || {
        let _held = &directory;
        Box::new(rocks.store())
    })))
}

#[cfg(not(feature = "rocks"))]
fn stores(config: &Config, _log: &dyn Log) -> Result<Option<Stores>> {
    ensure!(config.state.dir.is_none(), "this build has no RocksDB");
    Ok(None)
}

/// The streams must be the file's, in order of rank.
const _: [Stream; 3] = Stream::ALL;
