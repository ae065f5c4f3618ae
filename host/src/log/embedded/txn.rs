//! A transactional id, its open transaction, and the decisions about it that are not written everywhere yet.

use super::partition::{ProducerNo, TxnEnding};
use super::topic::TopicNo;
use crate::error::Failure;
use crate::record::{Offset, Partition};
use std::time::Duration;
use thiserror::Error;

/// Why the cluster refuses a call of a transaction.
#[derive(Debug, Error)]
pub(super) enum TxnError {
    /// Another producer has taken the id, or the transaction has timed out.
    #[error("fenced: transactional id {id} is at epoch {current}, this producer has {epoch}")]
    Fenced { id: String, current: u32, epoch: u32 },
    #[error("no transaction is open")]
    NotOpen,
    #[error(transparent)]
    NoMember(#[from] MemberError),
    #[error("the assignment has changed since the epoch began")]
    Reassigned,
    /// A topic is missing, or does not take the record.
    #[error(transparent)]
    Topic(#[from] Failure),
}

/// Why the group does not accept a client's offsets.
#[derive(Debug, Error)]
pub(super) enum MemberError {
    #[error("{instance} is not a member of the group {group}")]
    NotJoined { instance: String, group: String },
    #[error("unknown group {0}")]
    UnknownGroup(String),
    #[error("unknown member {0}: it was evicted")]
    Evicted(String),
    #[error("fenced instance {0}: it joined again")]
    JoinedAgain(String),
    #[error("illegal generation {member}: the group is at {group}")]
    OldGeneration { member: i32, group: i32 },
}

/// The hold of a transactional id. Taking the id again raises the epoch, which ends this hold.
#[derive(Clone, Copy)]
pub(super) struct Hold {
    pub producer: ProducerNo,
    pub epoch: u32,
}

/// When the markers that carry a decision are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Markers {
    AtOnce,
    Later,
}

/// A transactional id and its current epoch.
pub(super) struct TxnProducer {
    pub id: String,
    /// Raised whenever the id is taken, and when a transaction times out.
    pub epoch: u32,
    pub timeout: Duration,
    pub open: Option<Open>,
}

/// An open transaction.
pub(super) struct Open {
    pub deadline: Duration,
    pub partitions: Vec<(TopicNo, Partition)>,
    pub offsets: Vec<GroupOffset>,
}

/// An offset of a group, by names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupOffset {
    pub group: String,
    pub topic: String,
    pub partition: Partition,
    pub offset: Offset,
}

/// A decision that is not yet written to one partition or to the offsets.
pub(super) struct Marker {
    pub producer: ProducerNo,
    pub ending: TxnEnding,
    pub place: Place,
}

pub(super) enum Place {
    Partition(TopicNo, Partition),
    Offsets(Vec<GroupOffset>),
}
