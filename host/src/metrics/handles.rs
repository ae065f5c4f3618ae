//! What the users of the metrics hold: plain counters, gauges and histograms, cheap to clone and without a look-up.

use super::{FloatCounter, FloatGauge};
use crate::record::{Millis, NEVER};
use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Names and values of labels, always in the same order for a metric.
pub(super) type Labels = Vec<(&'static str, Label)>;

/// Value of a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Label {
    Number(i64),
    Word(&'static str),
    Text(Arc<str>),
}

impl Label {
    pub fn text(text: &str) -> Label {
        Label::Text(text.into())
    }
}

impl EncodeLabelValue for Label {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), fmt::Error> {
        match self {
            Label::Number(number) => number.encode(encoder),
            Label::Word(word) => word.encode(encoder),
            Label::Text(text) => text.as_ref().encode(encoder),
        }
    }
}

/// The series of one metric.
pub(super) type Series<M> = Family<Labels, M, fn() -> M>;

/// The series with these labels, in their order.
pub(super) fn each<M: Clone>(series: &Series<M>, labels: &[Labels]) -> Vec<M> {
    labels.iter().map(|labels| series.get_or_create_owned(labels)).collect()
}

/// Kinds of reasons to send an input to the dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadLetter {
    /// It can't be decoded, or its schema id or type is unknown.
    Unreadable,
    /// It has no key.
    NoKey,
    /// It has no value, and its event time would be a field of it.
    NoValue,
    /// Its time is too far ahead.
    TooFarAhead,
    /// The rules refused it.
    Rejected,
    /// The rules trapped on it, twice, or what they made of it can't be applied.
    Trap,
    /// What the rules made of it is larger than Kafka takes.
    TooLarge,
    /// It was pending when rules took over that don't know it.
    Dropped,
}

impl DeadLetter {
    /// All of them, in the order of their numbers.
    pub const ALL: [DeadLetter; 8] = [
        DeadLetter::Unreadable,
        DeadLetter::NoKey,
        DeadLetter::NoValue,
        DeadLetter::TooFarAhead,
        DeadLetter::Rejected,
        DeadLetter::Trap,
        DeadLetter::TooLarge,
        DeadLetter::Dropped,
    ];

    /// As a label.
    pub fn name(self) -> &'static str {
        match self {
            DeadLetter::Unreadable => "unreadable",
            DeadLetter::NoKey => "no_key",
            DeadLetter::NoValue => "no_value",
            DeadLetter::TooFarAhead => "too_far_ahead",
            DeadLetter::Rejected => "rejected",
            DeadLetter::Trap => "trap",
            DeadLetter::TooLarge => "too_large",
            DeadLetter::Dropped => "dropped",
        }
    }
}

/// What a task tells. Vectors are by rank of the stream, or by index of the output.
#[derive(Clone, Debug)]
pub struct TaskMetrics {
    /// Records processed, by rank.
    pub events_in: Vec<Counter>,
    /// Those of them that were late, by rank.
    pub late: Vec<Counter>,
    /// Keys that murmur2 places elsewhere, by rank.
    pub foreign_keys: Vec<Counter>,
    /// Bytes fetched and not processed, by rank.
    pub buffered_bytes: Vec<Gauge>,
    /// Those of them that are on disk, not in memory, by rank.
    pub spilled_bytes: Vec<Gauge>,
    /// Committed offsets, by rank.
    pub position: Vec<Gauge>,
    /// Records written, by output.
    pub events_out: Vec<Counter>,
    /// See [`watermark`](TaskMetrics::watermark).
    pub watermark_seconds: FloatGauge,
    /// See [`watermark`](TaskMetrics::watermark).
    pub event_time_lag_seconds: FloatGauge,
    /// By number of the kind.
    pub dead_letters: [Counter; DeadLetter::ALL.len()],
    /// Batches cut.
    pub cuts: Counter,
    /// Calls that trapped.
    pub traps: Counter,
    /// Inputs refused by the rules' fault.
    pub rules_faults: Counter,
    /// 1: it takes no step, because its rules are over a budget.
    pub rules_stopped: Gauge,
    /// Keys with state.
    pub state_rows: Gauge,
    /// Bytes of state.
    pub state_bytes: Gauge,
    /// Bytes of the changelog.
    pub log_bytes: Gauge,
    /// Timers set.
    pub timers: Gauge,
    /// Lookups without a reply.
    pub lookups_pending: Gauge,
    /// From 0 to 1.
    pub restored_ratio: FloatGauge,
    /// 0 or 1.
    pub unstored: Gauge,
}

