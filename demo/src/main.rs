//! `make demo`: the money pipeline on the embedded log, with live generated traffic and a session service over real HTTP.
//!
//! Everything but Kafka is the real thing: the guest component, the worker, transactions, timers, lookups. It ends by itself,
//! with a summary that adds up. Another pipeline's file (`--file`) runs on the same traffic: those of its topics that it reads.

use anyhow::{Context, bail};
use clap::Parser;
use pelton::config::Config;
use pelton::convert::JsonWriter;
use pelton::http::serve;
use pelton::log::embedded::{Clock, Embedded, Record};
use pelton::metrics::{Metrics, TaskMetrics};
use pelton::pipeline::control::board::Board;
use pelton::pipeline::control::carrier::First;
use pelton::pipeline::control::compile::compiler;
use pelton::pipeline::control::follow::Following;
use pelton::pipeline::{Parts, Running, output_partitions, surface};
use pelton::record::NEVER;
use pelton::registry::Schemas;
use pelton::registry::folder::Folder;
use pelton::rules::{Description, Engine, Version};
use pelton::service::http::HttpServices;
use pelton::task::Layout;
use pelton_demo::session_service::{Behaviour, SessionService};
use pelton_demo::show::{Progress, Screen, Totals, grouped, readable};
use pelton_demo::traffic::{Format, Parameters, Stream, Traffic};
use std::cell::Cell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The money pipeline on generated traffic: no Kafka needed.
#[derive(Parser)]
struct Args {
    /// How long to run.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Money events a second; users, sessions and duplicates come on top.
    #[arg(long, default_value_t = 20_000)]
    rate: u64,
    /// Users.
    #[arg(long, default_value_t = 20_000)]
    users: u32,
    /// The same seed makes the same traffic.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The pipeline's file.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/pelton.toml"))]
    file: PathBuf,
    /// Override a key of the file: --set rules.settings.dedup_ttl=10s
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Address of /metrics, /health, and of `pelton rules deploy` while it runs.
    #[arg(long, default_value = "127.0.0.1:9464")]
    http: SocketAddr,
}

/// What the money rules count, and their summary needs.
const MONEY_COUNTERS: [&str; 4] = ["duplicates", "ignored", "sessions", "user_changes"];

/// Partitions of every topic.
const PARTITIONS: i32 = 4;

/// An enriched event is shown so often.
const SHOW_EVERY: Duration = Duration::from_secs(3);

/// The traffic pauses while this many records wait in the log: a slow machine makes a slower demo, not a growing one.
const BEHIND_MAX: u64 = 500_000;

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let service = SessionService::start(Behaviour {
        latency: Duration::from_millis(20),
        errors: 0.01,
    })?;
    let mut sets = args.sets.clone();
    sets.push(format!(
        "lookups.session.url={}/sessions/{{userSessionId}}",
        service.url()
    ));
    let config = match Config::load(&args.file, &sets) {
        Ok(config) => Arc::new(config),
        Err(findings) => bail!(findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")),
    };
    let Some(pelton::config::SchemaSource::Folder(folder)) = &config.schemas else {
        bail!("the demo reads its schemas from a folder: [schemas] folder = ...");
    };
    let schemas: Arc<dyn Schemas> = Arc::new(Folder::open(folder)?);

    let cluster = Embedded::new("demo", Clock::real());
    for topic in config
        .inputs
        .iter()
        .map(|input| &input.topic)
        .chain(config.outputs.iter().map(|output| &output.topic))
    {
        cluster.create_topic(topic, PARTITIONS, &[])?;
    }
    for owned in config.owned_topics(PARTITIONS) {
        cluster.create_topic(&owned.name, owned.partitions, &[])?;
    }
    let layout = Arc::new(Layout::new(&config, PARTITIONS));
    let log = Arc::new(cluster.instance(layout.topics.clone(), &config.name, &config.instance));

    let component = std::fs::read(&config.rules.file)
        .with_context(|| format!("{} is not built: make guest", config.rules.file.display()))?;
    let engine = Engine::new().map_err(anyhow::Error::msg)?;
    let outputs = output_partitions(&config, log.as_ref())?;
    let settings = config.rules.settings.clone();
    let compile = compiler(engine, config.clone(), Some(schemas.clone()), outputs);
    let wiring = compile(&component, &settings.to_string()).map_err(anyhow::Error::msg)?;

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let (shown, description) = (schemas.clone(), wiring.rules.description().clone());
    let metrics = Arc::new(Metrics::of(&config));
    let services = HttpServices::new(&config.lookups, runtime.handle(), &metrics).map_err(anyhow::Error::msg)?;
    let running = Running::start(Parts {
        config: config.clone(),
        following: Following::begin(log.clone(), layout.clone())?,
        layout,
        compile,
        first: Some(First::new(component, &settings, wiring)),
        log,
        schemas: Some(schemas),
        stores: None,
        services: Box::new(move || Box::new(services.share())),
        metrics: metrics.clone(),
    })?;
    let server = serve(
        args.http,
        surface(&config, &running, metrics.clone(), PARTITIONS as usize),
    );

    let screen = Screen::new();
    match &server {
        Ok(server) => screen.line(&format!(
            "metrics and health at http://{0}/metrics and /health; new rules: pelton rules deploy FILE --to http://{0}",
            server.address
        )),
        Err(why) => screen.line(&format!(
            "no metrics: {} can't be served ({why}); try --http 127.0.0.1:0",
            args.http
        )),
    }
    let traffic: Vec<Stream> = Stream::ALL
        .into_iter()
        .filter(|stream| config.inputs.iter().any(|input| input.topic == stream.topic()))
        .collect();
    if traffic.is_empty() {
        let topics: Vec<&str> = Stream::ALL.iter().map(|stream| stream.topic()).collect();
        bail!("the pipeline reads none of the demo's topics: {}", topics.join(", "));
    }
    let demo = Demo {
        traffic,
        appended: Cell::new(0),
        schemas: shown,
        description,
        metrics: metrics.clone(),
        tasks: (0..PARTITIONS).map(|partition| metrics.task(partition)).collect(),
        cluster,
        board: running.board().clone(),
        running,
        screen,
        config: config.clone(),
    };
    demo.run(&args)?;
    drop(service);
    Ok(())
}

