//! The pipeline of the fixture as a process runs it, with all its threads, on a log in memory.
//!
//! Rule: only the log and the session service are replaced. Its file and its rules are those of the fixture.

#[cfg(feature = "rocks")]
use super::disk::Disk;
#[cfg(feature = "rocks")]
use super::fixture::OURS;
use super::fixture::{CLUSTER, PARTITIONS, component, config, text};
use super::topics;
use crate::deploys::fleet::eventually;
use pelton::binding::{Layout, Wiring};
use pelton::config::Config;
use pelton::deploy::agent::ConfiguredRules;
use pelton::deploy::client::DeployClient;
use pelton::deploy::compile::{Compile, limits};
use pelton::deploy::reader::ControlReader;
use pelton::instance::{InstanceParts, RunningInstance, Stores};
use pelton::log::embedded::{Clock, Embedded, Isolation, NewRecord, Owned};
use pelton::log::{InputOffset, Log, Membership, Outcome, Transaction};
use pelton::metrics::Metrics;
use pelton::record::{Offset, Partition, TopicIx, murmur2};
use pelton::testkit::Script;
use pelton_tests::stage::{Event, Format, Millis, SECOND, START, Stream, compiler, nothing};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// `out_of_orderness` in the fixture's file.
const DISORDER: Millis = 20 * SECOND;

/// The log and the session service of the pipeline.
pub struct Pipeline {
    pub cluster: Embedded,
    pub config: Config,
    pub layout: Arc<Layout>,
    /// The answers of the session service.
    pub script: Script,
    /// The data directories of its instances. None: they have no local stores.
    #[cfg(feature = "rocks")]
    pub disk: Option<Disk>,
    /// What was deleted from the changelogs before this offset because a local store stands for it, by task.
    cut: BTreeMap<Partition, (Offset, Vec<Owned>)>,
}

/// A running instance.
pub struct Process {
    pub running: RunningInstance,
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
            #[cfg(feature = "rocks")]
            disk: None,
            cut: BTreeMap::new(),
            cluster,
            config,
        }
    }

    /// A pipeline with the topics and the group's offsets from a file of the fixture.
    pub fn load(name: &str) -> Pipeline {
        let pipeline = Pipeline::new();
        let offsets = topics::load(&pipeline, &text(name), &component());
        pipeline.commit_offsets(offsets);
        pipeline
    }

    /// The fixture's topics and data directory, `NAME.topics` and `NAME.state`. What the store stands for is deleted
    /// from the changelogs, so that a store that is wiped or not used is missed.
    #[cfg(feature = "rocks")]
    pub fn load_stored(name: &str) -> Pipeline {
        let mut pipeline = Pipeline::load(&format!("{name}.topics"));
        let state = format!("{name}.state");
        for task in Partition::all(PARTITIONS) {
            let stamp = Disk::of(&state)
                .stored(OURS, task)
                .stamp
                .expect("a stamp of each task")
                .offset;
            let (start, end) = pipeline.changelog(task);
            assert!(start < stamp && stamp < end, "task {task}: {start} < {stamp} < {end}");
            let changelog = pipeline.config.changelog_topic();
            let mut gone = pipeline.committed(&changelog, task);
            gone.retain(|record| record.offset < stamp);
            pipeline.cut.insert(task, (stamp, gone));
            let cut = pipeline.cluster.truncate(&changelog, task, stamp);
            cut.expect("a topic that may be cut");
        }
        pipeline.disk = Some(Disk::of(&state));
        pipeline
    }

    /// The local store of an instance that starts.
    #[cfg(feature = "rocks")]
    fn stores(&self, instance: &str) -> Option<Stores> {
        self.disk.as_ref().map(|disk| disk.start(instance))
    }

    /// This build has no local store.
    #[cfg(not(feature = "rocks"))]
    fn stores(&self, _instance: &str) -> Option<Stores> {
        None
    }

    /// Sets the group's offsets, as a member of the group.
    fn commit_offsets(&self, offsets: BTreeMap<(String, Partition), Offset>) {
        let log = self.log("loader");
        let mut group = log.join().expect("a group without members");
        eventually("the loader has all partitions", || {
            matches!(group.poll(Duration::ZERO), Ok(Some(Membership::Assigned(_))))
        });
        let index = |topic: &String| self.layout.topics.iter().position(|known| known == topic);
        let read = |((topic, partition), offset): (_, _)| InputOffset {
            topic: TopicIx::at(index(&topic).expect("an input")),
            partition,
            offset,
        };
        let mut producer = log.producer("loader").expect("an id of its own");
        producer.submit(Transaction {
            offsets: offsets.into_iter().map(read).collect(),
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
        let parts = InstanceParts {
            reader: ControlReader::begin(log.clone(), self.layout.clone()).expect("a control topic"),
            layout: self.layout.clone(),
            compile: self.compile(before),
            first: Some(ConfiguredRules::new(component(), &settings, wiring)),
            log,
            schemas: None,
            stores: self.stores(instance),
            services: Box::new(move || script.services()),
            metrics: Arc::new(Metrics::of(&config)),
            config: Arc::new(config),
        };
        Process {
            running: RunningInstance::start(parts).expect("it starts"),
            name: instance.to_owned(),
        }
    }

    /// The start and the end of a task's changelog.
    pub fn changelog(&self, task: Partition) -> (Offset, Offset) {
        let offsets = self.cluster.offsets(&self.config.changelog_topic(), task);
        let offsets = offsets.expect("a changelog");
        (offsets.start, offsets.end)
    }

    /// Kills the process, as SIGKILL does.
    #[cfg(feature = "rocks")]
    pub fn kill(&self, process: Process) {
        let name = process.name.clone();
        self.cluster.kill(&name);
        drop(process);
        if let Some(disk) = &self.disk {
            disk.kill(&name);
        }
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
        let record = NewRecord {
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
        self.flow(&[Partition(0), Partition(1)], at);
    }

    /// The committed records of a task's changelog, with those that only the local store stands for.
    pub fn changes(&self, task: Partition) -> Vec<Owned> {
        let (start, _) = self.changelog(task);
        // Pelton itself cuts the changelog only once a round of the sweep has written all of the state again. Then what
        // is left is enough, and what was cut before would bring back entries whose deletes are gone.
        let cut = self.cut.get(&task).filter(|(until, _)| *until == start);
        cut.into_iter()
            .flat_map(|(_, records)| records.clone())
            .chain(self.committed(&self.config.changelog_topic(), task))
            .collect()
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
