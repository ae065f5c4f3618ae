//! The instance's membership in the group, from joining to leaving.
//!
//! ```text
//!           fenced                 left, and all is closed           joined
//! Member ------------> Leaving --------------------------> Joining ----------> Member
//!    |                    |
//!    | told to stop,      | told to stop, left,
//!    | all is closed      | all is closed
//!    v      left          v
//!  Going ------------> Ended
//! ```
//!
//! Rule: what is reported while it leaves, or about a membership that is over, changes nothing.

use super::holding::PartitionEvent;
use super::message::SupervisorRequest;
use super::partitions::{Supervisor, Why};
use super::standing::{MembershipPhase, is_due};
use crate::error::Failure;
use crate::fault::fault;
use crate::instance::member::{self, GroupReport, MemberEvent};
use crate::log::Membership;
use std::time::Duration;

/// If a member is fenced twice within this time, another process has the same instance id. A restart of a broker fences
/// only once.
pub const RIVAL: Duration = Duration::from_secs(60);

impl Supervisor {
    pub(super) fn handle_group_report(&mut self, report: GroupReport) {
        let GroupReport {
            membership,
            assignment,
            event: said,
        } = report;
        let joined = said == MemberEvent::Joined && self.membership.phase == MembershipPhase::Joining;
        if membership != self.membership.number && !joined {
            return;
        }
        match (self.membership.phase.clone(), said) {
            (MembershipPhase::Member, MemberEvent::Changed(change)) => {
                self.membership.assignment = assignment;
                self.changed(change);
            }
            (MembershipPhase::Member, MemberEvent::Unreachable(why))
                if is_due(&mut self.membership.said_away, self.clock.now()) =>
            {
                tracing::warn!(%why, "the group can't be reached");
            }
            (MembershipPhase::Member, MemberEvent::Fenced(why)) => self.fenced(&why),
            (MembershipPhase::Leaving { .. }, MemberEvent::Left) => {
                self.membership.phase = MembershipPhase::Leaving { left: true }
            }
            (MembershipPhase::Going, MemberEvent::Left) => self.end(Ok(())),
            (MembershipPhase::Joining, MemberEvent::Joined) => {
                self.membership.number = membership;
                self.membership.assignment = assignment;
                self.membership.phase = MembershipPhase::Member;
            }
            // What is reported while it leaves, or after that, is about a membership that is over.
            _ => {}
        }
    }

    fn changed(&mut self, change: Membership) {
        match change {
            Membership::Assigned(partitions) => {
                if self.stopping {
                    return;
                }
                tracing::info!(?partitions, "assigned");
                if !fault!("workers-not-told-of-change") {
                    self.command_all();
                }
                for partition in partitions {
                    let stay = self.next_stay();
                    self.apply_event(partition, PartitionEvent::Assigned(stay));
                }
            }
            Membership::Revoked(partitions) => {
                tracing::info!(?partitions, "revoked");
                self.release(partitions, PartitionEvent::Revoked, Why::Changed);
            }
            Membership::Lost(partitions) => {
                tracing::warn!(?partitions, "partitions lost: the group considered this instance dead");
                self.release(partitions, PartitionEvent::Lost, Why::Changed);
            }
        }
    }

    /// Everything of this membership is lost. A new one begins without it.
    fn fenced(&mut self, why: &str) {
        let now = self.clock.now();
        if self.membership.fenced.is_some_and(|at| now.saturating_sub(at) < RIVAL) {
            return self.end(Err(Failure::Fenced(format!(
                "{why}: twice within {} s, so another process runs as instance '{}' of '{}'; give each its own `instance`",
                RIVAL.as_secs(),
                self.config.instance,
                self.config.name
            ))));
        }
        self.membership.fenced = Some(now);
        tracing::warn!(%why, "fenced: this instance leaves the group and joins again");
        // The gate closes first, and then open epochs are dropped.
        self.requests
            .push(SupervisorRequest::Member(member::MemberRequest::Leave));
        self.membership.phase = MembershipPhase::Leaving { left: false };
        // The group does not take what was to be released. But it must still be closed in time.
        for handover in &mut self.handovers {
            handover.ends_here();
        }
        let all = self.partitions.keys().copied().collect();
        if !fault!("fenced-keeps-tasks") {
            self.release(all, PartitionEvent::Lost, Why::Fenced);
        }
    }

    /// Handles the request to stop: every task commits its open epoch.
    pub(super) fn stop(&mut self) {
        if self.stopping {
            return;
        }
        self.stopping = true;
        if self.membership.phase == MembershipPhase::Member {
            let all = self.partitions.keys().copied().collect();
            self.release(all, PartitionEvent::Revoked, Why::Stop);
        }
    }

    /// Moves on to the next phase, if this one is complete.
    pub(super) fn advance_phase(&mut self) {
        let closed = self.partitions.values().all(|holding| holding.awaited().is_none());
        match self.membership.phase {
            MembershipPhase::Leaving { left: true } if closed && self.stopping => self.end(Ok(())),
            MembershipPhase::Leaving { left: true } if closed || fault!("joins-before-closed") => {
                self.membership.phase = MembershipPhase::Joining;
                self.requests
                    .push(SupervisorRequest::Member(member::MemberRequest::Join));
            }
            MembershipPhase::Member if closed && self.stopping => {
                self.membership.phase = MembershipPhase::Going;
                self.requests
                    .push(SupervisorRequest::Member(member::MemberRequest::Leave));
            }
            _ => {}
        }
    }
}
