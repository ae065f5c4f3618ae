//! Membership of the group, and what follows from it: tasks are restored and opened, or closed and released.
//!
//! Rules:
//! - It is driven: [`Supervisor::step`] is told what has happened and says what is to be done. It has no thread, no channel and
//!   no clock, and it calls nothing that may wait. Everything that may is a [`Request`], and the answer is an [`Event`].
//! - What is asked and answered about a partition carries the stay (which assignment of it) that it is about; what is about an
//!   older stay is dropped. What each event makes of a partition is a table: see `holding`.
//! - A revoked partition is released only after its worker has said that the task is closed. When no answer comes in time, the
//!   process ends, because only that stops the task for certain.
//! - Fenced means that somebody has joined by our instance id. After a restart of the broker that was this process itself, so
//!   it drops everything and joins again; if it is fenced again soon, another process has the id, and this one ends.
#![warn(clippy::disallowed_methods)] // It is driven: its caller says what time it is.

mod clock;
mod holding;
mod membership;
mod message;
#[cfg(test)]
mod tests;

use super::health::Tasks;
use super::member;
use super::seat::{Claim, Command, SAY_EVERY};
use crate::config::Config;
use crate::deploy::view::Board;
use crate::error::{Failure, Result};
use crate::metrics::Metrics;
use crate::record::{Partition, Stay};
use crate::task::Task;
use clock::DrivenClock;
use holding::{Follows, Happens, Holding, Way};
use membership::{Phase, Standing, is_due};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use clock::STRIDE;
pub use message::{Event, Request, Step};

/// A worker that has not closed its tasks after this is stuck: it is beyond transaction time-outs and their retries.
pub const CLOSE_DEADLINE: Duration = Duration::from_secs(60);

/// The same when the process was told to stop: then somebody waits for it to end, and a crash loses nothing. Below the 30 s
/// after which container platforms kill.
pub const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// See the module.
pub struct Supervisor {
    workers: usize,
    config: Arc<Config>,
    metrics: Arc<Metrics>,
    board: Arc<Board>,
    tasks: Tasks,
    membership: Standing,
    partitions: BTreeMap<Partition, Holding>,
    handovers: Vec<Handover>,
    /// The stay that was given last.
    stay: Stay,
    clock: DrivenClock,
    stopping: bool,
    requests: Vec<Request>,
}

/// Partitions that go back to the group, or end here, when the workers have closed them.
struct Handover {
    partitions: Vec<Partition>,
    why: Why,
    /// As the driven clock goes.
    deadline: Duration,
}

