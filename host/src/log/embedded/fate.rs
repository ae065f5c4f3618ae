//! What a simulator may decide: how each transactional call goes, and how much a fetch brings.
//!
//! Rule: without a hook everything succeeds at once; a hook only picks among outcomes that a real cluster can have.

use crate::record::Partition;

/// A transactional call about to be made.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Who calls.
    pub instance: &'a str,
    /// With which id.
    pub transactional_id: &'a str,
    /// What is called.
    pub what: What,
}

/// The kinds of transactional calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// `init_transactions`: `Log::producer` or `Producer::renew`.
    Init,
    /// `Producer::submit`.
    Submit,
}

/// How a transactional call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// What really happens. Of an init, everything but `Commit` means that it does not happen.
    pub truth: Truth,
    /// True: the caller is left in doubt (`Ambiguous`, of an init `Retry`), whatever the truth is.
    pub doubt: bool,
    /// The truth happens, and the outcome is told, at the poll after so many polls that tell nothing. Until then the
    /// transaction is open.
    pub polls: u32,
    /// True: the gate is passed and the offsets are sent when the records are produced; false: right before the end.
    /// What happens to the group meanwhile counts only for the second.
    pub gate_early: bool,
    /// True: the decision stands, but its markers are written later, one at a time, by `Embedded::settle`, or before
    /// the next transaction of the same id. Until then readers and `committed` wait.
    pub markers_late: bool,
}

/// What really happens to a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It is committed.
    Commit,
    /// It is aborted.
    Abort,
    /// The producer dies in the middle: the transaction hangs until its time-out, or until the id is taken again.
    Dangle,
}

impl Fate {
    /// Everything succeeds at once, and is told.
    pub const GOOD: Fate = Fate {
        truth: Truth::Commit,
        doubt: false,
        polls: 0,
        gate_early: false,
        markers_late: false,
    };
}

/// Decides the fate of each transactional call. It is called under the cluster's lock: it must not call the cluster.
pub type Fates = Box<dyn FnMut(Call<'_>) -> Fate + Send>;

/// A fetch about to be made, for one partition.
#[derive(Clone, Copy, Debug)]
pub struct Fetch<'a> {
    /// Who fetches.
    pub instance: &'a str,
    /// From which topic.
    pub topic: &'a str,
    /// And which partition.
    pub partition: Partition,
}

/// Decides how many records a fetch brings at most; 0: it brings nothing this time, not even the proof of the end. It
/// is called under the cluster's lock: it must not call the cluster.
pub type Limits = Box<dyn FnMut(Fetch<'_>) -> usize + Send>;
