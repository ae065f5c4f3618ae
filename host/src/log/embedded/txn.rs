//! A transactional id, its open transaction, and the decisions about it that are not written everywhere yet.

use super::partition::{ProducerNo, TxnEnding};
use super::topic::TopicNo;
use crate::record::{Offset, Partition};
use std::time::Duration;

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
