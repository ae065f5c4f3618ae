//! The world of a run: the cluster, the clock, the instances, and who goes next.
//!
//! Rule: nothing in it happens but by a draw of the seed, so the same seed gives the same run.

use super::check;
use super::dice::Dice;
use super::evidence;
use super::instance::{Life, Parts};
use super::plan::{Chaos, Plan};
use super::rules;
use super::service::Desk;
use super::traffic::START;
use crate::auditor::{Format, Millis};
use pelton::config::{self, Config};
use pelton::error::Failure;
use pelton::log::Log;
use pelton::log::embedded::{Call, Clock, Embedded, Fate, Fetch, Record, Truth, What};
use pelton::registry::Schemas;
use pelton::registry::folder::Folder;
use pelton::store::memory::Disk;
use pelton::task::{Layout, Wiring};
use pelton::worker::Now;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What went wrong, for people.
pub type Wrong = String;

/// Steps of the rough part of a run, at most: then all is made good.
const ROUGH_STEPS: u64 = 40_000;

/// Rounds of the good part, at most; in each, everybody has a turn.
const GOOD_ROUNDS: u64 = 30_000;

/// So many rounds in which nobody wrote anything end a run, when nothing is left to do.
const QUIET_ROUNDS: u64 = 12;

/// See the module.
pub struct World {
    pub plan: Plan,
    pub cluster: Embedded,
    pub layout: Arc<Layout>,
    pub wiring: Arc<Wiring>,
    pub config: Config,
    pub report: Report,
    dice: Dice,
    clock: Clock,
    schemas: Option<Arc<dyn Schemas>>,
    processes: Vec<Process>,
    traffic: VecDeque<super::traffic::Arrival>,
    /// Whoever looks from outside.
    pub outside: Arc<dyn Log>,
    trace: bool,
}

/// What has happened in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Steps of the world.
    pub steps: u64,
    /// Input records.
    pub records: u64,
    /// Outputs.
    pub outputs: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Journal entries.
    pub journaled: u64,
    /// Processes killed, stopped, evicted, frozen.
    pub troubles: u64,
    /// Looks at committed state.
    pub looks: u64,
    /// Of everything in the output and the owned topics: two runs of a seed are equal.
    pub fingerprint: u64,
}

/// A place where an instance runs, again and again.
struct Process {
    name: String,
    workers: usize,
    workers_ever: usize,
    disk: Option<Disk>,
    life: Option<Life>,
    frozen_until: Duration,
}

impl World {
    /// Topics, rules, and no instance yet.
    pub fn new(plan: Plan) -> World {
        World::at(plan, START)
    }

