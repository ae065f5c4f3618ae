//! The faults of a run. Processes die, freeze or are considered dead. Calls fail, or don't say how they ended. Fetches
//! are cut short, and disks are full.
//!
//! Rule: a fault is something that a real cluster or a real machine can do.

use super::check;
use super::dice::Dice;
use super::plan::Chaos;
use super::world::World;
use anyhow::Result;
use pelton::log::embedded::{CallKind, Fate, FetchCall, Truth, TxnCall};
use pelton::record::Partition;
use std::time::Duration;

impl World {
    /// Lifts all faults for the rest of the run.
    pub(super) fn make_good(&mut self) {
        self.cluster.set_fates(None);
        self.cluster.set_limits(None);
        self.plan.chaos = Chaos::default();
        for process in &mut self.processes {
            process.frozen_until = Duration::ZERO;
            process.stuck_until = [Duration::ZERO; 2];
            process.fuse.put_out();
            (process.compiles, process.carries, process.cuts) = (1.0, 1.0, 1.0);
            if let Some(disk) = &process.disk {
                disk.set_full(false);
            }
        }
    }

    /// Lets something bad happen to a process, now and then.
    pub(super) fn trouble(&mut self) -> Result<()> {
        let chaos = self.plan.chaos;
        if self.dice.chance(chaos.looks) {
            let partition = Partition::at(self.dice.below(self.plan.partitions as usize));
            self.report.looks += u64::from(check::look(self, partition)?);
        }
        let number = self.dice.below(self.processes.len());
        let clock = self.clock.now();
        if self.dice.chance(chaos.full_disks)
            && let Some(disk) = &self.processes[number].disk
        {
            disk.set_full(self.dice.chance(0.5));
        }
        if self.dice.chance(chaos.damage)
            && let Some(disk) = &self.processes[number].disk
        {
            disk.damage(&mut || self.dice.chance(0.5));
        }
        let mut what = "";
        if self.dice.chance(chaos.kills) {
            what = "is killed";
            self.kill(number);
        } else if self.dice.chance(chaos.stops) {
            let process = &mut self.processes[number];
            if let Some(life) = &mut process.life {
                what = "is told to stop";
                life.instance.stop();
                process.patience.stop();
            }
        } else if self.dice.chance(chaos.evictions) {
            what = "is evicted";
            self.cluster.evict(&self.processes[number].name);
        } else if self.dice.chance(chaos.fences) {
            what = "is fenced";
            self.cluster.fence(&self.processes[number].name);
            self.processes[number].patience.fence();
        } else if self.dice.chance(chaos.fuses) {
            let (calls, made) = (self.dice.below(30), self.dice.chance(0.5));
            self.processes[number].fuse.light(calls, made);
        } else if self.dice.chance(chaos.freezes) {
            what = "freezes";
            let length = Duration::from_millis(self.dice.between(1..=self.plan.longest_freeze) as u64);
            self.processes[number].frozen_until = clock + length;
        } else if self.dice.chance(chaos.stuck) {
            what = "has a worker that is stuck";
            let (worker, length) = (
                self.dice.below(2),
                self.dice.between(1..=self.plan.longest_stuck) as u64,
            );
            self.processes[number].stuck_until[worker] = clock + Duration::from_millis(length);
        }
        if !what.is_empty() {
            self.report.troubles += 1;
            if self.trace {
                println!("{clock:?} instance {number} {what}");
            }
        }
        Ok(())
    }

    /// Makes the cluster's calls and fetches fail as often as the plan says.
    pub(super) fn set_hooks(&self, mut dice: Dice) {
        let Chaos {
            fates, slow, fetches, ..
        } = self.plan.chaos;
        let mut calls = dice.fork();
        self.cluster.set_fates(Some(Box::new(move |call: TxnCall<'_>| {
            let bad = calls.chance(fates);
            let late = calls.chance(slow);
            let polls = if late { calls.below(20) as u32 } else { 0 };
            Fate {
                truth: match bad {
                    true => calls.pick(&[Truth::Commit, Truth::Commit, Truth::Abort, Truth::Dangle]),
                    false => Truth::Commit,
                },
                doubt: bad && calls.chance(0.6),
                polls: if call.what == CallKind::Submit { polls } else { 0 },
                gate_early: calls.chance(0.3),
                markers_late: late && calls.chance(0.3),
            }
        })));
        if fetches > 0.0 {
            self.cluster
                .set_limits(Some(Box::new(move |_: FetchCall<'_>| match dice.chance(fetches) {
                    true => dice.below(5),
                    false => usize::MAX,
                })));
        }
    }
}
