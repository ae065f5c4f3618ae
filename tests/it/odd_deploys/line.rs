//! A pipeline of the odd guest: one input topic, one output topic, all threads of an instance, and the log in memory.
//!
//! Rule: the outputs are compared with a model that knows only the topic and the dead letters. In the model, each event
//! sends what the previous event of its key has stored, and stores its own value. An event in the dead letters does
//! neither. So this proves that a deploy has harmed no other record.

use crate::deploys::fleet::eventually;
use pelton::binding::{Layout, Wiring};
use pelton::config::{Budget, Config, Format as Written, InputConfig, TimeSource};
use pelton::deploy::agent::ConfiguredRules;
use pelton::deploy::api::{DeployRequest, Deployed};
use pelton::deploy::compile::{Compile, limits};
use pelton::deploy::reader::ControlReader;
use pelton::instance::{InstanceParts, RunningInstance};
use pelton::log::Log;
use pelton::log::embedded::{Clock, Embedded, Isolation, NewRecord, Owned};
use pelton::metrics::Metrics;
use pelton::record::Partition;
use pelton::registry::{NoSchema, Schemas};
use pelton::rules::Version;
use pelton::testkit::Script;
use pelton_tests::stage::{START, bytes, compiler};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The number of partitions of every topic.
pub const PARTITIONS: i32 = 2;

/// A registry in which schema 9 is used for everything.
struct Bytes;

