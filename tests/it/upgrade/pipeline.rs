//! The pipeline of the fixture as a process runs it, with all its threads, on a log in memory.
//!
//! Rule: only the log and the session service are replaced. Its file and its rules are those of the fixture.

use super::topics;
use crate::deploys::fleet::eventually;
use pelton::binding::{Layout, Wiring};
use pelton::config::Config;
use pelton::deploy::agent::First;
use pelton::deploy::client::DeployClient;
use pelton::deploy::compile::{Compile, limits};
use pelton::deploy::reader::ControlReader;
use pelton::instance::{Parts, Running};
use pelton::log::embedded::{Clock, Embedded, Isolation, Owned, Record};
use pelton::log::{Log, Membership, Outcome, Transaction};
use pelton::metrics::Metrics;
use pelton::record::{Offset, Partition, TopicIx, murmur2};
use pelton::testkit::Script;
use pelton_tests::stage::{Event, Format, Millis, SECOND, START, Stream, compiler, nothing};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The number of partitions of every topic except the control topic.
pub const PARTITIONS: i32 = 2;

/// Id of the cluster.
const CLUSTER: &str = "upgrade";

/// `out_of_orderness` in the fixture's file.
const DISORDER: Millis = 20 * SECOND;

/// The folder of the fixture. `PELTON_FIXTURE` sets another one.
pub fn fixture() -> PathBuf {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/0.1");
    std::env::var_os("PELTON_FIXTURE").map_or(ours, PathBuf::from)
}