impl Handover {
    /// The group has taken its partitions already: they are not released.
    fn ends_here(&mut self) {
        if self.why == Why::Changed {
            self.why = Why::Fenced;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// They were revoked or lost: they are released.
    Changed,
    /// This instance was fenced: they are nobody's.
    Fenced,
    /// The process was told to stop.
    Stop,
}

impl Supervisor {
    /// Of an instance that has just joined its group. `assignment`: the counter as it stood before.
    pub fn new(
        config: Arc<Config>,
        board: Arc<Board>,
        tasks: Tasks,
        metrics: Arc<Metrics>,
        assignment: u64,
    ) -> Supervisor {
        Supervisor {
            workers: config.workers,
            config,
            metrics,
            board,
            tasks,
            membership: Standing {
                phase: Phase::Member,
                number: 0,
                assignment,
                fenced: None,
                said_away: None,
                said_restores: Some(Duration::ZERO),
            },
            partitions: BTreeMap::new(),
            handovers: vec![],
            stay: Stay::default(),
            clock: DrivenClock::default(),
            stopping: false,
            requests: vec![],
        }
    }

    /// Takes what has happened, then looks at what is due. `now`: of any monotonic clock, always the same one.
    pub fn step(&mut self, now: Duration, events: &mut dyn Iterator<Item = Event>) -> Step {
        self.clock.tick(now);
        for event in events {
            self.hear(event);
        }
        self.hand_over();
        self.go_on();
        self.look_at_deadlines();
        self.say_what_restores();
        let waits = self.handovers.iter().map(|handover| handover.deadline);
        let waits = waits.map(|deadline| deadline.saturating_sub(self.clock.ran()).min(STRIDE));
        Step {
            requests: std::mem::take(&mut self.requests),
            next: waits.min().unwrap_or(SAY_EVERY),
            ended: match &self.membership.phase {
                Phase::Ended(result) => Some(result.clone()),
                _ => None,
            },
        }
    }

    /// The partitions that are ours, and those that are still to be closed, for people and tests.
    pub fn describe(&self) -> String {
        format!("{:?}, {:?}", self.membership.phase, self.partitions)
    }

    /// The stays whose tasks workers are to close.
    pub fn awaits(&self) -> Vec<Stay> {
        self.partitions
            .values()
            .filter_map(|holding| holding.awaited())
            .collect()
    }

    /// Nothing is to be closed, restored or said to the group.
    pub fn is_settled(&self) -> bool {
        let open = |holding: &Holding| matches!(holding, Holding::Open(_));
        self.membership.phase == Phase::Member && self.handovers.is_empty() && self.partitions.values().all(open)
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Group(heard) => self.hear_group(heard),
            Event::Closed(claims) => {
                for claim in claims {
                    self.happens(claim.partition, Happens::Closed(claim.stay));
                }
            }
            Event::Restored(claim, task) => self.restored(claim, task),
            Event::Restores(claim, read, why) => {
                if self.holding(claim.partition) == Holding::Restoring(claim.stay) {
                    self.metrics.task(claim.partition).restored_ratio.set(read);
                    self.tasks.restores(claim.partition, read, why.as_deref());
                }
            }
            Event::Truncate(partition, before) => self.requests.push(Request::Truncate(partition, before)),
            Event::Failed(failure) => self.end(Err(failure)),
            Event::Stop => self.stop(),
        }
    }

    /// Workers let go of these partitions, and are waited for.
    fn let_go(&mut self, partitions: Vec<Partition>, event: Happens, why: Why) {
        let mut told = vec![(vec![], vec![]); self.workers];
        for partition in &partitions {
            if let Some((stay, way)) = self.happens(*partition, event) {
                let claim = Claim {
                    partition: *partition,
                    stay,
                };
                let (close, lose) = &mut told[self.worker(*partition)];
                match way {
                    Way::Close => close.push(claim),
                    Way::Drop => lose.push(claim),
                }
            }
        }
        let assignment = self.membership.assignment;
        for (worker, (close, lose)) in told.into_iter().enumerate() {
            if close.is_empty() && lose.is_empty() {
                self.tell(worker, Command::Reassigned(assignment));
            }
            if !lose.is_empty() {
                self.tell(worker, Command::Lose(lose, assignment));
            }
            if !close.is_empty() {
                self.tell(worker, Command::Close(close, assignment));
            }
        }
        let time = match why {
            Why::Changed | Why::Fenced => CLOSE_DEADLINE,
            Why::Stop => STOP_DEADLINE,
        };
        self.handovers.push(Handover {
            partitions,
            why,
            deadline: self.clock.ran() + time,
        });
    }

    fn restored(&mut self, claim: Claim, task: Result<Box<Task>>) {
        // Of an earlier stay, whoever had the task since may have committed more.
        if self.holding(claim.partition) != Holding::Restoring(claim.stay) {
            return;
        }
        match task {
            Ok(task) => {
                tracing::info!(task = claim.partition, "open");
                self.metrics.task(claim.partition).restored_ratio.set(1.0);
                self.happens(claim.partition, Happens::Restored(claim.stay));
                let open = Command::Open(task, claim.stay, self.membership.assignment);
                self.tell(self.worker(claim.partition), open);
            }
            Err(why) => self.end(Err(why)),
        }
    }

    /// What an event makes of a partition. What the worker is to be told about its task is the caller's to say.
    fn happens(&mut self, partition: Partition, event: Happens) -> Option<(Stay, Way)> {
        let (holding, follows) = self.holding(partition).after(event);
        match holding {
            Holding::Away => _ = self.partitions.remove(&partition),
            holding => _ = self.partitions.insert(partition, holding),
        }
        let Follows {
            abandon,
            close,
            restore,
        } = follows;
        if let Some(stay) = abandon {
            self.requests.push(Request::Abandon(Claim { partition, stay }));
            self.board.forget(partition);
            self.tasks.gone(partition);
        }
        if let Some(stay) = restore {
            self.requests.push(Request::Restore(Claim { partition, stay }));
            self.tasks.waits(partition);
        }
        // An assignment of what is open: it was lost in between, without a word.
        if let (Some((stay, way)), Happens::Assigned(_)) = (close, event) {
            debug_assert_eq!(way, Way::Drop);
            let lose = Command::Lose(vec![Claim { partition, stay }], self.membership.assignment);
            self.tell(self.worker(partition), lose);
            return None;
        }
        close
    }

    /// Partitions whose tasks are closed are released.
    fn hand_over(&mut self) {
        for handover in std::mem::take(&mut self.handovers) {
            if handover.partitions.iter().any(|p| self.holding(*p).awaited().is_some()) {
                self.handovers.push(handover);
            } else if handover.why == Why::Changed {
                let release = member::Request::Release(handover.partitions);
                self.requests.push(Request::Member(release));
            }
        }
    }

    fn look_at_deadlines(&mut self) {
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

    fn say_what_restores(&mut self) {
        if is_due(&mut self.membership.said_restores, self.clock.now()) {
            for (task, how) in self.tasks.restoring() {
                tracing::warn!(task, "still restoring: {how}");
            }
        }
    }

    fn end(&mut self, result: Result<()>) {
        // The first reason is the one that counts.
        if !matches!(self.membership.phase, Phase::Ended(_)) {
            self.membership.phase = Phase::Ended(result);
        }
    }

    fn holding(&self, partition: Partition) -> Holding {
        self.partitions.get(&partition).copied().unwrap_or_default()
    }

    fn next_stay(&mut self) -> Stay {
        self.stay.0 += 1;
        self.stay
    }

    fn worker(&self, partition: Partition) -> usize {
        partition as usize % self.workers
    }

    fn tell(&mut self, worker: usize, command: Command) {
        self.requests.push(Request::Worker(worker, command));
    }

    fn tell_all(&mut self) {
        for worker in 0..self.workers {
            self.tell(worker, Command::Reassigned(self.membership.assignment));
        }
    }
}