struct Demo {
    /// The streams that the pipeline reads.
    traffic: Vec<Stream>,
    /// Records of them so far.
    appended: Cell<u64>,
    schemas: Arc<dyn Schemas>,
    description: Description,
    metrics: Arc<Metrics>,
    tasks: Vec<TaskMetrics>,
    cluster: Embedded,
    running: Running,
    board: Arc<Board>,
    screen: Screen,
    config: Arc<Config>,
}

impl Demo {
    fn run(self, args: &Args) -> anyhow::Result<()> {
        let mut traffic = Traffic::new(Parameters {
            seed: args.seed,
            format: Format::Avro,
            money: args.rate * args.seconds,
            users: args.users,
            partitions: PARTITIONS,
            start: now(),
            span: (args.seconds * 1000) as i64,
            disorder: 2_000,
            session_delay: 5_000,
            closing: None,
            ..Parameters::varied()
        });
        let begun = Instant::now();
        let (mut shown, mut looked) = (Instant::now(), (Instant::now(), 0));
        let mut per_second = 0.0;
        while begun.elapsed() < Duration::from_secs(args.seconds) && !self.running.has_ended() {
            let behind = self.appended.get().saturating_sub(self.processed());
            if behind < BEHIND_MAX {
                self.append(&mut traffic)?;
            }
            if looked.0.elapsed() >= Duration::from_millis(250) {
                let processed = self.processed();
                let rate = (processed - looked.1) as f64 / looked.0.elapsed().as_secs_f64();
                per_second = if per_second == 0.0 {
                    rate
                } else {
                    0.7 * per_second + 0.3 * rate
                };
                looked = (Instant::now(), processed);
                self.screen.progress(&self.progress(processed, per_second));
            }
            if shown.elapsed() >= SHOW_EVERY {
                shown = Instant::now();
                self.show();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let seconds = begun.elapsed().as_secs_f64();
        self.end(seconds)
    }

    /// Writes what is due by now into the log.
    fn append(&self, traffic: &mut Traffic) -> anyhow::Result<()> {
        let now = now();
        self.cluster.appending(|log| {
            while let Some(item) = traffic.due(now) {
                if !self.traffic.contains(&item.stream) {
                    continue;
                }
                let record = Record {
                    key: Some(item.key),
                    value: Some(item.value),
                    timestamp: item.timestamp,
                    headers: &[],
                };
                log.append(item.stream.topic(), item.partition, record)?;
                self.appended.set(self.appended.get() + 1);
            }
            anyhow::Ok(())
        })
    }

    fn processed(&self) -> u64 {
        self.tasks
            .iter()
            .flat_map(|task| &task.events_in)
            .map(|counter| counter.get())
            .sum()
    }

    fn progress(&self, read: u64, per_second: f64) -> Progress {
        let watermark = self.running.statuses().iter().map(|status| status.watermark).min();
        let watermark = watermark.filter(|watermark| *watermark != NEVER);
        Progress {
            read,
            per_second,
            watermark,
            lag: watermark.map_or(0, |watermark| now() - watermark),
            rules: self
                .board
                .version()
                .map_or_else(String::new, |version| Version(version).to_string()),
        }
    }

    /// The newest record of the first output.
    fn show(&self) {
        let Some(output) = self.config.outputs.first() else {
            return;
        };
        let partition = (now() / 1000 % i64::from(PARTITIONS)) as i32;
        let Ok(Some(newest)) = self.cluster.last(&output.topic, partition) else {
            return;
        };
        let value = newest.value.as_deref().unwrap_or_default();
        let text = match self.is_money() {
            true => readable(value),
            false => as_json(self.schemas.as_ref(), value).map(|json| format!("{}: {json}", output.name)),
        };
        text.iter().for_each(|text| self.screen.line(text));
    }

    /// The money rules, or others that count as they do.
    fn is_money(&self) -> bool {
        MONEY_COUNTERS
            .iter()
            .all(|name| self.description.counters.iter().any(|known| known == name))
    }

    fn end(self, seconds: f64) -> anyhow::Result<()> {
        // What is open is committed; so the numbers are those of whole epochs.
        let is_money = self.is_money();
        let ended = self.running.stop();
        self.screen.end();
        ended?;
        let sum = |of: &dyn Fn(&TaskMetrics) -> u64| self.tasks.iter().map(of).sum::<u64>();
        let count = |name: &str| self.metrics.rules(&[], &[name.to_owned()]).counters[0].get();
        let processed: u64 = sum(&|task| task.events_in.iter().map(|counter| counter.get()).sum());
        let gauge = |of: &dyn Fn(&TaskMetrics) -> i64| self.tasks.iter().map(of).sum::<i64>().max(0) as u64;
        let read = self.appended.get();
        let sent = sum(&|task| task.events_out.iter().map(|counter| counter.get()).sum());
        let dead_letters = sum(&|task| task.dead_letters.iter().map(|counter| counter.get()).sum());
        let (timers, asked) = (
            gauge(&|task| task.timers.get()),
            gauge(&|task| task.lookups_pending.get()),
        );
        let rate = grouped((processed as f64 / seconds) as u64);
        if !is_money {
            // What others count does not add up to what they read.
            let mut lines = vec![("read", read), ("waiting", read - processed), ("sent", sent)];
            lines.extend([("dead letters", dead_letters), ("timers", timers), ("asked", asked)]);
            let counters = self.description.counters.iter();
            lines.extend(counters.map(|name| (name.as_str(), count(name))));
            for (name, count) in lines {
                println!("  {name:<14}{:>14}", grouped(count));
            }
            println!("{rate} events a second, for {seconds:.1} s");
            return Ok(());
        }
        let [duplicates, ignored, sessions, user_changes] = MONEY_COUNTERS.map(count);
        let totals = Totals {
            read,
            enriched: sent,
            duplicates,
            ignored,
            sessions,
            user_changes,
            pending: timers,
            asked,
            dead_letters,
            waiting: read - processed,
        };
        println!("{totals}");
        println!("{rate} events a second, for {seconds:.1} s");
        if !totals.adds_up() {
            bail!("the totals don't add up: that is a bug");
        }
        Ok(())
    }
}

/// An Avro record as JSON.
fn as_json(schemas: &dyn Schemas, value: &[u8]) -> Option<String> {
    let (head, datum) = value.split_at_checked(5)?;
    let id = u32::from_be_bytes(head[1..].try_into().ok()?);
    let mut json = vec![];
    let writer = JsonWriter::new(&schemas.by_id(id).ok()?).ok()?;
    writer.convert(datum, &mut json).ok()?;
    String::from_utf8(json).ok()
}

/// Milliseconds since 1970.
fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64)
}

/// The streams, in order of rank, are those that the file names.
const _: [Stream; 3] = Stream::ALL;
