//! A worker: one thread of an instance. It has its tasks and their inputs, one transactional producer, and an instance
//! of each version of the rules.
//!
//! Rules:
//! - Every doubt about a commit is resolved in the same way: the changelog is read again (`recovery`).
//! - An epoch is open while the one before it is being committed. If that one fails, both are dropped (`epochs`).
//! - The loop doesn't ask for the time, starts no threads, and uses no randomness: its driver passes the time in. So
//!   the same worker runs on Kafka, on the embedded log and in the simulator. Only metrics, and the time budget of the
//!   rules, read a clock.
//!
//! The loop is [`turn`](Worker::turn). Its parts do the work; each of them is one field and one file.

mod calls;
mod commit;
mod commit_failures;
mod cpu_times;
mod epochs;
mod fetcher;
mod flushes;
mod handover;
mod ports;
mod recovery;
mod tasks;
mod telemetry;
mod versions;

pub use ports::Ports;
pub use tasks::Worker;

use crate::clock::Now;
use crate::error::Result;
use crate::fault::fault;
use crate::metrics::CpuPart;
use crate::record::Millis;
use crate::task::Task;
use std::time::Duration;
use telemetry::TaskTurn;
use versions::BatchResult;

/// How many batches of one task run before it is the next task's turn. 8 of 512 inputs take about 4 ms.
const BATCHES_A_TURN: usize = 8;

/// How often the worker looks for idle partitions, pauses and held records.
const CHORES_EVERY: Duration = Duration::from_millis(10);

impl Worker {
    /// One round of the loop. If there is nothing else to do, it waits for data for at most this long. Returns whether
    /// something was done.
    pub fn turn(&mut self, now: Now, wait: Duration) -> Result<bool> {
        self.telemetry.begin_turn(now);
        let mut busy = self.decide(now)?;
        self.telemetry.uncommitted(self.epochs.uncommitted(now));
        if self.epochs.is_in_doubt() && !self.recover()? {
            return Ok(busy);
        }
        busy |= self.resume_recovered()?;
        self.fetcher.assign(&self.tasks)?;
        self.telemetry.charge(CpuPart::Commit);

        busy |= self.calls.deliver(&mut self.tasks);
        busy |= self.run_tasks(now);
        self.telemetry.charge(CpuPart::Steps);
        self.telemetry.charge_rules(self.versions.take_spent());

        self.seal_when_due(now);
        self.close_when_settled();
        self.telemetry.charge(CpuPart::Commit);

        busy |= self.fetch(now, wait, busy)?;
        self.chores_when_due(now)?;
        self.flushes.step(&mut self.tasks, &mut self.telemetry, now);
        self.telemetry.charge(CpuPart::Other);
        Ok(busy)
    }

    /// Lets each task follow the schedule and then take its steps.
    fn run_tasks(&mut self, now: Now) -> bool {
        if self.handover.is_pending() || !self.epochs.takes_steps() || self.epochs.is_backing_off(now) {
            return false;
        }
        let moment = self.epochs.moment(now);
        for task in self.tasks.values_mut() {
            task.follow_schedule(self.versions.schedule(), &moment, self.epochs.open());
        }
        self.epochs.note_opened(now);
        let mut busy = false;
        for task in self.tasks.values_mut() {
            let mut turn = TaskTurn { ran: false, left: true };
            for _ in 0..BATCHES_A_TURN {
                if !self.versions.may_run(task.deployed()) || self.epochs.is_overfull() {
                    break;
                }
                match self
                    .versions
                    .run(task, self.fetcher.sources(), self.epochs.open(), &self.telemetry)
                {
                    BatchResult::Ran => turn.ran = true,
                    BatchResult::NothingLeft => {
                        turn.left = false;
                        break;
                    }
                    BatchResult::NoRules => break,
                }
            }
            busy |= turn.ran;
            let held = task.is_held_back();
            self.telemetry.held(task.partition(), held, now);
            turn.left |= held;
            self.telemetry.had_turn(task.partition(), turn, now);
        }
        self.epochs.note_opened(now);
        if self.versions.stop_exceeded() && !fault!("exceeded-epoch-kept") {
            self.void_open();
        }
        busy
    }

    /// Takes what has arrived for the tasks. Waits for it if the worker is not busy.
    fn fetch(&mut self, now: Now, wait: Duration, busy: bool) -> Result<bool> {
        let wait = if busy {
            Duration::ZERO
        } else {
            self.epochs.wait(now, wait)
        };
        let polled = self.fetcher.poll(wait);
        self.telemetry.charge(CpuPart::Poll);
        let fetched = self.fetcher.has_arrivals();
        let delivered = self.fetcher.deliver(&mut self.tasks, &mut self.epochs, now);
        self.telemetry.charge(CpuPart::Arrive);
        polled.and(delivered)?;
        if !busy && !fetched {
            self.epochs.note_idle();
        }
        Ok(fetched)
    }

    /// Does what is not urgent: idle partitions, pauses, held records, gauges.
    fn chores_when_due(&mut self, now: Now) -> Result<()> {
        if now.mono < self.chores_at {
            return Ok(());
        }
        self.chores_at = now.mono + CHORES_EVERY;
        for task in self.tasks.values_mut() {
            task.note_speed(now.mono);
            if !self.handover.is_pending() {
                task.advance_idle_inputs(now.mono, now.wall, self.epochs.open());
            }
            if task.take_resumed() {
                self.calls.ask_pending(task);
            }
            self.fetcher.pause_or_resume(task)?;
        }
        self.fetcher.retry_schemas(&mut self.tasks, self.epochs.open(), now);
        let is_stopped = |deploy| self.versions.is_stopped(deploy);
        self.telemetry.look(now, &mut self.tasks, is_stopped);
        self.epochs.note_opened(now);
        // Waiting records were lost in a scratch file. Everything is read again, as after a failed epoch.
        if self.tasks.values().any(Task::is_lost) {
            self.void_open();
        }
        self.versions.forget_unused(&self.tasks);
        Ok(())
    }

    fn close_when_settled(&mut self) {
        if self.handover.is_pending() && self.epochs.is_settled() {
            for partition in self.handover.take_closing() {
                self.remove(partition);
            }
        }
    }

    /// Moves the event time of every task to `time`, as silence would: by journaled heartbeats. For scenarios.
    pub fn advance_event_time(&mut self, time: Millis, now: Now) {
        for task in self.tasks.values_mut() {
            task.advance_event_time(time, now.wall, self.epochs.open());
        }
        self.epochs.note_opened(now);
    }
}
