//! The world of a run: the cluster, the clock, the instances, and who runs next.
//!
//! Rule: only draws from the seed decide what happens, so the same seed gives the same run.

use super::acts::Act;
use super::beginnings::Beginnings;
use super::budgets::Budgets;
use super::check;
use super::client::DeployClient;
use super::dice::Dice;
use super::evidence;
use super::plan::Plan;
use super::process::Process;
use super::report::Report;
use super::traffic::START;
use super::versions::Bench;
use pelton::binding::Layout;
use pelton::clock::Now;
use pelton::config::Config;
use pelton::deploy::RulesSchedule;
use pelton::log::Log;
use pelton::log::embedded::{Clock, Embedded, Record};
use pelton::registry::Schemas;
use pelton::task::restore::RestoreQuestion;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// A description of what went wrong, for people.
pub type Wrong = String;

/// The most steps of the rough part of a run. Then all faults are lifted.
const ROUGH_STEPS: u64 = 40_000;

/// The most rounds of the good part. In each of them, everyone gets a turn.
const GOOD_ROUNDS: u64 = 30_000;

/// A run ends after this many rounds without any write, and then as many in which nothing is left to do.
const QUIET_ROUNDS: u64 = 12;

/// The world of one run.
pub struct World {
    pub plan: Plan,
    pub cluster: Embedded,
    pub layout: Arc<Layout>,
    /// Compiles for checks from the outside.
    pub bench: Bench,
    pub config: Config,
    pub report: Report,
    pub(super) dice: Dice,
    pub(super) clock: Clock,
    pub(super) schemas: Option<Arc<dyn Schemas>>,
    pub(super) processes: Vec<Process>,
    pub(super) traffic: VecDeque<super::traffic::Arrival>,
    /// The deploys that are still to come.
    pub(super) acts: VecDeque<Act>,
    /// The authors of the current deploys.
    pub(super) authors: Vec<DeployClient>,
    /// How many authors there were so far.
    pub(super) acted: usize,
    /// The log, for checks from the outside.
    pub outside: Arc<dyn Log>,
    pub(super) beginnings: Beginnings,
    pub(super) budgets: Budgets,
    pub(super) trace: bool,
}

impl World {
    /// Runs from the first record until everything is done, with all checks.
    pub fn run(&mut self) -> Result<(), Wrong> {
        self.rough()?;
        self.make_good();
        self.good()?;
        check::end(self)
    }

    /// The rough part: anything may happen.
    fn rough(&mut self) -> Result<(), Wrong> {
        self.clock.advance(Duration::from_millis(self.plan.starts_late as u64));
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

    /// The good part: runs until nothing is left to do.
    fn good(&mut self) -> Result<(), Wrong> {
        let (mut quiet, mut through, mut written) = (0, 0, 0);
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
            // A task that opens only now still has to commit its first epoch.
            through = match quiet >= QUIET_ROUNDS && self.waits_for().is_empty() {
                true => through + 1,
                false => 0,
            };
            if through >= QUIET_ROUNDS {
                return Ok(());
            }
            // Longer than any epoch, and shorter than a session.
            let jump = if quiet > 3 { 2_000 } else { 211 };
            self.clock.advance(Duration::from_millis(jump));
        }
        Err(format!(
            "no end: after {GOOD_ROUNDS} rounds there still waits\n{}",
            self.waits_for().join("\n")
        ))
    }

    /// Gives everyone in a process one turn.
    fn round(&mut self, number: usize) -> Result<(), Wrong> {
        self.start(number)?;
        if let Some(life) = &mut self.processes[number].life {
            let done = life.instance.member();
            self.check_released(number, done)?;
        }
        self.supervise(number)?;
        let now = self.now();
        let Some(life) = &mut self.processes[number].life else {
            return Ok(());
        };
        let mut done = life.carry(now);
        while life.compile() {}
        while life.instance.cut() {}
        for index in (0..life.instance.restores()).rev() {
            let process = &mut self.processes[number];
            if !process.is_hung(index, now.mono) {
                process.restore(index)?;
            }
        }
        let Some(life) = &mut self.processes[number].life else {
            return Ok(());
        };
        for index in 0..life.desks.len() {
            while life.desks[index].answer(false) {}
            done = done.and(life.work(index, now).map(drop));
        }
        while life.play() {}
        self.note_turn(number)?;
        done.or_else(|why| self.ended(number, &why))
    }