    /// As [`new`](World::new), at this time of the wall clock.
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
        let wiring = Wiring::new(
            rules::rules(plan.ttls),
            &config,
            schemas.as_deref(),
            &[plan.output_partitions],
        );
        let wiring = Arc::new(wiring.unwrap_or_else(|misfits| panic!("{misfits:?}")));
        let layout = Arc::new(Layout::new(&config, plan.partitions));
        let processes = plan.instances.iter().enumerate().map(|(number, workers)| Process {
            name: number.to_string(),
            workers: *workers,
            workers_ever: *workers,
            disk: plan.disk.then(Disk::new),
            life: None,
            frozen_until: Duration::ZERO,
        });
        let processes = processes.collect();
        let outside = Arc::new(cluster.instance(layout.topics.clone(), &config.name, "outside"));
        let world = World {
            traffic: plan.traffic.iter().cloned().collect(),
            plan,
            cluster,
            layout,
            wiring,
            config,
            report: Report::default(),
            dice: dice.fork(),
            clock,
            schemas,
            processes,
            outside,
            trace: std::env::var_os("PELTON_TRACE").is_some(),
        };
        world.set_hooks(dice);
        world
    }

    /// A later world with the inputs and the journal of another one, and nothing else: its tasks follow that journal.
    pub fn replay(of: &World, mut plan: Plan) -> World {
        plan.traffic.iter_mut().for_each(|arrival| arrival.at = 0);
        let world = World::at(plan, of.clock.wall());
        let journal = &world.layout.topics[usize::from(world.layout.journal)];
        for partition in 0..world.plan.partitions {
            let entries = of
                .cluster
                .read_all(journal, partition, true)
                .expect("a topic of the run");
            for entry in entries {
                let appended = world
                    .cluster
                    .append(journal, partition, None, entry.value.as_deref(), 0, &[]);
                appended.expect("a topic of the run");
            }
        }
        world
    }

    /// From the first record until everything is through, with all checks.
    pub fn run(&mut self) -> Result<(), Wrong> {
        self.rough()?;
        self.make_good();
        self.good()?;
        check::end(self)
    }

    /// Everything may happen.
    pub fn rough(&mut self) -> Result<(), Wrong> {
        let mut idle = 0;
        for _ in 0..ROUGH_STEPS {
            if self.traffic.is_empty() && self.dice.chance(0.0005) {
                break;
            }
            self.report.steps += 1;
            self.append_due();
            self.trouble()?;
            idle = if self.step()? { 0 } else { idle + 1 };
            self.pass_time(idle);
        }
        while !self.traffic.is_empty() {
            self.clock.advance(Duration::from_millis(100));
            self.append_due();
        }
        Ok(())
    }

    /// From now on everything goes well.
    pub fn make_good(&mut self) {
        self.cluster.set_fates(None);
        self.cluster.set_limits(None);
        self.plan.chaos = Chaos::default();
        for process in &mut self.processes {
            process.frozen_until = Duration::ZERO;
            if let Some(disk) = &process.disk {
                disk.set_full(false);
            }
        }
    }

    /// Until nothing is left to do.
    pub fn good(&mut self) -> Result<(), Wrong> {
        let (mut quiet, mut written) = (0, 0);
        for _ in 0..GOOD_ROUNDS {
            self.report.steps += 1;
            while self.cluster.unsettled() > 0 {
                self.cluster.settle(0);
            }
            for number in 0..self.processes.len() {
                self.round(number)?;
            }
            let before = std::mem::replace(&mut written, evidence::written(self));
            quiet = if written == before { quiet + 1 } else { 0 };
            if quiet >= QUIET_ROUNDS && self.waits_for().is_empty() {
                return Ok(());
            }
            // Longer than any epoch, shorter than a session.
            let jump = if quiet > 3 { 2_000 } else { 211 };
            self.clock.advance(Duration::from_millis(jump));
        }
        Err(format!(
            "no end: after {GOOD_ROUNDS} rounds there still waits\n{}",
            self.waits_for().join("\n")
        ))
    }

    /// One turn for everybody of a process.
    fn round(&mut self, number: usize) -> Result<(), Wrong> {
        self.start(number)?;
        self.supervise(number)?;
        let now = self.now();
        let Some(life) = &mut self.processes[number].life else {
            return Ok(());
        };
        for index in (0..life.restores.len()).rev() {
            life.step_restore(index);
        }
        for index in 0..life.seats.len() {
            while life.seats[index].desk.answer(false) {}
            life.work(index, now).map_err(|why| ended(life, &why))?;
        }
        Ok(())
    }

    /// What has to be done still; nothing: the run is through.
    fn waits_for(&self) -> Vec<String> {
        let mut waits = vec![];
        let mut open = vec![0; self.plan.partitions as usize];
        for process in &self.processes {
            let Some(life) = &process.life else {
                waits.push(format!("instance {} is down", process.name));
                continue;
            };
            let mut through = life.is_settled();
            for seat in &life.seats {
                for status in seat.worker.status() {
                    open[status.partition as usize] += 1;
                    let moved = status.watermark != pelton::record::NEVER;
                    through &= !moved || status.waiting + status.timers + status.lookups == 0;
                }
            }
            if !through {
                waits.push(format!("instance {}: {}", process.name, life.describe()));
            }
        }
        for (partition, owners) in open.iter().enumerate().filter(|(_, owners)| **owners != 1) {
            waits.push(format!("task {partition} is open {owners} times"));
        }
        waits
    }

    fn now(&self) -> Now {
        Now {
            mono: self.clock.now(),
            wall: self.clock.wall(),
        }
    }

    fn append_due(&mut self) {
        let now = self.clock.now().as_millis() as i64;
        while let Some(arrival) = self.traffic.pop_front_if(|arrival| arrival.at <= now) {
            let record = Record {
                key: arrival.key.as_deref(),
                value: arrival.value.as_deref(),
                timestamp: START + arrival.at,
                headers: &[],
            };
            let topic = &self.config.inputs[arrival.rank].topic;
            if self.dice.chance(self.plan.chaos.aborted_inputs) {
                let writer = self.cluster.transaction("somebody", Duration::from_secs(1));
                let writer = writer.expect("an id of its own");
                writer.append(topic, arrival.partition, record).expect("just begun");
                writer.end(false).expect("just begun");
            }
            let appended = self.cluster.append_batch(topic, arrival.partition, [record]);
            appended.expect("the topic is there");
            self.report.records += 1;
        }
    }

    /// Somebody has a turn. True: something was done.
    fn step(&mut self) -> Result<bool, Wrong> {
        let number = self.dice.below(self.processes.len());
        let unsettled = self.cluster.unsettled();
        if unsettled > 0 && self.dice.chance(0.1) {
            self.cluster.settle(self.dice.below(unsettled));
            return Ok(true);
        }
        if self.processes[number].frozen_until > self.clock.now() {
            return Ok(false);
        }
        let Some(life) = &mut self.processes[number].life else {
            if self.dice.chance(0.05) {
                self.start(number)?;
            }
            return Ok(false);
        };
        match self.dice.below(10) {
            0 | 1 => {
                self.supervise(number)?;
                Ok(false)
            }
            2 | 3 if !life.restores.is_empty() => {
                let index = self.dice.below(life.restores.len());
                life.step_restore(index);
                Ok(true)
            }
            4 => {
                let seat = self.dice.below(life.seats.len());
                Ok(life.seats[seat].desk.answer(true))
            }
            _ => {
                let now = Now {
                    mono: self.clock.now(),
                    wall: self.clock.wall(),
                };
                let seat = self.dice.below(life.seats.len());
                let busy = life.work(seat, now).map_err(|why| ended(life, &why))?;
                let asked = life.seats[seat].desk.take_asked();
                // What is decided already may not be seen yet.
                if self.cluster.unsettled() == 0 {
                    evidence::are_committed(self, asked)?;
                }
                Ok(busy)
            }
        }
    }

    fn supervise(&mut self, number: usize) -> Result<(), Wrong> {
        let process = &mut self.processes[number];
        let Some(life) = &mut process.life else { return Ok(()) };
        if !life.supervise().map_err(|why| ended(life, &why))? {
            process.life = None;
            if self.trace {
                println!("{:?} instance {number} has left", self.clock.now());
            }
        }
        Ok(())
    }

    /// Starts a process, if it is down.
    fn start(&mut self, number: usize) -> Result<(), Wrong> {
        let process = &mut self.processes[number];
        if process.life.is_some() {
            return Ok(());
        }
        let mut config = self.config.clone();
        config.instance.clone_from(&process.name);
        config.workers = process.workers;
        let log = self
            .cluster
            .instance(self.layout.topics.clone(), &config.name, &process.name);
        let parts = Parts {
            layout: self.layout.clone(),
            wiring: self.wiring.clone(),
            log: Arc::new(log) as Arc<dyn Log>,
            schemas: self.schemas.clone(),
            disk: process.disk.clone(),
            desks: (0..config.workers)
                .map(|_| Desk::new(self.dice.fork(), self.plan.steady))
                .collect(),
            config,
        };
        if self.trace {
            println!("{:?} instance {number} starts", self.clock.now());
        }
        match Life::start(parts, process.workers_ever) {
            Ok(life) => process.life = Some(life),
            Err(Failure::Retry(_)) => {}
            Err(why) => return Err(format!("instance {number} can't start: {why}")),
        }
        Ok(())
    }

    /// Now and then something bad happens to a process.
    fn trouble(&mut self) -> Result<(), Wrong> {
        let chaos = self.plan.chaos;
        if self.dice.chance(chaos.looks) {
            let partition = self.dice.below(self.plan.partitions as usize) as i32;
            self.report.looks += u64::from(check::look(self, partition)?);
        }
        let number = self.dice.below(self.processes.len());
        let clock = self.clock.now();
        if self.dice.chance(chaos.full_disks)
            && let Some(disk) = &self.processes[number].disk
        {
            disk.set_full(self.dice.chance(0.5));
        }
        let mut what = "";
        if self.dice.chance(chaos.kills) {
            what = "is killed";
            self.kill(number);
        } else if self.dice.chance(chaos.stops) {
            let process = &mut self.processes[number];
            if let Some(life) = &mut process.life {
                what = "is told to stop";
                if !life.stop().map_err(|why| ended(life, &why))? {
                    process.life = None;
                }
            }
        } else if self.dice.chance(chaos.evictions) {
            what = "is evicted";
            self.cluster.evict(&self.processes[number].name);
        } else if self.dice.chance(chaos.freezes) {
            what = "freezes";
            let length = Duration::from_millis(self.dice.between(1..=15_000) as u64);
            self.processes[number].frozen_until = clock + length;
        }
        if !what.is_empty() {
            self.report.troubles += 1;
            if self.trace {
                println!("{clock:?} instance {number} {what}");
            }
        }
        Ok(())
    }

    /// Kills a process: what it had in memory is gone, and some of what its disk had not flushed.
    pub fn kill(&mut self, number: usize) {
        let process = &mut self.processes[number];
        self.cluster.kill(&process.name);
        if process.life.take().is_some()
            && let Some(disk) = &process.disk
        {
            let dice = &mut self.dice;
            disk.crash(&mut |writes| dice.below(writes + 1));
            // It comes back with another number of workers, perhaps; its disk knows how many there were.
            process.workers = dice.between(1..=2) as usize;
            process.workers_ever = process.workers_ever.max(process.workers);
        }
    }

    /// Time goes on: by a little, or by more when nobody has had anything to do for some steps.
    fn pass_time(&mut self, idle: u64) {
        if idle > 40 {
            let next = self.traffic.front().map_or(2_000, |next| next.at);
            let wait = next - self.clock.now().as_millis() as i64;
            let wait = self.dice.between(1..=wait.clamp(1, 2_000));
            self.clock.advance(Duration::from_millis(wait as u64));
        } else if self.dice.chance(0.3) {
            let micros = self.dice.pick(&[100, 1_000, 5_000, 20_000, 100_000]);
            self.clock.advance(Duration::from_micros(micros));
        }
        self.cluster.tick();
    }

    fn set_hooks(&self, mut dice: Dice) {
        let Chaos {
            fates, slow, fetches, ..
        } = self.plan.chaos;
        let mut calls = dice.fork();
        self.cluster.set_fates(Some(Box::new(move |call: Call<'_>| {
            let bad = calls.chance(fates);
            let late = calls.chance(slow);
            let polls = if late { calls.below(20) as u32 } else { 0 };
            Fate {
                truth: match bad {
                    true => calls.pick(&[Truth::Commit, Truth::Commit, Truth::Abort, Truth::Dangle]),
                    false => Truth::Commit,
                },
                doubt: bad && calls.chance(0.6),
                polls: if call.what == What::Submit { polls } else { 0 },
                gate_early: calls.chance(0.3),
                markers_late: late && calls.chance(0.3),
            }
        })));
        if fetches > 0.0 {
            self.cluster
                .set_limits(Some(Box::new(move |_: Fetch<'_>| match dice.chance(fetches) {
                    true => dice.below(5),
                    false => usize::MAX,
                })));
        }
    }

    /// The task, wherever it is open.
    pub fn task(&mut self, partition: i32) -> Option<&mut pelton::task::Task> {
        let lives = self.processes.iter_mut().filter_map(|process| process.life.as_mut());
        let mut seats = lives.flat_map(|life| &mut life.seats);
        seats.find_map(|seat| seat.worker.task(partition))
    }
}

fn ended(life: &Life, why: &Failure) -> Wrong {
    format!("instance {} ends by itself: {why}", life.name())
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
    }
    config.rules.batch = plan.batch;
    config.state.flush_bytes = plan.flush_bytes;
    config.epoch = config::Epoch {
        interval: plan.epoch,
        bytes: plan.epoch_bytes,
        buffer_bytes: plan.buffer_bytes,
        ..config.epoch
    };
    config
}

impl Report {
    /// Sums up.
    pub fn add(&mut self, other: &Report) {
        self.steps += other.steps;
        self.records += other.records;
        self.outputs += other.outputs;
        self.dead_letters += other.dead_letters;
        self.journaled += other.journaled;
        self.troubles += other.troubles;
        self.looks += other.looks;
        self.fingerprint ^= other.fingerprint;
    }
}
