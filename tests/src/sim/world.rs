//! The world of a run: the cluster, the clock, the instances, and who goes next.
//!
//! Rule: nothing in it happens but by a draw of the seed, so the same seed gives the same run.

use super::author::Author;
use super::check;
use super::dice::Dice;
use super::evidence;
use super::instance::{Life, Parts};
use super::mortal::{Fuse, Mortal};
use super::plan::{Act, Plan};
use super::report::Report;
use super::service::Desk;
use super::traffic::START;
use super::versions::Bench;
use pelton::config::Config;
use pelton::error::Failure;
use pelton::log::Log;
use pelton::log::embedded::{Clock, Embedded, Record};
use pelton::registry::Schemas;
use pelton::store::memory::Disk;
use pelton::task::{Layout, Orders};
use pelton::worker::Now;
use std::collections::VecDeque;
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
    /// Where whoever looks from outside compiles.
    pub bench: Bench,
    pub config: Config,
    pub report: Report,
    pub(super) dice: Dice,
    pub(super) clock: Clock,
    pub(super) schemas: Option<Arc<dyn Schemas>>,
    pub(super) processes: Vec<Process>,
    pub(super) traffic: VecDeque<super::traffic::Arrival>,
    /// What is still to be deployed.
    pub(super) acts: VecDeque<Act>,
    /// Whoever deploys now.
    pub(super) authors: Vec<Author>,
    /// How many have deployed.
    pub(super) acted: usize,
    /// Whoever looks from outside.
    pub outside: Arc<dyn Log>,
    pub(super) trace: bool,
}

/// A place where an instance runs, again and again.
pub(super) struct Process {
    pub name: String,
    pub workers: usize,
    pub workers_ever: usize,
    pub disk: Option<Disk>,
    /// The version that its file names.
    pub file: usize,
    /// How often a compilation has its turn when it could.
    pub compiles: f64,
    /// How often its control topic's thread has its turn when it could.
    pub carries: f64,
    pub bench: Bench,
    /// When it dies within a call.
    pub fuse: Fuse,
    pub life: Option<Life>,
    pub frozen_until: Duration,
}

impl World {
    /// From the first record until everything is through, with all checks.
    pub fn run(&mut self) -> Result<(), Wrong> {
        self.rough()?;
        self.make_good();
        self.good()?;
        check::end(self)
    }

    /// Everything may happen.
    fn rough(&mut self) -> Result<(), Wrong> {
        let mut idle = 0;
        for _ in 0..ROUGH_STEPS {
            if self.traffic.is_empty() && self.dice.chance(0.0005) {
                break;
            }
            self.report.steps += 1;
            self.append_due();
            self.trouble()?;
            self.deploy()?;
            idle = if self.step()? { 0 } else { idle + 1 };
            self.pass_time(idle);
        }
        while !self.traffic.is_empty() {
            self.clock.advance(Duration::from_millis(100));
            self.append_due();
        }
        Ok(())
    }

    /// Until nothing is left to do.
    fn good(&mut self) -> Result<(), Wrong> {
        let (mut quiet, mut written) = (0, 0);
        for _ in 0..GOOD_ROUNDS {
            self.report.steps += 1;
            while self.cluster.unsettled() > 0 {
                self.cluster.settle(0);
            }
            self.deploy_all()?;
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
        let mut done = life.carry(now);
        while life.carriage.compile() {}
        for index in (0..life.restores.len()).rev() {
            life.step_restore(index);
        }
        for index in 0..life.seats.len() {
            while life.seats[index].desk.answer(false) {}
            done = done.and(life.work(index, now).map(drop));
        }
        done.or_else(|why| self.ended(number, &why))
    }

    /// What has to be done still; nothing: the run is through.
    fn waits_for(&self) -> Vec<String> {
        let mut waits = vec![];
        let deploys = self.acts.len() + self.authors.len();
        if deploys > 0 {
            waits.push(format!("{deploys} deploys are still to be made"));
        }
        let mut open = vec![0; self.plan.partitions as usize];
        for process in &self.processes {
            let Some(life) = &process.life else {
                waits.push(format!("instance {} is down", process.name));
                continue;
            };
            let mut through = life.is_settled() && life.carriage.control().open().is_none();
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
        let process = &mut self.processes[number];
        let Some(life) = &mut process.life else {
            if self.dice.chance(0.05) {
                self.start(number)?;
            }
            return Ok(false);
        };
        let now = Now {
            mono: self.clock.now(),
            wall: self.clock.wall(),
        };
        match self.dice.below(12) {
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
            5 if !self.dice.chance(process.carries) => Ok(false),
            5 => {
                let carried = life.carry(now);
                carried.or_else(|why| self.ended(number, &why)).map(|()| false)
            }
            6 => Ok(self.dice.chance(process.compiles) && life.carriage.compile()),
            _ => {
                let seat = self.dice.below(life.seats.len());
                let worked = life.work(seat, now);
                let asked = life.seats[seat].desk.take_asked();
                let busy = match worked {
                    Ok(busy) => busy,
                    Err(why) => {
                        self.ended(number, &why)?;
                        true
                    }
                };
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
        let goes_on = match life.supervise(self.clock.now()) {
            Ok(goes_on) => goes_on,
            // Twice in a row: it ends, as it is.
            Err(Failure::Fenced(_)) => {
                self.kill(number);
                return Ok(());
            }
            Err(why) => {
                self.ended(number, &why)?;
                return Ok(());
            }
        };
        let process = &mut self.processes[number];
        if !goes_on {
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
        let topics = self.layout.topics.clone();
        let log = Arc::new(self.cluster.instance(topics, &config.name, &process.name)) as Arc<dyn Log>;
        let parts = Parts {
            layout: self.layout.clone(),
            bench: process.bench.clone(),
            file: process.file,
            log: Arc::new(Mortal::new(log, &process.fuse)),
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
            Err(why) => self.ended(number, &why)?,
        }
        Ok(())
    }

    /// A process ends with a failure. Err: it must not.
    pub(super) fn ended(&mut self, number: usize, why: &Failure) -> Result<(), Wrong> {
        let process = &self.processes[number];
        let text = why.to_string();
        let refused = process.bench.has_refused() && text.contains("don't fit this instance");
        if process.fuse.is_dead() {
            self.report.fuses += 1;
        } else if !refused {
            return Err(format!("instance {} ends by itself: {why}", process.name));
        }
        if self.trace {
            println!("{:?} instance {number} ends: {why}", self.clock.now());
        }
        self.kill(number);
        Ok(())
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

    /// All versions that are wired: what a task needs to be looked at.
    pub(super) fn all_versions(&self) -> Arc<Orders> {
        let mut orders = Orders::only(self.bench.wiring(self.plan.files[0]));
        for wiring in self.bench.wired() {
            orders.wirings.insert(wiring.rules.version().0, wiring.clone());
        }
        Arc::new(orders)
    }

    /// The task, wherever it is open.
    pub fn task(&mut self, partition: i32) -> Option<&mut pelton::task::Task> {
        let lives = self.processes.iter_mut().filter_map(|process| process.life.as_mut());
        let mut seats = lives.flat_map(|life| &mut life.seats);
        seats.find_map(|seat| seat.worker.task(partition))
    }
}
