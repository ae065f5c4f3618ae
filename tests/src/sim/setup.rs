//! Creates a world: its topics, rules, and places for instances.

use super::beginnings::Beginnings;
use super::budgets::Budgets;
use super::dice::Dice;
use super::mortal::Fuse;
use super::patience::Patience;
use super::plan::Plan;
use super::process::Process;
use super::report::Report;
use super::traffic::START;
use super::versions::Bench;
use super::world::World;
use crate::auditor::{Format, Millis};
use pelton::binding::Layout;
use pelton::config::{self, Config};
use pelton::log::embedded::{Clock, Embedded, Isolation, NewRecord};
use pelton::record::Partition;
use pelton::registry::Schemas;
use pelton::registry::folder::Folder;
use pelton::store::memory::Disk;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

impl World {
    /// A world with topics and rules, but no instance yet.
    pub fn new(plan: Plan) -> World {
        World::at(plan, START)
    }

    /// Like [`new`](World::new), but the wall clock starts at this time.
    fn at(plan: Plan, wall: Millis) -> World {
        let mut dice = Dice::new(plan.seed ^ 0x5eed);
        let config = config(&plan);
        let clock = Clock::manual(wall);
        let cluster = Embedded::new("sim", clock.clone());
        let create = |name: &str, partitions, settings: &[(&str, &str)]| {
            cluster.create_topic(name, partitions, settings).expect("a new topic")
        };
        for (rank, input) in config.inputs.iter().enumerate() {
            let kind = if plan.append_time[rank] {
                "LogAppendTime"
            } else {
                "CreateTime"
            };
            create(&input.topic, plan.partitions, &[("message.timestamp.type", kind)]);
        }
        create(&config.outputs[0].topic, plan.output_partitions, &[]);
        for owned in config.owned_topics(plan.partitions) {
            let settings: Vec<_> = owned
                .required
                .iter()
                .map(|(key, value)| (*key, value.as_str()))
                .collect();
            create(&owned.name, owned.partitions, &settings);
        }
        let schemas: Option<Arc<dyn Schemas>> = config.schemas.as_ref().map(|_| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/schemas");
            Arc::new(Folder::open(&folder).expect("the examples' schemas")) as _
        });
        let bench = Bench::new(&config, schemas.clone(), plan.output_partitions);
        let layout = Arc::new(Layout::new(&config, plan.partitions));
        let processes = plan.instances.iter().enumerate().map(|(number, workers)| Process {
            name: number.to_string(),
            workers: *workers,
            workers_ever: *workers,
            disk: plan.disk.then(Disk::new),
            file: plan.files[number % plan.files.len()],
            compiles: plan.compiles[number % plan.compiles.len()],
            carries: plan.carries[number % plan.carries.len()],
            supervises: plan.supervises,
            cuts: plan.cuts,
            bench: bench.another(),
            fuse: Fuse::new(&cluster, &number.to_string()),
            life: None,
            frozen_until: Duration::ZERO,
            stuck_until: [Duration::ZERO; 2],
            hung: BTreeMap::new(),
            patience: Patience::default(),
            ends: vec![],
        });
        let processes: Vec<_> = processes.collect();
        for process in &processes {
            process.fuse.silence(dice.fork(), plan.chaos.silence);
        }
        let outside = Arc::new(cluster.instance(layout.topics.clone(), &config.name, "outside"));
        let world = World {
            traffic: plan.traffic.iter().cloned().collect(),
            acts: plan.acts.iter().cloned().collect(),
            authors: vec![],
            acted: 0,
            plan,
            cluster,
            layout,
            bench,
            config,
            report: Report::default(),
            dice: dice.fork(),
            clock,
            schemas,
            processes,
            outside,
            beginnings: Beginnings::default(),
            budgets: Budgets::default(),
            trace: std::env::var_os("PELTON_TRACE").is_some(),
        };
        world.set_hooks(dice);
        world
    }

    /// A later world with only the inputs, the journal and the control topic of another one. Its tasks follow that
    /// journal.
    pub fn replay(of: &World, mut plan: Plan) -> World {
        plan.traffic.iter_mut().for_each(|arrival| arrival.at = 0);
        plan.acts.clear();
        let world = World::at(plan, of.clock.wall());
        let journals = Partition::all(world.plan.partitions).map(|partition| (world.layout.journal, partition));
        for (topic, partition) in journals.chain([(world.layout.control, Partition(0))]) {
            let name = &world.layout.topics[usize::from(topic)];
            let entries = of
                .cluster
                .read_all(name, partition, Isolation::Committed)
                .expect("a topic of the run");
            for entry in entries {
                let record = NewRecord {
                    key: entry.key.as_deref(),
                    value: entry.value.as_deref(),
                    ..NewRecord::default()
                };
                let appended = world.cluster.append(name, partition, record);
                appended.expect("a topic of the run");
            }
        }
        world
    }
}

fn config(plan: &Plan) -> Config {
    let example = match plan.format {
        Format::Avro => "money-avro/folder.toml",
        Format::Json => "money-json/pelton.toml",
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(example);
    let mut config = Config::load(&path, &[]).unwrap_or_else(|findings| panic!("{findings:?}"));
    for (rank, input) in config.inputs.iter_mut().enumerate() {
        input.out_of_orderness = plan.out_of_orderness[rank];
        input.max_ahead = plan.max_ahead;
        input.idle_after = plan.idle_after;
        if plan.latest[rank] {
            input.start = config::StartAt::Latest;
        }
    }
    config.rules.batch = plan.batch;
    config.rules.deploy_limit = plan.deploy_limit;
    config.rules.budget = config::Budget {
        faults: plan.budget.0,
        window: plan.budget.1,
        // A machine that is overloaded must not decide anything.
        time: Duration::ZERO,
    };
    config.state.flush_bytes = plan.flush_bytes;
    config.epoch = config::EpochConfig {
        interval: plan.epoch,
        bytes: plan.epoch_bytes,
        buffer_bytes: plan.buffer_bytes,
        ..config.epoch
    };
    config
}
