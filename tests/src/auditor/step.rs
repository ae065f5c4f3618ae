//! The steps of a task, and their order.

/// Milliseconds, either since 1970 or as a duration.
pub type Millis = i64;

/// A time before all others.
pub const NEVER: Millis = i64::MIN;

/// The place of a step in the task's order. Records come before timers of the same time. The derived order is the order
/// of the steps.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StepKey {
    /// The effective time of a record, or the due time of a timer.
    pub time: Millis,
    /// What happens in the step.
    pub what: StepWhat,
}

/// What happens in a step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StepWhat {
    /// A record.
    Record { rank: u16, offset: i64 },
    /// A session did not arrive in time for the money at this place. This is the only kind of timer.
    SessionMissing {
        key: Vec<u8>,
        session: String,
        place: Place,
    },
}

/// The place of a money event in its task. The derived order is the order of the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Effective time.
    pub time: Millis,
    /// Rank of the stream.
    pub rank: u16,
    /// Offset.
    pub offset: i64,
}