impl Schemas for Bytes {
    fn by_id(&self, _: u32) -> Result<Arc<str>, NoSchema> {
        Ok(r#""bytes""#.into())
    }

    fn id_for(&self, _: &str, _: &str) -> Result<u32, NoSchema> {
        Ok(9)
    }

    fn latest(&self, _: &str) -> Result<(u32, Arc<str>), NoSchema> {
        Ok((9, r#""bytes""#.into()))
    }
}

/// The component of the odd guest.
pub fn component() -> Vec<u8> {
    std::fs::read(env!("GUEST_ODD_WASM")).expect("tests/build.rs has made it")
}

/// A running pipeline of the odd guest.
pub struct Line {
    cluster: Embedded,
    config: Config,
    metrics: Arc<Metrics>,
    running: Option<RunningInstance>,
    /// The time of the last event, in milliseconds since the beginning.
    pub now: i64,
    /// The number of keys of each partition.
    pub keys: i64,
    /// The number of events so far.
    events: i64,
}

impl Line {
    /// An instance of the odd guest that does this, with a small budget of faults and unlimited time.
    pub fn of(settings: Value) -> Line {
        Line::with(settings, Duration::from_secs(60), Duration::ZERO)
    }

    /// The same, with a short time limit for a call, and a budget of time.
    pub fn hasty(settings: Value) -> Line {
        Line::with(settings, Duration::from_millis(50), Duration::from_millis(800))
    }

    fn with(settings: Value, time_limit: Duration, time_budget: Duration) -> Line {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/money-avro/pelton.toml");
        let sets = ["workers=1", "http=off", "instance=a", "epoch.interval=10ms"].map(String::from);
        let mut config = Config::load(&file, &sets).unwrap_or_else(|findings| panic!("{findings:?}"));
        config.inputs = vec![InputConfig {
            name: "in".to_owned(),
            topic: "in".to_owned(),
            format: Written::Avro,
            time: TimeSource::Timestamp,
            out_of_orderness: 0,
            max_ahead: i64::MAX / 2,
            idle_after: Duration::from_secs(3600),
            ..config.inputs[0].clone()
        }];
        config.outputs[0].name = "out".to_owned();
        config.lookups[0].name = "service".to_owned();
        config.lookups[0].url = "http://localhost/{id}".to_owned();
        config.rules.settings = settings;
        config.rules.time_limit = time_limit;
        config.rules.batch = 64;
        config.rules.budget = Budget {
            faults: 5,
            time: time_budget,
            window: 1000,
        };
        let cluster = Embedded::new("line", Clock::real());
        for topic in ["in", &config.outputs[0].topic] {
            cluster.create_topic(topic, PARTITIONS, &[]).expect("a new topic");
        }
        for owned in config.owned_topics(PARTITIONS) {
            let created = cluster.create_topic(&owned.name, owned.partitions, &[]);
            created.expect("a new topic");
        }
        let mut line = Line {
            cluster,
            metrics: Arc::new(Metrics::of(&config)),
            config,
            running: None,
            now: 0,
            keys: 3,
            events: 0,
        };
        line.start();
        line
    }

    fn compile(&self) -> Compile {
        let config = self.config.clone();
        Arc::new(move |component, settings| {
            let settings: Value = serde_json::from_str(settings).expect("settings are JSON");
            let rules = compiler().compile(component, &settings, limits(&config))?;
            Ok(Arc::new(Wiring::new(rules, &config, Some(&Bytes), &[PARTITIONS])?))
        })
    }

    fn start(&mut self) {
        let layout = Arc::new(Layout::new(&self.config, PARTITIONS));
        let name = (&self.config.name, &self.config.instance);
        let log: Arc<dyn Log> = Arc::new(self.cluster.instance(layout.topics.clone(), name.0, name.1));
        let settings = self.config.rules.settings.clone();
        let compile = self.compile();
        let wiring = compile(&component(), &settings.to_string()).expect("rules that fit");
        let script = Script::default();
        let parts = InstanceParts {
            reader: ControlReader::begin(log.clone(), layout.clone()).expect("a control topic"),
            layout,
            compile,
            first: Some(ConfiguredRules::new(component(), &settings, wiring)),
            log,
            schemas: Some(Arc::new(Bytes)),
            stores: None,
            services: Box::new(move || script.services()),
            metrics: self.metrics.clone(),
            config: Arc::new(self.config.clone()),
        };
        let running = RunningInstance::start(parts).expect("it starts");
        eventually("tasks", || running.statuses().len() == PARTITIONS as usize);
        self.running = Some(running);
    }

    /// Stops it, and starts it again.
    pub fn restart(&mut self) {
        let running = self.running.take().expect("it runs");
        running.stop().expect("it stops");
        self.start();
    }

    /// The instance.
    pub fn running(&self) -> &RunningInstance {
        self.running.as_ref().expect("it runs")
    }

    /// The text of its metrics.
    pub fn metrics(&self) -> String {
        self.metrics.text()
    }

    /// The answer of `/health`.
    pub fn health(&self) -> pelton::http::Health {
        let config = Arc::new(self.config.clone());
        let surface = pelton::instance::surface(&config, self.running(), self.metrics.clone(), PARTITIONS as usize);
        (surface.health)()
    }

    /// The version of the newest deploy.
    pub fn version(&self) -> String {
        let version = self.running().view().version();
        version.map_or_else(String::new, |version| Version(version).to_string())
    }

    /// Deploys a version.
    pub fn deploy(&self, request: DeployRequest) -> Result<Deployed, String> {
        let deployed = self.running().client().deploy(request, &mut |_, _| {});
        deployed.map_err(|why| why.to_string())
    }

    /// Deploys other settings of the running component, from where the tasks are.
    pub fn set(&self, settings: Value) -> Result<Deployed, String> {
        let settings = Some(settings);
        self.deploy(DeployRequest {
            settings,
            ..DeployRequest::default()
        })
    }

    /// Changes how large the outputs may be.
    pub fn limit_outputs(&self, max_message_bytes: usize) {
        let topic = &self.config.outputs[0].topic;
        self.cluster.limit_records(topic, max_message_bytes).expect("a topic");
    }

    /// Adds an event in this partition, a second after the last one, so that it is after every "now" before it. Its
    /// value ends like this.
    pub fn put(&mut self, partition: Partition, ending: &str) {
        self.now += 1000;
        self.events += 1;
        let key = format!("{partition}-{}", self.events / i64::from(PARTITIONS) % self.keys);
        let mut value = vec![0, 0, 0, 0, 9];
        bytes(&mut value, format!("{} {ending}", self.events).as_bytes());
        let record = NewRecord {
            key: Some(key.as_bytes()),
            value: Some(&value),
            timestamp: START + self.now,
            headers: &[],
        };
        let appended = self.cluster.append("in", partition, record);
        appended.expect("a record fits");
    }

    /// Adds this many events in each partition.
    pub fn flow(&mut self, events: usize, ending: &str) {
        for _ in 0..events {
            Partition::all(PARTITIONS).for_each(|partition| self.put(partition, ending));
        }
    }

    /// Waits until everything is processed, except the last event of each partition, which is not final.
    pub fn through(&self) {
        let ends: Vec<i64> = Partition::all(PARTITIONS)
            .map(|partition| self.read("in", partition).len() as i64 - 1)
            .collect();
        eventually("all is processed", || {
            let statuses = self.running().statuses();
            let at = |partition: usize| statuses.iter().find(|status| status.partition.index() == partition);
            (0..ends.len())
                .all(|partition| at(partition).is_some_and(|status| status.positions[0].0 >= ends[partition]))
        });
    }

    fn read(&self, topic: &str, partition: Partition) -> Vec<Owned> {
        self.cluster
            .read_all(topic, partition, Isolation::Committed)
            .expect("a topic")
    }

    /// The datums that were sent, by key, in their order.
    pub fn sent(&self) -> BTreeMap<Vec<u8>, Vec<Vec<u8>>> {
        let mut sent: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for partition in Partition::all(PARTITIONS) {
            for record in self.read(&self.config.outputs[0].topic, partition) {
                let value = record.value.expect("an output has a value")[5..].to_vec();
                sent.entry(record.key.expect("an output has a key"))
                    .or_default()
                    .push(value);
            }
        }
        sent
    }

    /// The dead letters: their origins and reasons.
    pub fn dead_letters(&self) -> BTreeMap<(Partition, i64), String> {
        let topic = self.config.dead_letters_topic();
        let mut letters = BTreeMap::new();
        for partition in Partition::all(PARTITIONS) {
            for record in self.read(&topic, partition) {
                let header = |name: &str| {
                    let found = record.headers.iter().find(|(known, _)| known == name);
                    found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
                };
                // A dead letter that was not a record has no offset.
                let offset = header("pelton.offset")
                    .map_or(-1 - letters.len() as i64, |offset| offset.parse().expect("a number"));
                letters.insert((partition, offset), header("pelton.reason").expect("a reason"));
            }
        }
        letters
    }

    /// Waits until everything is processed, and compares the outputs with the model.
    pub fn check(&self, what: &str) {
        self.through();
        let letters: BTreeSet<_> = self.dead_letters().into_keys().collect();
        let mut expected: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
        let mut held: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for partition in Partition::all(PARTITIONS) {
            let mut records = self.read("in", partition);
            records.pop();
            for record in records
                .into_iter()
                .filter(|record| !letters.contains(&(partition, record.offset.0)))
            {
                let (key, value) = (record.key.expect("a key"), record.value.expect("a value")[5..].to_vec());
                if let Some(before) = held.insert(key.clone(), value) {
                    expected.entry(key).or_default().push(before);
                }
            }
        }
        assert_eq!(self.sent(), expected, "{what}");
    }

    /// The ends of the changelogs.
    pub fn changelogs(&self) -> Vec<i64> {
        let end = |partition| {
            self.cluster
                .offsets(&self.changelog(), partition)
                .expect("a topic")
                .stable
                .0
        };
        Partition::all(PARTITIONS).map(end).collect()
    }

    /// The number of bytes in the changelogs after these ends.
    pub fn written_behind(&self, ends: &[i64]) -> usize {
        let of = |(partition, end): (Partition, &i64)| {
            let records = self.read(&self.changelog(), partition).into_iter();
            let behind = records.filter(|record| record.offset.0 >= *end);
            behind
                .map(|record| record.value.map_or(0, |value| value.len()))
                .sum::<usize>()
        };
        Partition::all(PARTITIONS).zip(ends).map(of).sum()
    }

    fn changelog(&self) -> String {
        format!("{}-changelog", self.config.name)
    }
}

/// The settings that make the odd guest do this.
pub fn doing(what: &str) -> Value {
    json!({ "do": what })
}
