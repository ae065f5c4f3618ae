//! The supervisor: decides what follows from group membership. Tasks are restored and opened, or closed and released.
//!
//! Rules:
//! - It is driven: [`Supervisor::step`] gets events, and returns what must be done. It has no thread, no channel and no
//!   clock, and calls nothing that may wait. Whatever may wait is a [`SupervisorRequest`], and its answer is a
//!   [`SupervisorEvent`].
//! - Requests and answers about a partition carry its stay, which identifies the assignment. Answers about an older
//!   stay are dropped. A table says what each event means for a partition: see `holding`.
//! - A revoked partition is released only after its worker has said that the task is closed. If no answer comes in
//!   time, the process ends, because only that stops the task for certain.
//! - Fenced means that a process has joined with our instance id. After a restart of the broker, that was this process
//!   itself, so it drops everything and joins again. If it is soon fenced again, another process has the id, and this
//!   one ends.
#![warn(clippy::disallowed_methods)] // It is driven: its caller says what time it is.

mod clock;
mod holding;
mod membership;
mod message;
mod partitions;
mod standing;
#[cfg(test)]
mod tests;

pub use clock::MAX_STEP;
pub use message::{StepResult, SupervisorEvent, SupervisorRequest};
pub use partitions::{CLOSE_DEADLINE, STOP_DEADLINE, Supervisor};

use super::command::{Claim, Command};
use super::worker_runner::LOG_EVERY;
use crate::error::{Failure, Result};
use crate::fault::fault;
use crate::record::Partition;
use crate::task::Task;
use holding::{Holding, PartitionEvent};
use partitions::Why;
use standing::{MembershipPhase, is_due};
use std::time::Duration;

impl Supervisor {
    /// Takes events, then looks at what is due. `now` must always be from the same monotonic clock.
    pub fn step(&mut self, now: Duration, events: &mut dyn Iterator<Item = SupervisorEvent>) -> StepResult {
        self.clock.tick(now);
        for event in events {
            self.handle(event);
        }
        self.hand_over();
        self.advance_phase();
        self.check_deadlines();
        self.log_restores();
        let waits = self.handovers.iter().map(|handover| handover.deadline);
        let waits = waits.map(|deadline| deadline.saturating_sub(self.clock.ran()).min(MAX_STEP));
        StepResult {
            requests: std::mem::take(&mut self.requests),
            next: waits.min().unwrap_or(LOG_EVERY),
            ended: match &self.membership.phase {
                MembershipPhase::Ended(result) => Some(result.clone()),
                _ => None,
            },
        }
    }

    /// The partitions that we have or must still close, for people and tests.
    pub fn describe(&self) -> String {
        format!("{:?}, {:?}", self.membership.phase, self.partitions)
    }

    /// The stays whose tasks must be closed by workers.
    pub fn awaits(&self) -> Vec<Claim> {
        let claim = |(partition, holding): (&Partition, &Holding)| {
            holding.awaited().map(|stay| Claim {
                partition: *partition,
                stay,
            })
        };
        self.partitions.iter().filter_map(claim).collect()
    }

    /// Whether nothing must be closed, restored or told to the group.
    pub fn is_settled(&self) -> bool {
        let open = |holding: &Holding| matches!(holding, Holding::Open(_));
        self.membership.phase == MembershipPhase::Member
            && self.handovers.is_empty()
            && self.partitions.values().all(open)
    }

    fn handle(&mut self, event: SupervisorEvent) {
        match event {
            SupervisorEvent::Group(heard) => self.handle_group_report(heard),
            SupervisorEvent::Closed(claims) => {
                for claim in claims {
                    self.apply_event(claim.partition, PartitionEvent::Closed(claim.stay));
                }
            }
            SupervisorEvent::Restored(claim, task) => self.restored(claim, task),
            SupervisorEvent::Restores(claim, read, why) => {
                if self.holding(claim.partition) == Holding::Restoring(claim.stay) {
                    self.metrics.task(claim.partition).state.restored_ratio.set(read);
                    self.tasks.restores(claim.partition, read, why.as_deref());
                }
            }
            SupervisorEvent::Truncate(partition, before) => {
                self.requests.push(SupervisorRequest::Truncate(partition, before))
            }
            SupervisorEvent::Failed(failure) => self.end(Err(failure)),
            SupervisorEvent::Stop => self.stop(),
        }
    }

    fn restored(&mut self, claim: Claim, task: Result<Box<Task>>) {
        // If it is for an earlier stay, the task's owner since then may have committed more.
        if self.holding(claim.partition) != Holding::Restoring(claim.stay) {
            return;
        }
        match task {
            Ok(task) => {
                tracing::info!(task = claim.partition.0, "open");
                self.metrics.task(claim.partition).state.restored_ratio.set(1.0);
                self.apply_event(claim.partition, PartitionEvent::Restored(claim.stay));
                let open = Command::Open(task, claim.stay, self.membership.assignment);
                self.command(self.worker(claim.partition), open);
            }
            Err(why) => self.end(Err(why)),
        }
    }

    fn check_deadlines(&mut self) {
        if fault!("deadline-ignored") {
            return;
        }
        let ran = self.clock.ran();
        let Some(late) = self.handovers.iter().find(|handover| handover.deadline <= ran) else {
            return;
        };
        let partitions = late.partitions.iter().copied();
        let open: Vec<_> = partitions.filter(|p| self.holding(*p).awaited().is_some()).collect();
        let why = match late.why {
            Why::Stop => format!(
                "told to stop, but the open epoch of the tasks {open:?} could not be committed within {} s: are the brokers \
                 away? Nothing is lost: the next start does it again",
                STOP_DEADLINE.as_secs()
            ),
            Why::Changed | Why::Fenced => format!(
                "the tasks {open:?} were not closed within {CLOSE_DEADLINE:?}: the process ends, so that another one may have \
                 them"
            ),
        };
        self.end(Err(Failure::Fatal(why)));
    }

    fn log_restores(&mut self) {
        if is_due(&mut self.membership.said_restores, self.clock.now()) {
            for (task, how) in self.tasks.restoring() {
                tracing::warn!(task = task.0, "still restoring: {how}");
            }
        }
    }
}