    /// What still has to be done. If empty, the run is complete.
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
            let mut through = life.is_settled() && life.control().open().is_none();
            for status in life.instance.status() {
                open[status.partition as usize] += 1;
                let moved = status.watermark != pelton::record::NEVER;
                through &= !moved || status.waiting + status.timers + status.lookups == 0;
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
                writer.abort().expect("just begun");
            }
            let appended = self.cluster.append_batch(topic, arrival.partition, [record]);
            appended.expect("the topic is there");
            self.report.records += 1;
        }
    }

    /// Gives someone a turn. Returns whether something was done.
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
        match self.dice.below(16) {
            0 | 1 if !self.dice.chance(process.supervises) => Ok(false),
            0 | 1 => {
                self.supervise(number)?;
                Ok(false)
            }
            2 | 3 if life.instance.restores() > 0 => self.step_restore(number, now),
            4 => {
                let desk = self.dice.below(life.desks.len());
                Ok(life.desks[desk].answer(true))
            }
            7 | 9 => {
                let done = life.instance.member();
                if let Some(what) = done.filter(|_| self.trace) {
                    println!("{:?} instance {number} {what}", now.mono);
                }
                self.check_released(number, done)?;
                Ok(done.is_some())
            }
            8 if !self.dice.chance(process.cuts) => Ok(false),
            8 => {
                let cut = life.instance.cut();
                self.report.cuts += u64::from(cut);
                Ok(cut)
            }
            5 if !self.dice.chance(process.carries) => Ok(false),
            5 => {
                let carried = life.carry(now);
                carried.or_else(|why| self.ended(number, &why)).map(|()| false)
            }
            10 => Ok(life.play()),
            6 => Ok(self.dice.chance(process.compiles) && life.compile()),
            _ => self.step_worker(number, now),
        }
    }

    /// Gives one of a process's restores some turns, until one of its questions takes long. Returns whether something was
    /// done.
    fn step_restore(&mut self, number: usize, now: Now) -> Result<bool, Wrong> {
        let process = &mut self.processes[number];
        let restores = process.restores();
        let index = self.dice.below(restores);
        for _ in 0..self.dice.pick(&[1, 1, 5, 20]) {
            let Some(life) = &process.life else { break };
            if process.is_hung(index, now.mono) {
                return Ok(false);
            }
            let (claim, question) = life.instance.restoring(index);
            let (slow, longest) = match question {
                // It removes everything, so it never takes only a moment.
                Some(RestoreQuestion::Wipe) => (self.plan.slow_wipes, [1_000, 10_000, 60_000]),
                Some(RestoreQuestion::Stamp | RestoreQuestion::Load(_)) => (self.plan.slow_disk, [10, 1_000, 600_000]),
                _ => (self.plan.slow_cluster, [10, 1_000, 600_000]),
            };
            let wipes = matches!(question, Some(RestoreQuestion::Wipe));
            if self.dice.chance(slow) {
                let longest = self.dice.pick(&longest);
                let length = Duration::from_millis(self.dice.between(1..=longest) as u64);
                process.hung.insert(claim, now.mono + length);
                // Such a disk holds up the whole machine, so that the group doesn't hear of the instance in time.
                if wipes && self.dice.chance(self.plan.chaos.unheard) {
                    self.cluster.evict(&process.name);
                }
                return Ok(false);
            }
            if !process.restore(index)? || process.restores() < restores {
                break;
            }
        }
        Ok(true)
    }

    /// Gives one of a process's workers a turn. Returns whether something was done.
    fn step_worker(&mut self, number: usize, now: Now) -> Result<bool, Wrong> {
        let process = &mut self.processes[number];
        let Some(life) = &mut process.life else {
            return Ok(false);
        };
        let seat = self.dice.below(life.desks.len());
        if process.stuck_until[seat] > now.mono {
            return Ok(false);
        }
        let worked = life.work(seat, now);
        let asked = life.desks[seat].take_asked();
        let busy = match worked {
            Ok(busy) => busy,
            Err(why) => {
                self.ended(number, &why)?;
                true
            }
        };
        self.note_turn(number)?;
        // What is already decided may not be visible yet.
        if self.cluster.unsettled() == 0 {
            check::are_committed(self, asked)?;
        }
        Ok(busy)
    }

    /// Notes what is seen after a turn of a worker.
    fn note_turn(&mut self, number: usize) -> Result<(), Wrong> {
        self.note_deploys(number);
        self.note_beginnings(number)
    }

    /// Lets time pass: a little, or more if nobody has had anything to do for some steps.
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

    /// All wired versions. They are needed to look at a task.
    pub(super) fn all_versions(&self) -> Arc<RulesSchedule> {
        let mut schedule = RulesSchedule::only(self.bench.wiring(self.plan.files[0]));
        for wiring in self.bench.wired() {
            schedule.wirings.insert(wiring.rules.version().0, wiring.clone());
        }
        Arc::new(schedule)
    }

    /// The task, on the instance that has it open.
    pub fn task(&self, partition: i32) -> Option<&pelton::task::Task> {
        let mut lives = self.processes.iter().filter_map(|process| process.life.as_ref());
        lives.find_map(|life| life.instance.task(partition))
    }
}
