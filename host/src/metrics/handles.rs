//! Handles of metrics: plain counters, gauges and histograms that are cheap to clone and need no look-up.

use crate::record::{Millis, NEVER};
use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// A gauge in seconds, or of a ratio.
pub type FloatGauge = Gauge<f64, AtomicU64>;

/// A counter in seconds.
pub type FloatCounter = Counter<f64, AtomicU64>;

/// Names and values of labels. A metric always has them in the same order.
pub(super) type Labels = Vec<(&'static str, Label)>;

/// The value of a label.
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

/// The series with each of these labels, in their order.
pub(super) fn each<M: Clone>(series: &Series<M>, labels: &[Labels]) -> Vec<M> {
    labels.iter().map(|labels| series.get_or_create_owned(labels)).collect()
}

/// Why an input goes to the dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadLetterReason {
    /// It can't be decoded, or its schema id or its type is unknown.
    Unreadable,
    /// It has no key.
    NoKey,
    /// It has no value, but its event time should be a field of the value.
    NoValue,
    /// Its event time is too far in the future.
    TooFarAhead,
    /// The rules refused it.
    Rejected,
    /// The rules trapped on it twice, or their effects can't be applied.
    Trap,
    /// The rules' output for it is larger than Kafka accepts.
    TooLarge,
    /// It was pending when a version of the rules took over that does not know it.
    Dropped,
}

impl DeadLetterReason {
    /// All reasons, in the order of their numbers.
    pub const ALL: [DeadLetterReason; 8] = [
        DeadLetterReason::Unreadable,
        DeadLetterReason::NoKey,
        DeadLetterReason::NoValue,
        DeadLetterReason::TooFarAhead,
        DeadLetterReason::Rejected,
        DeadLetterReason::Trap,
        DeadLetterReason::TooLarge,
        DeadLetterReason::Dropped,
    ];

    /// The value of the label `reason`.
    pub fn name(self) -> &'static str {
        match self {
            DeadLetterReason::Unreadable => "unreadable",
            DeadLetterReason::NoKey => "no_key",
            DeadLetterReason::NoValue => "no_value",
            DeadLetterReason::TooFarAhead => "too_far_ahead",
            DeadLetterReason::Rejected => "rejected",
            DeadLetterReason::Trap => "trap",
            DeadLetterReason::TooLarge => "too_large",
            DeadLetterReason::Dropped => "dropped",
        }
    }
}

/// The metrics of a task.
#[derive(Clone, Debug)]
pub struct TaskMetrics {
    /// Of its inputs.
    pub inputs: InputMetrics,
    /// Records that were written, by index of the output.
    pub events_out: Vec<Counter>,
    /// Set by [`watermark`](TaskMetrics::watermark).
    pub watermark_seconds: FloatGauge,
    /// Set by [`watermark`](TaskMetrics::watermark).
    pub event_time_lag_seconds: FloatGauge,
    /// Inputs sent to the dead letters, by number of the reason.
    pub dead_letters: [Counter; DeadLetterReason::ALL.len()],
    /// Of its calls of the rules.
    pub calls: CallMetrics,
    /// Of its state.
    pub state: StateMetrics,
    /// Number of timers that are set.
    pub timers: Gauge,
    /// Number of lookups without a reply.
    pub lookups_pending: Gauge,
}

/// The metrics of a task's inputs, each by rank.
#[derive(Clone, Debug)]
pub struct InputMetrics {
    /// Records that were processed.
    pub events_in: Vec<Counter>,
    /// Records that were late.
    pub late: Vec<Counter>,
    /// Records whose key murmur2 would place in another partition.
    pub foreign_keys: Vec<Counter>,
    /// Bytes of records that were fetched but not processed.
    pub buffered_bytes: Vec<Gauge>,
    /// Bytes of these that are on disk instead of in memory.
    pub spilled_bytes: Vec<Gauge>,
    /// Committed offsets.
    pub position: Vec<Gauge>,
}

/// The metrics of a task's calls of the rules.
#[derive(Clone, Debug)]
pub struct CallMetrics {
    /// Batches that were cut.
    pub cuts: Counter,
    /// Calls that trapped.
    pub traps: Counter,
    /// Inputs that became dead letters because of the rules.
    pub faults: Counter,
    /// 1 while it takes no steps because its rules exceeded a budget.
    pub stopped: Gauge,
}

