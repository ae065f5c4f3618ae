//! The state of a deploy, and what a record may change in it.
//!
//! Rule: a deploy is open until the first decision about it. A committed one may be withdrawn once.

use super::deploy::{Deploy, DeployProgress};
use crate::record::{Millis, Number, Partition, VersionId};
use std::collections::BTreeMap;

/// A deploy with its current state.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownDeploy {
    /// The deploy as its author wrote it.
    pub deploy: Deploy,
    /// Whether and how it is decided.
    pub state: DeployState,
    /// The tasks that hold for it, each with its position.
    pub answers: BTreeMap<Partition, Millis>,
    /// How far each instance has come with it, by the instance's name.
    pub reports: BTreeMap<String, DeployProgress>,
    /// Whether the ready instances have all tasks among them. Only then do tasks hold.
    pub covered: bool,
}

/// The state of a deploy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeployState {
    /// It is not decided.
    Open,
    /// It is committed, and takes over at this time.
    Committed(Millis),
    /// It was cancelled, for this reason. It never took over.
    Cancelled(String),
    /// It was withdrawn, for this reason. Before that, it may have taken over at this time.
    Withdrawn(Millis, String),
}

/// A committed deploy, as tasks get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its number.
    pub number: Number,
    /// Its version.
    pub version: VersionId,
    /// It applies to inputs from this time on.
    pub at: Millis,
}

/// What a record has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Nothing: the record came too late, or does not apply in this state.
    None,
    /// Something has changed.
    Changed,
    /// The record is a deploy that does not count, for this reason.
    Refused(String),
}
