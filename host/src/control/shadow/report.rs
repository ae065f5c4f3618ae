//! What was seen of a shadow in one task, and in all of them.
//!
//! Rule: everything that is compared is counted; of what differs, the first ones are told with their fields.

use crate::record::{Millis, Offset, Partition};
use serde::{Deserialize, Serialize};
use std::ops::AddAssign;

/// Of one task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Where it ran.
    pub instance: String,
    /// How it stands.
    pub standing: Standing,
    /// Why it has ended early.
    pub why: Option<String>,
    /// Event time of the first and of the last step that was compared.
    pub from: Option<Millis>,
    /// See `from`.
    pub to: Option<Millis>,
    /// For so long it shall run, in event time.
    pub duration: Millis,
    /// What was compared.
    pub seen: Seen,
    /// The first differences.
    pub differences: Vec<Difference>,
    /// The shadow's traps, by reason.
    pub traps: Vec<Trapped>,
    /// What there is to know of how it was compared.
    pub notes: Vec<String>,
}

/// How a shadow stands in a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It runs.
    #[default]
    Running,
    /// It has run for as long as it should.
    Through,
    /// It has ended early: the report says why.
    Ended,
}

/// Numbers of one task; they can be summed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Seen {
    /// Steps compared: records, timers, replies.
    pub steps: u64,
    /// Those of them that were records.
    pub records: u64,
    /// What was sent.
    pub outputs: Counts,
    /// Entries written or removed.
    pub state: Counts,
    /// Timers set or taken back.
    pub timers: Counts,
    /// Questions asked.
    pub lookups: Counts,
    /// Inputs refused.
    pub dead_letters: Counts,
    /// The shadow's questions that nobody answers: the live rules did not ask them there.
    pub unanswered: u64,
    /// The shadow's calls that trapped, with their input alone.
    pub traps: u64,
    /// CPU time of the live rules, in nanoseconds, for so many inputs.
    pub live_nanos: u64,
    /// See `live_nanos`.
    pub live_inputs: u64,
    /// CPU time of the shadow's rules, in nanoseconds, for so many inputs.
    pub shadow_nanos: u64,
    /// See `shadow_nanos`.
    pub shadow_inputs: u64,
}

/// How many of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Both did it.
    pub same: u64,
    /// Both did it in different ways.
    pub different: u64,
    /// Only the live rules did it.
    pub missing: u64,
    /// Only the shadow did it.
    pub extra: u64,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Something sent.
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
    /// Of what.
    pub kind: Kind,
    /// `different`, `missing` or `extra`.
    pub how: String,
    /// Name of the output, store, kind of timer or lookup.
    pub name: String,
    /// Entry of the store, tag of the timer or lookup; empty: it has none.
    pub entry: String,
    /// The input that caused it.
    pub input: Origin,
    /// Field by field.
    pub fields: Vec<Field>,
}

/// One field that differs. Values are JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Where it is: `money.id`; empty: the whole.
    pub path: String,
    /// What the live rules say; none: nothing.
    pub live: Option<String>,
    /// What the shadow says; none: nothing.
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

/// Traps of one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trapped {
    /// Why.
    pub reason: String,
    /// How often.
    pub count: u64,
    /// The first input.
    pub first: Origin,
}

impl Counts {
    /// Everything that is not the same.
    pub fn differ(&self) -> u64 {
        self.different + self.missing + self.extra
    }
}

impl Seen {
    /// Everything that is not the same, of all kinds.
    pub fn differ(&self) -> u64 {
        self.each().iter().map(|(_, counts)| counts.differ()).sum()
    }

    /// By kind, with its name for people.
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
    pub fn of(&mut self, kind: Kind) -> &mut Counts {
        match kind {
            Kind::Output => &mut self.outputs,
            Kind::State => &mut self.state,
            Kind::Timer => &mut self.timers,
            Kind::Lookup => &mut self.lookups,
            Kind::DeadLetter => &mut self.dead_letters,
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