/// The metrics of a task's state.
#[derive(Clone, Debug)]
pub struct StateMetrics {
    /// Number of keys with state.
    pub rows: Gauge,
    /// Its size in memory.
    pub bytes: Gauge,
    /// Size of the changelog that a restore would read.
    pub log_bytes: Gauge,
    /// How much of the changelog is restored, from 0 to 1.
    pub restored_ratio: FloatGauge,
    /// 1 while the local disk can't store it.
    pub unstored: Gauge,
}

impl TaskMetrics {
    /// Sets the watermark and its lag behind `now`. Before the first record, the task has neither.
    pub fn watermark(&self, watermark: Millis, now: Millis) {
        if watermark != NEVER {
            self.watermark_seconds.set(watermark as f64 / 1e3);
            self.event_time_lag_seconds.set((now as f64 - watermark as f64) / 1e3);
        }
    }
}

/// The parts of a worker's CPU time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuPart {
    /// Taking over fetched records.
    Poll,
    /// Computing event times and sorting records.
    Arrive,
    /// The rules, including the calls into them and their reads of state.
    Rules,
    /// Steps without the rules: planning, decoding, checking and applying.
    Steps,
    /// Deltas, the sweep, sealing and committing rows.
    Commit,
    /// Everything else: flushing, idleness, metrics.
    Other,
}

impl CpuPart {
    /// All parts, in the order of their numbers.
    pub const ALL: [CpuPart; 6] = [
        CpuPart::Poll,
        CpuPart::Arrive,
        CpuPart::Rules,
        CpuPart::Steps,
        CpuPart::Commit,
        CpuPart::Other,
    ];

    /// The value of the label `part`.
    pub fn name(self) -> &'static str {
        match self {
            CpuPart::Poll => "poll",
            CpuPart::Arrive => "arrive",
            CpuPart::Rules => "rules",
            CpuPart::Steps => "steps",
            CpuPart::Commit => "commit",
            CpuPart::Other => "other",
        }
    }
}

/// CPU time that the calling thread has used so far.
pub fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the result is ours. The call fails for no clock that the system has, and then leaves zeros.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The metrics of a worker.
#[derive(Clone, Debug)]
pub struct WorkerMetrics {
    /// Epochs that were committed.
    pub committed: Counter,
    /// Epochs that were aborted.
    pub aborted: Counter,
    /// Epochs whose outcome was unknown at first.
    pub ambiguous: Counter,
    /// For how many seconds no epoch could be committed. 0 if the last one was.
    pub uncommitted_seconds: Gauge,
    /// Number of deploys that were withdrawn.
    pub withdrawn: Gauge,
    /// Time from the end of an epoch to its commit.
    pub commit_seconds: Histogram,
    /// Time that a task with work stood still until a deploy was decided.
    pub held_seconds: Histogram,
    /// Time from a turn in which a task left work to its next turn with steps.
    pub pause_seconds: Histogram,
    /// Time to instantiate a version of the rules.
    pub sandbox_seconds: Histogram,
    /// Number of inputs of a call.
    pub batch_inputs: Histogram,
    /// Duration of a call.
    pub guest_seconds: Histogram,
    /// CPU time of its thread, by number of the part.
    pub cpu: [FloatCounter; CpuPart::ALL.len()],
}

/// The metrics of a version of the rules, by index in its description.
#[derive(Clone, Debug)]
pub struct RulesMetrics {
    /// Reads that were not announced, by store.
    pub misses: Vec<Counter>,
    /// The rules' own counters.
    pub counters: Vec<Counter>,
}

/// The metrics of a lookup.
#[derive(Clone, Debug)]
pub struct LookupMetrics {
    /// Questions that were answered with a body.
    pub answered: Counter,
    /// Questions that were answered with "there is none".
    pub absent: Counter,
    /// Questions without an answer.
    pub unavailable: Counter,
    /// HTTP calls that were made.
    pub tries: Counter,
    /// Time from a question to its answer.
    pub seconds: Histogram,
    /// Number of questions that are not answered yet.
    pub waiting: Gauge,
    /// 1 while the circuit breaker is open.
    pub breaker_open: Gauge,
}
