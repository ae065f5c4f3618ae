//! Whose turn it is, and what it does with it.
//!
//! Rule: every order in which the threads of the instances could run can come up, and the seed draws one.

use super::check;
use super::world::World;
use anyhow::Result;
use pelton::clock::Now;
use pelton::task::restore::RestoreQuestion;
use std::time::Duration;

impl World {
    /// Gives someone a turn. Returns whether something was done.
    pub(super) fn step(&mut self) -> Result<bool> {
        let number = self.dice.below(self.processes.len());
        let unsettled = self.cluster.unsettled();
        if unsettled > 0 && self.dice.chance(0.1) {
            self.cluster.settle(self.dice.below(unsettled));
            return Ok(true);
        }
        if self.processes[number].frozen_until > self.clock.now() {
            return Ok(false);
        }
        let now = self.now();
        let process = &mut self.processes[number];
        let Some(life) = &mut process.life else {
            if self.dice.chance(0.05) {
                self.start(number)?;
            }
            return Ok(false);
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
    fn step_restore(&mut self, number: usize, now: Now) -> Result<bool> {
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
    fn step_worker(&mut self, number: usize, now: Now) -> Result<bool> {
        let process = &mut self.processes[number];
        let Some(life) = &mut process.life else {
            return Ok(false);
        };
        let worker = self.dice.below(life.desks.len());
        if process.stuck_until[worker] > now.mono {
            return Ok(false);
        }
        let worked = life.work(worker, now);
        let asked = life.desks[worker].take_asked();
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
}