/// The rules of the fixture. They are a file, because other compilers make other bytes of the same source.
pub fn component() -> Vec<u8> {
    let path = fixture().join("rules.wasm");
    std::fs::read(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// The file of the pipeline.
pub fn config() -> Config {
    Config::load(&fixture().join("pelton.toml"), &[]).unwrap_or_else(|findings| panic!("{findings:?}"))
}

/// The log and the session service of the pipeline.
pub struct Pipeline {
    pub cluster: Embedded,
    pub config: Config,
    pub layout: Arc<Layout>,
    /// The answers of the session service.
    pub script: Script,
}

/// A running instance.
pub struct Process {
    pub running: Running,
    pub name: String,
}

/// A user of a partition, by its number.
pub fn user(partition: Partition, number: usize) -> String {
    let users = (0..).map(|number| format!("user-{number}"));
    let mut its = users.filter(|user| murmur2::partition(user.as_bytes(), PARTITIONS) == partition);
    its.nth(number).expect("murmur2 leaves no partition out")
}

impl Pipeline {
    /// A pipeline with empty topics.
    pub fn new() -> Pipeline {
        let config = config();
        let cluster = Embedded::new(CLUSTER, Clock::real());
        let outputs = config.outputs.iter().map(|output| &output.topic);
        for topic in config.inputs.iter().map(|input| &input.topic).chain(outputs) {
            cluster.create_topic(topic, PARTITIONS, &[]).expect("a new topic");
        }
        for owned in config.owned_topics(PARTITIONS) {
            cluster
                .create_topic(&owned.name, owned.partitions, &[])
                .expect("a new topic");
        }
        Pipeline {
            layout: Arc::new(Layout::new(&config, PARTITIONS)),
            script: Script::default(),
            cluster,
            config,
        }
    }

    /// A pipeline with the topics and the group's offsets from a file of the fixture.
    pub fn load(name: &str) -> Pipeline {
        let pipeline = Pipeline::new();
        let offsets = topics::load(&pipeline, &super::text(name), &component());
        pipeline.commit_offsets(offsets);
        pipeline
    }

    /// Sets the group's offsets, as a member of the group.
    fn commit_offsets(&self, offsets: BTreeMap<(String, Partition), Offset>) {
        let log = self.log("loader");
        let mut group = log.join().expect("a group without members");
        eventually("the loader has all partitions", || {
            matches!(group.poll(Duration::ZERO), Ok(Some(Membership::Assigned(_))))
        });
        let index = |topic: &String| self.layout.topics.iter().position(|known| known == topic);
        let place =
            |((topic, partition), offset): (_, _)| (TopicIx::at(index(&topic).expect("an input")), partition, offset);
        let mut producer = log.producer("loader").expect("an id of its own");
        producer.submit(Transaction {
            offsets: offsets.into_iter().map(place).collect(),
            assignment: log.assignment(),
            ..Transaction::default()
        });
        eventually("the offsets are committed", || match producer.outcome(Duration::ZERO) {
            Some((_, Outcome::Committed(_))) => true,
            Some((_, other)) => panic!("{other:?}"),
            None => false,
        });
        group.leave();
    }

    fn log(&self, instance: &str) -> Arc<dyn Log> {
        let topics = self.layout.topics.clone();
        Arc::new(self.cluster.instance(topics, &self.config.name, instance))
    }

    /// Compiles like an instance does. `before` is called before each compilation.
    fn compile(&self, before: impl Fn() + Send + Sync + 'static) -> Compile {
        let config = self.config.clone();
        Arc::new(move |component, settings| {
            before();
            let settings: Value = serde_json::from_str(settings).expect("settings are JSON");
            let rules = compiler().compile(component, &settings, limits(&config))?;
            Ok(Arc::new(Wiring::new(rules, &config, None, &[PARTITIONS])?))
        })
    }

    /// Starts an instance.
    pub fn start(&self, instance: &str) -> Process {
        self.start_with(instance, || {})
    }

    /// Like [`start`](Pipeline::start). `before` is called on its compiling thread before each compilation.
    pub fn start_with(&self, instance: &str, before: impl Fn() + Send + Sync + 'static) -> Process {
        let mut config = self.config.clone();
        config.instance = instance.to_owned();
        let log = self.log(instance);
        let settings = config.rules.settings.clone();
        let wiring = self.compile(|| {})(&component(), &settings.to_string()).expect("rules that fit");
        let script = self.script.clone();
        let parts = Parts {
            reader: ControlReader::begin(log.clone(), self.layout.clone()).expect("a control topic"),
            layout: self.layout.clone(),
            compile: self.compile(before),
            first: Some(First::new(component(), &settings, wiring)),
            log,
            schemas: None,
            stores: None,
            services: Box::new(move || script.services()),
            metrics: Arc::new(Metrics::of(&config)),
            config: Arc::new(config),
        };
        Process {
            running: Running::start(parts).expect("it starts"),
            name: instance.to_owned(),
        }
    }

    /// The start and the end of a task's changelog.
    pub fn changelog(&self, task: Partition) -> (Offset, Offset) {
        let offsets = self.cluster.offsets(&self.config.changelog_topic(), task);
        let (start, _, end) = offsets.expect("a changelog");
        (start, end)
    }

    /// Kills the process, as SIGKILL does.
    pub fn kill(&self, process: Process) {
        self.cluster.kill(&process.name);
        drop(process);
    }

    /// A client that deploys without an instance.
    pub fn author(&self, name: &str) -> DeployClient {
        DeployClient {
            log: self.log(name),
            layout: self.layout.clone(),
            compile: self.compile(|| {}),
            pipeline: self.config.name.clone(),
            name: name.to_owned(),
            limit: self.config.rules.deploy_limit,
        }
    }

    /// Appends an event to its topic.
    pub fn put(&self, event: impl Into<Event>) {
        let event = event.into();
        let partition = murmur2::partition(event.user.as_bytes(), PARTITIONS);
        let bytes = event.bytes(Format::Json);
        self.raw(event.stream, partition, Some(event.user.as_bytes()), Some(&bytes));
    }

    /// Appends any record to an input topic.
    pub fn raw(&self, stream: Stream, partition: Partition, key: Option<&[u8]>, value: Option<&[u8]>) {
        let record = Record {
            key,
            value,
            timestamp: START,
            headers: &[],
        };
        let appended = self.cluster.append(stream.topic(), partition, record);
        appended.expect("a record fits");
    }

    /// Makes everything before this time final in these tasks.
    pub fn flow(&self, tasks: &[Partition], at: Millis) {
        for partition in tasks {
            for stream in Stream::ALL {
                self.put(nothing(stream, &user(*partition, 9), at + DISORDER));
            }
        }
    }

    /// Makes everything before this time final.
    pub fn flow_to(&self, at: Millis) {
        self.flow(&[0, 1], at);
    }

    /// The committed records of a topic.
    pub fn committed(&self, topic: &str, partition: Partition) -> Vec<Owned> {
        let records = self.cluster.read_all(topic, partition, Isolation::Committed);
        records.expect("a topic of the pipeline")
    }
}

impl Process {
    /// Stops like SIGTERM. The open epoch is committed.
    pub fn stop(self) {
        self.running.stop().expect("it stops");
    }
}
