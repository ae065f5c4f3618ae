//! What a simulator may decide: how each transactional call ends, and how much a fetch returns.
//!
//! Rule: without a hook, everything succeeds at once. A hook can only choose outcomes that a real cluster may have.

/// A transactional call that is about to be made.
#[derive(Clone, Copy, Debug)]
pub struct TxnCall<'a> {
    /// Its transactional id.
    pub transactional_id: &'a str,
    /// The kind of call.
    pub what: CallKind,
}

/// The kinds of transactional calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// `init_transactions`, by `Log::producer` or `Producer::renew`.
    Init,
    /// `Producer::submit`.
    Submit,
}

/// How a transactional call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// What really happens. An init happens only if this is `Commit`.
    pub truth: Truth,
    /// Whether the caller is left in doubt about it: `Ambiguous`, or `Retry` for an init.
    pub doubt: bool,
    /// How many polls return nothing first. At the next one the truth happens and is reported. Until then the
    /// transaction is open.
    pub polls: u32,
    /// When the gate is passed and the offsets are sent: if true, right after the records; if false, right before the
    /// end, so that changes of the group in between count.
    pub gate_early: bool,
    /// Whether the markers of the decision are written later. `Embedded::settle` writes them one by one, and the next
    /// transaction of the same id writes all. Until then readers and `committed` wait.
    pub markers_late: bool,
}

/// What really happens to a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It is committed.
    Commit,
    /// It is aborted.
    Abort,
    /// The producer dies in the middle: the transaction stays open until its time-out, or until the id is taken again.
    Dangle,
}

impl Fate {
    /// It succeeds at once, and the caller is told so.
    pub const GOOD: Fate = Fate {
        truth: Truth::Commit,
        doubt: false,
        polls: 0,
        gate_early: false,
        markers_late: false,
    };
}

/// Decides the fate of each transactional call. It runs under the cluster's lock, so it must not call the cluster.
pub type Fates = Box<dyn FnMut(TxnCall<'_>) -> Fate + Send>;

/// The hooks of a cluster.
#[derive(Default)]
pub struct Hooks {
    /// For transactional calls.
    pub fates: Option<Fates>,
    /// For fetches.
    pub limits: Option<FetchLimits>,
}

/// A fetch that is about to be made from one partition of a topic.
#[derive(Clone, Copy, Debug)]
pub struct FetchCall<'a> {
    /// The topic that it fetches from.
    pub topic: &'a str,
}

/// Decides the maximum number of records of a fetch. At 0 it returns nothing, not even a proof of the end. It runs
/// under the cluster's lock, so it must not call the cluster.
pub type FetchLimits = Box<dyn FnMut(FetchCall<'_>) -> usize + Send>;
