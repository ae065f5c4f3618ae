//! A run from its first record to its end.
//!
//! Rule: only draws from the seed decide what happens, so the same seed gives the same run.

use super::check;
use super::topics;
use super::traffic::START;
use super::world::World;
use anyhow::{Result, anyhow};
use pelton::log::embedded::NewRecord;
use std::time::Duration;

/// The most steps of the rough part of a run. Then all faults are lifted.
const ROUGH_STEPS: u64 = 40_000;

/// The most rounds of the good part. In each of them, everyone gets a turn.
const GOOD_ROUNDS: u64 = 30_000;

/// A run ends after this many rounds without any write, and then as many in which nothing is left to do.
const QUIET_ROUNDS: u64 = 12;

impl World {
    /// Runs from the first record until everything is done, with all checks.
    pub fn run(&mut self) -> Result<()> {
        self.rough()?;
        self.make_good();
        self.good()?;
        check::end(self)
    }

    /// The rough part: anything may happen.
    fn rough(&mut self) -> Result<()> {
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
    fn good(&mut self) -> Result<()> {
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
            let before = std::mem::replace(&mut written, topics::written(self));
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
        Err(anyhow!(
            "no end: after {GOOD_ROUNDS} rounds there still waits\n{}",
            self.waits_for().join("\n")
        ))
    }

    /// Gives everyone in a process one turn.
    fn round(&mut self, number: usize) -> Result<()> {
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
                open[status.partition.index()] += 1;
                let moved = status.watermark != pelton::record::NEVER;
                through &= !moved || status.waiting + status.state.timers + status.state.lookups == 0;
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

    fn append_due(&mut self) {
        let now = self.clock.now().as_millis() as i64;
        while let Some(arrival) = self.traffic.pop_front_if(|arrival| arrival.at <= now) {
            let record = NewRecord {
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
}
