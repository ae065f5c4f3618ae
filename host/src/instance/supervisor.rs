//! The supervisor: decides what follows from group membership. Tasks are restored and opened, or closed and released.
//!
//! Rules:
//! - It is driven: [`Supervisor::step`] gets events, and returns what must be done. It has no thread, no channel and no
//!   clock, and calls nothing that may wait. Whatever may wait is a [`Request`], and its answer is an [`Event`].
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
#[cfg(test)]
mod tests;

use super::health::Tasks;
use super::member;
use super::seat::{Claim, Command, SAY_EVERY};
use crate::config::Config;
use crate::deploy::view::DeployView;
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

/// A worker that has not closed its tasks after this time is stuck. It is longer than transaction time-outs and their
/// retries.
pub const CLOSE_DEADLINE: Duration = Duration::from_secs(60);

/// The same after a request to stop, when somebody waits and a crash loses nothing. It is less than the 30 s after
/// which container platforms kill.
pub const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// Decides what follows from group membership. See the rules above.
pub struct Supervisor {
    workers: usize,
    config: Arc<Config>,
    metrics: Arc<Metrics>,
    view: Arc<DeployView>,
    tasks: Tasks,
    membership: Standing,
    partitions: BTreeMap<Partition, Holding>,
    handovers: Vec<Handover>,
    /// The last stay that was given.
    stay: Stay,
    clock: DrivenClock,
    stopping: bool,
    requests: Vec<Request>,
}

/// Partitions that are released or dropped when the workers have closed them.
struct Handover {
    partitions: Vec<Partition>,
    why: Why,
    /// On the driven clock.
    deadline: Duration,
}

impl Handover {
    /// Notes that the group has taken its partitions already, so they must not be released.
    fn ends_here(&mut self) {
        if self.why == Why::Changed {
            self.why = Why::Fenced;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// They were revoked or lost, so they must be released.
    Changed,
    /// This instance was fenced, so they don't belong to it any more.
    Fenced,
    /// The process was told to stop.
    Stop,
}

impl Supervisor {
    /// The supervisor of an instance that has just joined its group. `assignment` is the counter from before.
    pub fn new(
        config: Arc<Config>,
        view: Arc<DeployView>,
        tasks: Tasks,
        metrics: Arc<Metrics>,
        assignment: u64,
    ) -> Supervisor {
        Supervisor {
            workers: config.workers,
            config,
            metrics,
            view,
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

    /// Takes events, then looks at what is due. `now` must always be from the same monotonic clock.
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

    /// The partitions that we have or must still close, for people and tests.
    pub fn describe(&self) -> String {
        format!("{:?}, {:?}", self.membership.phase, self.partitions)
    }

    /// The stays whose tasks must be closed by workers.
    pub fn awaits(&self) -> Vec<Stay> {
        self.partitions
            .values()
            .filter_map(|holding| holding.awaited())
            .collect()
    }

    /// Whether nothing must be closed, restored or told to the group.
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

    /// Tells workers to let go of these partitions, and waits for them.
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
        // If it is for an earlier stay, the task's owner since then may have committed more.
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

    /// Applies an event to a partition. The caller must tell the worker about its task.
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
            self.view.forget(partition);
            self.tasks.gone(partition);
        }
        if let Some(stay) = restore {
            self.requests.push(Request::Restore(Claim { partition, stay }));
            self.tasks.waits(partition);
        }
        // A partition that we have is assigned again, so it was lost in between without notice.
        if let (Some((stay, way)), Happens::Assigned(_)) = (close, event) {
            debug_assert_eq!(way, Way::Drop);
            let lose = Command::Lose(vec![Claim { partition, stay }], self.membership.assignment);
            self.tell(self.worker(partition), lose);
            return None;
        }
        close
    }

    /// Releases partitions whose tasks are closed.
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
        // The first reason counts.
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
