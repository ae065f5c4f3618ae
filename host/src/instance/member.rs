//! This instance as a member of the consumer group: it does what the supervisor asks, and tells what it hears.
//!
//! Rules:
//! - Everything here may wait for a broker, so it never runs in the supervisor's step: it has a thread of its own.
//! - What it tells carries the assignment counter as it stood right after the change, and which membership it is of. So a
//!   worker never commits under a counter that is newer than what the supervisor knows.

use crate::error::{Failure, Result};
use crate::log::{Group, Log, Membership};
use crate::record::Partition;
use std::sync::Arc;
use std::time::Duration;

/// What the group is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// These partitions are closed: others may have them.
    Release(Vec<Partition>),
    /// Leave the group. It is answered by [`Said::Left`].
    Leave,
    /// Join it again. It is answered by [`Said::Joined`].
    Join,
}

/// What the group has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Which membership says it: the first one is 0, and each join counts one up.
    pub membership: u64,
    /// The assignment counter that holds from then on.
    pub assignment: u64,
    /// What.
    pub said: Said,
}

/// See [`Heard`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Partitions have changed hands.
    Changed(Membership),
    /// No broker answers; it goes on when one does.
    Unreachable(String),
    /// Somebody has joined by our instance id. Nothing more is heard of this membership but `Left`.
    Fenced(String),
    /// It has left.
    Left,
    /// It has joined.
    Joined,
}

impl Heard {
    /// No broker answers.
    pub fn is_unreachable(&self) -> bool {
        matches!(self.said, Said::Unreachable(_))
    }

    /// It is about partitions that are to be released.
    pub fn wants_release(&self) -> bool {
        matches!(self.said, Said::Changed(Membership::Revoked(_) | Membership::Lost(_)))
    }
}

/// See the module.
pub struct Member {
    log: Arc<dyn Log>,
    /// None after it has left.
    group: Option<Box<dyn Group>>,
    number: u64,
    /// It was fenced, and hears nothing more.
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

    /// Does what it is asked. Err: the instance can't go on.
    pub fn request(&mut self, request: Request) -> Result<Option<Heard>> {
        match request {
            Request::Release(partitions) => {
                let released = self.group.as_mut().map(|group| group.released(&partitions));
                match released {
                    Some(Err(Failure::Fenced(why))) => Ok(self.was_fenced(why)),
                    Some(Err(other)) => Err(other),
                    Some(Ok(())) | None => Ok(None),
                }
            }
            Request::Leave => {
                if let Some(mut group) = self.group.take() {
                    group.leave();
                }
                Ok(Some(self.heard(Said::Left)))
            }
            Request::Join => {
                self.group = None;
                self.group = Some(self.log.join()?);
                self.number += 1;
                self.fenced = false;
                Ok(Some(self.heard(Said::Joined)))
            }
        }
    }

    /// Waits for the next change. Err: the instance can't go on.
    pub fn poll(&mut self, wait: Duration) -> Result<Option<Heard>> {
        let Some(group) = self.group.as_mut().filter(|_| !self.fenced) else {
            return Ok(None);
        };
        match group.poll(wait) {
            Ok(change) => Ok(change.map(|change| self.heard(Said::Changed(change)))),
            Err(Failure::Retry(why)) => Ok(Some(self.heard(Said::Unreachable(why)))),
            Err(Failure::Fenced(why)) => Ok(self.was_fenced(why)),
            Err(other) => Err(other),
        }
    }

    /// It is in the group, as far as it knows: there is something to hear.
    pub fn hears(&self) -> bool {
        self.group.is_some() && !self.fenced
    }

    fn was_fenced(&mut self, why: String) -> Option<Heard> {
        let first = !std::mem::replace(&mut self.fenced, true);
        first.then(|| self.heard(Said::Fenced(why)))
    }

    fn heard(&self, said: Said) -> Heard {
        Heard {
            membership: self.number,
            assignment: self.log.assignment(),
            said,
        }
    }
}
