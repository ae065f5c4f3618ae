//! This instance's membership in the consumer group. It does what the supervisor requests, and reports what the group
//! says.
//!
//! Rules:
//! - Everything here may wait for a broker, so it has its own thread and never runs in the supervisor's step.
//! - A report carries the assignment counter as it was right after the change, and the membership that it is about. So
//!   a worker never commits with a counter that is newer than what the supervisor knows.

use crate::error::{Failure, Result};
use crate::log::{Group, Log, Membership};
use crate::record::Partition;
use std::sync::Arc;
use std::time::Duration;

/// A request to the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberRequest {
    /// These partitions are closed, so that others may have them.
    Release(Vec<Partition>),
    /// Leave the group. [`MemberEvent::Left`] is the answer.
    Leave,
    /// Join the group again. [`MemberEvent::Joined`] is the answer.
    Join,
}

/// A report from the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupReport {
    /// The membership that reports: 0 for the first one, and one more for each join.
    pub membership: u64,
    /// The assignment counter after this.
    pub assignment: u64,
    /// What is reported.
    pub event: MemberEvent,
}

/// What the group reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberEvent {
    /// The assignment has changed.
    Changed(Membership),
    /// No broker answers. It will continue when one does.
    Unreachable(String),
    /// Another process has joined with our instance id. After this, the membership reports only `Left`.
    Fenced(String),
    /// It has left.
    Left,
    /// It has joined.
    Joined,
}

impl GroupReport {
    /// Whether it says that no broker answers.
    pub fn is_unreachable(&self) -> bool {
        matches!(self.event, MemberEvent::Unreachable(_))
    }

    /// Whether it is about partitions that must be released.
    pub fn wants_release(&self) -> bool {
        matches!(
            self.event,
            MemberEvent::Changed(Membership::Revoked(_) | Membership::Lost(_))
        )
    }
}

/// The membership in the consumer group.
pub struct Member {
    log: Arc<dyn Log>,
    /// `None` after it has left.
    group: Option<Box<dyn Group>>,
    number: u64,
    /// Whether it was fenced, so that it reports nothing more.
    fenced: bool,
}

impl Member {
    /// Joins the group.
    pub fn join(log: Arc<dyn Log>) -> Result<Member> {
        let group = Some(log.join()?);
        Ok(Member {
            log,
            group,
            number: 0,
            fenced: false,
        })
    }

    /// Does what is requested. Fails if the instance can't go on.
    pub fn request(&mut self, request: MemberRequest) -> Result<Option<GroupReport>> {
        match request {
            MemberRequest::Release(partitions) => {
                let released = self.group.as_mut().map(|group| group.released(&partitions));
                match released {
                    Some(Err(Failure::Fenced(why))) => Ok(self.was_fenced(why)),
                    Some(Err(other)) => Err(other),
                    Some(Ok(())) | None => Ok(None),
                }
            }
            MemberRequest::Leave => {
                if let Some(mut group) = self.group.take() {
                    group.leave();
                }
                Ok(Some(self.report(MemberEvent::Left)))
            }
            MemberRequest::Join => {
                self.group = None;
                self.group = Some(self.log.join()?);
                self.number += 1;
                self.fenced = false;
                Ok(Some(self.report(MemberEvent::Joined)))
            }
        }
    }

    /// Waits for the next change. Fails if the instance can't go on.
    pub fn poll(&mut self, wait: Duration) -> Result<Option<GroupReport>> {
        let Some(group) = self.group.as_mut().filter(|_| !self.fenced) else {
            return Ok(None);
        };
        match group.poll(wait) {
            Ok(change) => Ok(change.map(|change| self.report(MemberEvent::Changed(change)))),
            Err(Failure::Retry(why)) => Ok(Some(self.report(MemberEvent::Unreachable(why)))),
            Err(Failure::Fenced(why)) => Ok(self.was_fenced(why)),
            Err(other) => Err(other),
        }
    }

    /// Whether it is in the group, as far as it knows, so that there may be changes.
    pub fn hears(&self) -> bool {
        self.group.is_some() && !self.fenced
    }

    fn was_fenced(&mut self, why: String) -> Option<GroupReport> {
        let first = !std::mem::replace(&mut self.fenced, true);
        first.then(|| self.report(MemberEvent::Fenced(why)))
    }

    fn report(&self, event: MemberEvent) -> GroupReport {
        GroupReport {
            membership: self.number,
            assignment: self.log.assignment(),
            event,
        }
    }
}
