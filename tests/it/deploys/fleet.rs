//! Instances of the money pipeline in this process: on one log in memory, with all their threads, and with the real
//! clock.
//!
//! Rule: the outputs show which version processed an input. Each money event is repeated ten seconds of event time
//! later. If the first one was processed by rules that remember it for a minute, the second one is a duplicate and is
//! dropped. If by rules that remember it for five seconds, both come out.

use pelton::binding::{Layout, Wiring};
use pelton::config::Config;
use pelton::deploy::agent::ConfiguredRules;
use pelton::deploy::client::DeployClient;
use pelton::deploy::compile::{Compile, limits};
use pelton::deploy::reader::ControlReader;
use pelton::instance::{InstanceParts, RunningInstance};
use pelton::log::Log;
use pelton::log::embedded::{Clock, Embedded, Isolation, NewRecord};
use pelton::metrics::Metrics;
use pelton::record::{Partition, murmur2};
use pelton::testkit::Script;
use pelton_tests::auditor::read_enriched;
use pelton_tests::stage::{Format, Millis, SECOND, START, Stream, compiler, money, nothing};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The number of partitions of every topic.
pub const PARTITIONS: i32 = 4;

/// Longer than anything takes here, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The time between a money event and its double.
const DOUBLE_AFTER: Millis = 10 * SECOND;

/// Settings that remember money for a minute. Doubles are dropped.
pub fn long() -> Value {
    json!({ "dedup_ttl": "1m", "session_ttl": "1d", "pending_ttl": "1h" })
}

/// Settings that remember money for five seconds. Doubles come out.
pub fn short() -> Value {
    json!({ "dedup_ttl": "5s", "session_ttl": "1d", "pending_ttl": "1h" })
}

/// The log, the file and the clients of such instances.
pub struct Fleet {
    pub cluster: Embedded,
    config: Config,
    layout: Arc<Layout>,
    /// The times of the money events so far, since the beginning.
    times: Vec<Millis>,
}

/// The component of the money rules.
pub fn component() -> Vec<u8> {
    std::fs::read(env!("GUEST_ENRICH_WASM")).expect("tests/build.rs has made it")
}

/// A user whose key belongs to this partition.
fn user(partition: Partition) -> String {
    let mut users = (0..).map(|number| format!("user-{number}"));
    users
        .find(|user| murmur2::partition(user.as_bytes(), PARTITIONS) == partition)
        .expect("murmur2 leaves no partition out")
}

