//! What a step sends: an output, or a dead letter.

use super::read::Enriched;
use super::step::{Millis, Place, StepKey};

/// Why a record was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// A null key.
    NoKey,
    /// A null value.
    NoValue,
    /// Bytes that don't match the schema, an unknown schema, or an unknown kind of event.
    Undecodable,
    /// Its time is too far in the future.
    TooFarAhead,
    /// The rules trap on it.
    Trapped,
}

/// A refused record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The place of the record.
    pub place: Place,
    /// The reason.
    pub refusal: Refusal,
}

/// An output record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The step that sent it. If a reply sent it, the reply's anchor.
    pub step: StepKey,
    /// Whether a reply sent it.
    pub looked_up: bool,
    /// The deploy whose rules must have sent it.
    pub deploy: u64,
    /// The user id.
    pub key: Vec<u8>,
    /// Time of the step.
    pub timestamp: Millis,
    /// The value.
    pub value: Enriched,
}
