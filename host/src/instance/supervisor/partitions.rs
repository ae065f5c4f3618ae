//! A supervisor's partitions: the commands to their workers, and what waits until these are done.
//!
//! Rule: everything that happens to a partition goes through the table of [`Holding`].

use super::clock::DrivenClock;
use super::holding::{FollowUp, GiveUp, Holding, PartitionEvent};
use super::message::SupervisorRequest;
use super::standing::{MembershipPhase, MembershipState};
use crate::config::Config;
use crate::deploy::view::DeployView;
use crate::error::Result;
use crate::fault::fault;
use crate::instance::command::{Claim, Command};
use crate::instance::member;
use crate::instance::tasks::Tasks;
use crate::metrics::Metrics;
use crate::record::{Partition, Stay};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A worker that has not closed its tasks after this time is stuck. It is longer than transaction time-outs and their
/// retries.
pub const CLOSE_DEADLINE: Duration = Duration::from_secs(60);

/// The same after a request to stop, when somebody waits and a crash loses nothing. It is less than the 30 s after
/// which container platforms kill.
pub const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// Decides what follows from group membership.
pub struct Supervisor {
    pub(super) workers: usize,
    pub(super) config: Arc<Config>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) view: Arc<DeployView>,
    pub(super) tasks: Tasks,
    pub(super) membership: MembershipState,
    pub(super) partitions: BTreeMap<Partition, Holding>,
    pub(super) handovers: Vec<PartitionHandover>,
    /// The last stay that was given.
    pub(super) stay: Stay,
    pub(super) clock: DrivenClock,
    pub(super) stopping: bool,
    pub(super) requests: Vec<SupervisorRequest>,
}

/// Partitions that are released or dropped when the workers have closed them.
pub(super) struct PartitionHandover {
    pub(super) partitions: Vec<Partition>,
    pub(super) why: Why,
    /// On the driven clock.
    pub(super) deadline: Duration,
}

impl PartitionHandover {
    /// Notes that the group has taken its partitions already, so they must not be released.
    pub(super) fn ends_here(&mut self) {
        if self.why == Why::Changed {
            self.why = Why::Fenced;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
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
            membership: MembershipState {
                phase: MembershipPhase::Member,
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

    /// Tells workers to let go of these partitions, and waits for them.
    pub(super) fn release(&mut self, partitions: Vec<Partition>, event: PartitionEvent, why: Why) {
        let mut commands = vec![(vec![], vec![]); self.workers];
        for partition in &partitions {
            if let Some((stay, way)) = self.apply_event(*partition, event) {
                let claim = Claim {
                    partition: *partition,
                    stay,
                };
                let (close, lose) = &mut commands[self.worker(*partition)];
                match way {
                    GiveUp::Close => close.push(claim),
                    GiveUp::Drop => lose.push(claim),
                }
            }
        }
        let assignment = self.membership.assignment;
        for (worker, (close, lose)) in commands.into_iter().enumerate() {
            if close.is_empty() && lose.is_empty() {
                self.command(worker, Command::Reassigned(assignment));
            }
            if !lose.is_empty() {
                self.command(worker, Command::Lose(lose, assignment));
            }
            if !close.is_empty() {
                self.command(worker, Command::Close(close, assignment));
            }
        }
        let time = match why {
            Why::Changed | Why::Fenced => CLOSE_DEADLINE,
            Why::Stop => STOP_DEADLINE,
        };
        self.handovers.push(PartitionHandover {
            partitions,
            why,
            deadline: self.clock.ran() + time,
        });
    }

    /// Applies an event to a partition. The caller must tell the worker about its task.
    pub(super) fn apply_event(&mut self, partition: Partition, event: PartitionEvent) -> Option<(Stay, GiveUp)> {
        let (holding, follows) = self.holding(partition).after(event);
        match holding {
            Holding::Away => _ = self.partitions.remove(&partition),
            holding => _ = self.partitions.insert(partition, holding),
        }
        let FollowUp {
            abandon,
            close,
            restore,
        } = follows;
        if let Some(stay) = abandon {
            self.requests
                .push(SupervisorRequest::Abandon(Claim { partition, stay }));
            self.view.forget(partition);
            self.tasks.gone(partition);
        }
        if let Some(stay) = restore {
            self.requests
                .push(SupervisorRequest::Restore(Claim { partition, stay }));
            self.tasks.waits(partition);
        }
        // A partition that we have is assigned again, so it was lost in between without notice.
        if let (Some((stay, way)), PartitionEvent::Assigned(_)) = (close, event) {
            debug_assert_eq!(way, GiveUp::Drop);
            let lose = Command::Lose(vec![Claim { partition, stay }], self.membership.assignment);
            self.command(self.worker(partition), lose);
            return None;
        }
        close
    }

    /// Releases partitions whose tasks are closed.
    pub(super) fn hand_over(&mut self) {
        for handover in std::mem::take(&mut self.handovers) {
            let open = handover.partitions.iter().any(|p| self.holding(*p).awaited().is_some());
            if open && !fault!("released-before-closed") {
                self.handovers.push(handover);
            } else if handover.why == Why::Changed {
                let release = member::MemberRequest::Release(handover.partitions);
                self.requests.push(SupervisorRequest::Member(release));
            }
        }
    }

    pub(super) fn end(&mut self, result: Result<()>) {
        // The first reason counts.
        if !matches!(self.membership.phase, MembershipPhase::Ended(_)) {
            self.membership.phase = MembershipPhase::Ended(result);
        }
    }

    pub(super) fn holding(&self, partition: Partition) -> Holding {
        self.partitions.get(&partition).copied().unwrap_or_default()
    }

    pub(super) fn next_stay(&mut self) -> Stay {
        self.stay.0 += 1;
        self.stay
    }

    pub(super) fn worker(&self, partition: Partition) -> usize {
        partition.index() % self.workers
    }

    pub(super) fn command(&mut self, worker: usize, command: Command) {
        self.requests.push(SupervisorRequest::Worker(worker, command));
    }

    pub(super) fn command_all(&mut self) {
        for worker in 0..self.workers {
            self.command(worker, Command::Reassigned(self.membership.assignment));
        }
    }
}
