//! The results of a shadow, in one task and in all of them.
//!
//! Rule: everything that is compared is counted. The first differences are reported with their fields.

use crate::record::{Millis, Offset, Partition};
use serde::{Deserialize, Serialize};
use std::ops::AddAssign;
use thiserror::Error;

/// The report of one task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShadowReport {
    /// Version of this format. The first one, 0, is not written.
    #[serde(skip_serializing_if = "is_first")]
    pub format: u32,
    /// Name of the instance where it ran.
    pub instance: String,
    /// Whether it still runs.
    pub standing: ShadowState,
    /// Why it ended early.
    pub why: Option<String>,
    /// Event time of the first step that was compared.
    pub from: Option<Millis>,
    /// Event time of the last step that was compared.
    pub to: Option<Millis>,
    /// How long it should run, in event time.
    pub duration: Millis,
    /// Counts of what was compared.
    pub seen: Seen,
    /// The first differences.
    pub differences: Vec<Difference>,
    /// The shadow's traps, by reason.
    pub traps: Vec<Trapped>,
    /// Notes on how it was compared.
    pub notes: Vec<String>,
}

/// The newest version of the report's format. Adding fields needs no new version, because readers ignore unknown ones.
const FORMAT: u32 = 0;

fn is_first(format: &u32) -> bool {
    *format == 0
}

/// Why a report can't be read.
#[derive(Debug, Error)]
pub enum UnreadableReport {
    /// It has a newer format than this build knows.
    #[error(
        "it has format version {0}, which a newer Pelton has written, and this one reads versions up to {FORMAT}: upgrade \
         this instance to see it"
    )]
    Newer(u32),
    /// It is not the JSON of a report.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl ShadowReport {
    /// Decodes a report from the topic, or says why it can't.
    pub fn read(json: &[u8]) -> Result<ShadowReport, UnreadableReport> {
        // The version comes first, because other versions may have other fields.
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Version {
            format: u32,
        }
        match serde_json::from_slice(json) {
            Ok(Version { format }) if format > FORMAT => Err(UnreadableReport::Newer(format)),
            Ok(_) => Ok(serde_json::from_slice(json)?),
            Err(why) => Err(why.into()),
        }
    }
}

/// The state of a shadow in a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShadowState {
    /// It runs.
    #[default]
    Running,
    /// It has finished its duration.
    Through,
    /// It ended early; the report says why.
    Ended,
}

/// Counts of one task. They can be added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Seen {
    /// Steps that were compared: records, timers, replies.
    pub steps: u64,
    /// How many of these steps were records.
    pub records: u64,
    /// Records that were sent.
    pub outputs: Counts,
    /// Entries that were written or removed.
    pub state: Counts,
    /// Timers that were set or cancelled.
    pub timers: Counts,
    /// Questions that were asked.
    pub lookups: Counts,
    /// Inputs that were refused.
    pub dead_letters: Counts,
    /// The shadow's questions that are not answered, because the live rules did not ask them at the same step.
    pub unanswered: u64,
    /// The shadow's calls that trapped on a single input.
    pub traps: u64,
    /// CPU time of the live rules, in nanoseconds.
    pub live_nanos: u64,
    /// Number of inputs that this CPU time was spent on.
    pub live_inputs: u64,
    /// CPU time of the shadow's rules, in nanoseconds.
    pub shadow_nanos: u64,
    /// Number of inputs that this CPU time was spent on.
    pub shadow_inputs: u64,
}

/// Counts for one kind of effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Both did the same.
    pub same: u64,
    /// Both did it, but differently.
    pub different: u64,
    /// Only the live rules did it.
    pub missing: u64,
    /// Only the shadow did it.
    pub extra: u64,
}

/// A kind of effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EffectKind {
    /// A record that was sent.
    Output,
    /// An entry of a store.
    State,
    /// A timer.
    Timer,
    /// A question to a service.
    Lookup,
    /// An input that was refused.
    DeadLetter,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Kind of the effect.
    pub kind: EffectKind,
    /// `different`, `missing` or `extra`.
    pub how: String,
    /// Name of the output, store, kind of timer or lookup.
    pub name: String,
    /// Entry of the store, or tag of the timer or lookup. Empty if there is none.
    pub entry: String,
    /// The input that caused it.
    pub input: Origin,
    /// The fields that differ.
    pub fields: Vec<FieldDifference>,
}

/// One field that differs. Values are JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldDifference {
    /// Path of the field, such as `money.id`. Empty for the whole value.
    pub path: String,
    /// Value of the live rules, if they have one.
    pub live: Option<String>,
    /// Value of the shadow, if it has one.
    pub shadow: Option<String>,
}

/// An input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// `record`, `timer NAME` or `reply of NAME`.
    pub what: String,
    /// Topic of a record.
    pub topic: Option<String>,
    /// The task, which is the record's partition.
    pub partition: Partition,
    /// Offset of a record.
    pub offset: Option<Offset>,
    /// Its key, as text.
    pub key: String,
    /// Its event time.
    pub time: Millis,
}

/// Traps with the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trapped {
    /// The reason.
    pub reason: String,
    /// How often it trapped.
    pub count: u64,
    /// The first input that trapped.
    pub first: Origin,
}

impl Counts {
    /// Number of differences.
    pub fn differ(&self) -> u64 {
        self.different + self.missing + self.extra
    }
}

impl Seen {
    /// Number of differences of all kinds.
    pub fn differ(&self) -> u64 {
        self.each().iter().map(|(_, counts)| counts.differ()).sum()
    }

    /// The counts by kind, with a name for people.
    pub fn each(&self) -> [(&'static str, Counts); 5] {
        [
            ("outputs", self.outputs),
            ("state entries", self.state),
            ("timers", self.timers),
            ("lookups", self.lookups),
            ("dead letters", self.dead_letters),
        ]
    }

    /// The counts of a kind.
    pub fn of(&mut self, kind: EffectKind) -> &mut Counts {
        match kind {
            EffectKind::Output => &mut self.outputs,
            EffectKind::State => &mut self.state,
            EffectKind::Timer => &mut self.timers,
            EffectKind::Lookup => &mut self.lookups,
            EffectKind::DeadLetter => &mut self.dead_letters,
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.same += other.same;
        self.different += other.different;
        self.missing += other.missing;
        self.extra += other.extra;
    }
}

impl AddAssign<&Seen> for Seen {
    fn add_assign(&mut self, other: &Seen) {
        self.steps += other.steps;
        self.records += other.records;
        self.outputs += other.outputs;
        self.state += other.state;
        self.timers += other.timers;
        self.lookups += other.lookups;
        self.dead_letters += other.dead_letters;
        self.unanswered += other.unanswered;
        self.traps += other.traps;
        self.live_nanos += other.live_nanos;
        self.live_inputs += other.live_inputs;
        self.shadow_nanos += other.shadow_nanos;
        self.shadow_inputs += other.shadow_inputs;
    }
}