/// Asks again and again until it is true.
pub fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "{what}: not in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Fleet {
    /// The topics, without an instance. The rules in the file remember money for a minute.
    pub fn new() -> Fleet {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/money-json/pelton.toml");
        let sets = [
            "workers=2",
            "http=off",
            "defaults.max_ahead=36500d",
            "defaults.idle_after=1h",
        ]
        .map(String::from);
        let mut config = Config::load(&file, &sets).unwrap_or_else(|findings| panic!("{findings:?}"));
        config.rules.settings = long();
        let cluster = Embedded::new("fleet", Clock::real());
        let outputs = config.outputs.iter().map(|output| &output.topic);
        for topic in config.inputs.iter().map(|input| &input.topic).chain(outputs) {
            cluster.create_topic(topic, PARTITIONS, &[]).expect("a new topic");
        }
        for owned in config.owned_topics(PARTITIONS) {
            cluster
                .create_topic(&owned.name, owned.partitions, &[])
                .expect("a new topic");
        }
        Fleet {
            cluster,
            layout: Arc::new(Layout::new(&config, PARTITIONS)),
            config,
            times: vec![],
        }
    }

    /// Sets how long instances wait for the answers of all tasks.
    pub fn limit(&mut self, limit: Duration) {
        self.config.rules.deploy_limit = limit;
    }

    fn log(&self, instance: &str) -> Arc<dyn Log> {
        let topics = self.layout.topics.clone();
        Arc::new(self.cluster.instance(topics, &self.config.name, instance))
    }

    /// Compiles like the instances do. `before` is called before each compilation.
    fn compile(&self, before: impl Fn() + Send + Sync + 'static) -> Compile {
        let config = self.config.clone();
        Arc::new(move |component, settings| {
            before();
            let settings: Value = serde_json::from_str(settings).expect("settings are JSON");
            let rules = compiler().compile(component, &settings, limits(&config))?;
            let outputs = vec![PARTITIONS; config.outputs.len()];
            Ok(Arc::new(Wiring::new(rules, &config, None, &outputs)?))
        })
    }

    /// Starts an instance.
    pub fn start(&self, instance: &str) -> RunningInstance {
        self.start_with(instance, long(), || {})
    }

    /// Starts an instance whose file has these settings. `before` is called on its compiling thread before each
    /// compilation.
    pub fn start_with(
        &self,
        instance: &str,
        settings: Value,
        before: impl Fn() + Send + Sync + 'static,
    ) -> RunningInstance {
        let mut config = self.config.clone();
        config.instance = instance.to_owned();
        let log = self.log(instance);
        let wiring = self.compile(|| {})(&component(), &settings.to_string()).expect("rules that fit");
        let script = Script::default();
        let parts = InstanceParts {
            reader: ControlReader::begin(log.clone(), self.layout.clone()).expect("a control topic"),
            layout: self.layout.clone(),
            compile: self.compile(before),
            first: Some(ConfiguredRules::new(component(), &settings, wiring)),
            log,
            schemas: None,
            stores: None,
            services: Box::new(move || script.services()),
            metrics: Arc::new(Metrics::of(&config)),
            config: Arc::new(config),
        };
        RunningInstance::start(parts).expect("it starts")
    }

    /// A client that deploys without an instance.
    pub fn client(&self, name: &str) -> DeployClient {
        DeployClient {
            log: self.log(name),
            layout: self.layout.clone(),
            compile: self.compile(|| {}),
            pipeline: self.config.name.clone(),
            name: name.to_owned(),
            limit: self.config.rules.deploy_limit,
        }
    }

    /// Adds money in every partition at this time, and its double later. Each has a new user, so that nothing is late.
    pub fn put(&mut self, at: Millis) {
        for partition in Partition::all(PARTITIONS) {
            let user = user(partition);
            for time in [at, at + DOUBLE_AFTER] {
                let event: pelton_tests::stage::Event = money(&user, &format!("{partition}-{at}"), time).into();
                self.raw(event.stream, &user, partition, &event.bytes(Format::Json));
            }
        }
        self.times.push(at);
    }

    /// Makes everything before this time final.
    pub fn flow_to(&self, at: Millis) {
        self.flow(&[Partition(0), Partition(1), Partition(2), Partition(3)], at);
    }

    /// The same, only for these tasks.
    pub fn flow(&self, tasks: &[Partition], at: Millis) {
        for &partition in tasks {
            let user = user(partition);
            for stream in Stream::ALL {
                let event = nothing(stream, &user, at + 20 * SECOND);
                self.raw(stream, &user, partition, &event.bytes(Format::Json));
            }
        }
    }

    fn raw(&self, stream: Stream, user: &str, partition: Partition, bytes: &[u8]) {
        let record = NewRecord {
            key: Some(user.as_bytes()),
            value: Some(bytes),
            timestamp: START,
            headers: &[],
        };
        let appended = self.cluster.append(stream.topic(), partition, record);
        appended.expect("a record fits");
    }

    /// How often each money event came out.
    fn outputs(&self) -> BTreeMap<String, usize> {
        let mut seen = BTreeMap::new();
        for partition in Partition::all(PARTITIONS) {
            let topic = &self.config.outputs[0].topic;
            for record in self
                .cluster
                .read_all(topic, partition, Isolation::Committed)
                .expect("the output")
            {
                let value = record.value.expect("an output has a value");
                let enriched = read_enriched(Format::Json, &value).expect("an enriched event");
                *seen.entry(enriched.money.id).or_default() += 1;
            }
        }
        seen
    }

    /// Waits until the outputs are exactly those that the versions require. `is_short` says which settings apply at a
    /// time since the beginning.
    pub fn check(&self, is_short: impl Fn(Millis) -> bool) {
        let mut expected = BTreeMap::new();
        for at in &self.times {
            for partition in Partition::all(PARTITIONS) {
                expected.insert(format!("{partition}-{at}"), if is_short(*at) { 2 } else { 1 });
            }
        }
        let count: usize = expected.values().sum();
        let deadline = Instant::now() + PATIENCE;
        while self.outputs().values().sum::<usize>() < count && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(self.outputs(), expected);
    }

    /// Waits until everything that is final has come out.
    pub fn through(&self) {
        let count = self.times.len() * PARTITIONS as usize;
        eventually("outputs", || self.outputs().len() == count);
    }
}