impl TaskMetrics {
    /// Sets the watermark, and the lag behind `now`. Before the first record there is neither.
    pub fn watermark(&self, watermark: Millis, now: Millis) {
        if watermark != NEVER {
            self.watermark_seconds.set(watermark as f64 / 1e3);
            self.event_time_lag_seconds.set((now as f64 - watermark as f64) / 1e3);
        }
    }

    /// The counter of a kind of dead letter.
    pub fn dead_letter(&self, kind: DeadLetter) -> &Counter {
        &self.dead_letters[kind as usize]
    }
}

/// What a worker's CPU time goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Taking over what was fetched.
    Poll,
    /// Event times, the order.
    Arrive,
    /// The rules, with the crossing into them and their reads of state.
    Rules,
    /// Steps but for the rules: planning, resolving, checking and applying.
    Steps,
    /// Deltas, the sweep, sealing and committing rows.
    Commit,
    /// The rest: flushing, idleness, metrics.
    Other,
}

impl Part {
    /// All of them, in the order of their numbers.
    pub const ALL: [Part; 6] = [
        Part::Poll,
        Part::Arrive,
        Part::Rules,
        Part::Steps,
        Part::Commit,
        Part::Other,
    ];

    /// As a label.
    pub fn name(self) -> &'static str {
        match self {
            Part::Poll => "poll",
            Part::Arrive => "arrive",
            Part::Rules => "rules",
            Part::Steps => "steps",
            Part::Commit => "commit",
            Part::Other => "other",
        }
    }
}

/// CPU time of the calling thread so far.
pub fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the result is ours. The call fails for no clock that the system has, and then leaves zeros.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// What a worker tells.
#[derive(Clone, Debug)]
pub struct WorkerMetrics {
    /// Epochs committed.
    pub committed: Counter,
    /// Epochs aborted.
    pub aborted: Counter,
    /// Epochs of which nobody knew, at first.
    pub ambiguous: Counter,
    /// Deploys that were withdrawn.
    pub withdrawn: Gauge,
    /// From the end of an epoch to its commit.
    pub commit_seconds: Histogram,
    /// How long a task with work stood still until a deploy was decided.
    pub held_seconds: Histogram,
    /// From the turn of a task that left work to the next one that took steps.
    pub pause_seconds: Histogram,
    /// To instantiate a version of the rules.
    pub sandbox_seconds: Histogram,
    /// Inputs of a call.
    pub batch_inputs: Histogram,
    /// Time of a call.
    pub guest_seconds: Histogram,
    /// CPU time of its thread, by number of the part.
    pub cpu: [FloatCounter; Part::ALL.len()],
}

/// What a version of the rules tells, by index of its description.
#[derive(Clone, Debug)]
pub struct RulesMetrics {
    /// Reads that were not named before, by store.
    pub misses: Vec<Counter>,
    /// The rules' own counters.
    pub counters: Vec<Counter>,
}

/// What a lookup tells.
#[derive(Clone, Debug)]
pub struct LookupMetrics {
    /// Ended with a body.
    pub answered: Counter,
    /// Ended with "there is none".
    pub absent: Counter,
    /// Ended without an answer.
    pub unavailable: Counter,
    /// HTTP calls.
    pub tries: Counter,
    /// From question to answer.
    pub seconds: Histogram,
    /// Asked, not answered.
    pub waiting: Gauge,
    /// 1 while the breaker is open.
    pub breaker_open: Gauge,
}
