//! The auditor: a plain model of what the money pipeline (`guest-enrich`) must do.
//!
//! Rule: it shares no code with the host, the SDK or the rules. It gets the whole log and the whole journal of a task
//! at once. It is written for clarity, so everything is a sorted list.

mod deploys;
mod order;
mod read;
mod rules;
#[cfg(test)]
mod tests;

pub use deploys::{Decided, Said, Takeover, decide, takeovers};
pub use read::{Decimal, Enriched, Event, Money, UserInfo, read, read_enriched};
pub use rules::{Counters, State};

use std::collections::BTreeMap;

/// Milliseconds, either since 1970 or as a duration.
pub type Millis = i64;

/// A time before all others.
pub const NEVER: Millis = i64::MIN;

/// The format of the values in the topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Byte 0, the schema's id, and the Avro datum.
    Avro,
    /// A JSON object.
    Json,
}

/// A record of an input partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Its offset. Offsets grow, with gaps.
    pub offset: i64,
    /// The key. `None` is a null key.
    pub key: Option<Vec<u8>>,
    /// The value. `None` is a null value.
    pub value: Option<Vec<u8>>,
    /// When the broker appended it, if the topic has append time.
    pub appended: Option<Millis>,
}

/// A journal entry that moves an idle partition's watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The input partition of the task, as the rank of its stream.
    pub rank: u16,
    /// It comes before the record with this offset.
    pub next: i64,
    /// The watermark from there on.
    pub time: Millis,
}

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

/// How a lookup ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The body of the reply, as it came.
    Body(Vec<u8>),
    /// The service knows no such session.
    Absent,
    /// No answer after the retries.
    Unavailable,
}

/// A journaled reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The step that it comes right after. Several replies after one step are in the order of the list.
    pub anchor: StepKey,
    /// The step that asked.
    pub asked_by: StepKey,
    /// The answer.
    pub answer: Answer,
    /// The deploy whose rules take it: the last one that the journal names before it, or 1 if it names none.
    pub deploy: u64,
}

/// Everything that a task has read.
#[derive(Clone, Debug, Default)]
pub struct Task {
    /// By rank, and in offset order.
    pub partitions: Vec<Vec<Record>>,
    /// In the journal's order.
    pub heartbeats: Vec<Heartbeat>,
    /// In the journal's order.
    pub replies: Vec<Reply>,
    /// The take-overs, in the journal's order.
    pub takeovers: Vec<Takeover>,
    /// (rank, offset) of the records that the journal says were too far ahead of the wall clock.
    pub too_far_ahead: Vec<(u16, i64)>,
    /// The last step that is taken. `None` means every final step.
    pub until: Option<StepKey>,
}

/// The settings in the pipeline's file. Times are in milliseconds.
#[derive(Clone, Debug)]
pub struct Parameters {
    /// The format of the inputs.
    pub format: Format,
    /// By rank.
    pub out_of_orderness: Vec<Millis>,
    /// By rank. Only for topics with append time.
    pub max_ahead: Vec<Millis>,
    /// How long a money id is remembered, to drop duplicates.
    pub dedup_ttl: Millis,
    /// How long a session is remembered.
    pub session_ttl: Millis,
    /// How long money waits for its session before the session is looked up.
    pub pending_ttl: Millis,
    /// Written before each money type in the outputs.
    pub label: String,
    /// Which rules run.
    pub code: Code,
    /// The committed deploys after the first one. The first one is described by the fields above.
    pub deploys: Vec<Deployed>,
}

/// A deploy that applies from a time on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployed {
    /// Its number.
    pub number: u64,
    /// Steps of this time or later belong to it.
    pub at: Millis,
    /// The settings of its rules.
    pub settings: Settings,
}

/// The settings of the rules. The fields are those of [`Parameters`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// How long a money id is remembered, to drop duplicates.
    pub dedup_ttl: Millis,
    /// How long a session is remembered.
    pub session_ttl: Millis,
    /// How long money waits for its session before the session is looked up.
    pub pending_ttl: Millis,
    /// Written before each money type in the outputs.
    pub label: String,
    /// Which rules run.
    pub code: Code,
}

/// The rules: those of `guest-enrich`, or a version with an addition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Code {
    /// The rules as they are in the repository.
    #[default]
    Plain,
    /// Counts how often a user's data has changed, in the state and in the outputs. Data that other versions wrote has
    /// the count 0.
    Counted,
    /// Money without a known session gets the country that its user lives in.
    Resident,
}

impl Default for Parameters {
    /// The settings in the pipeline's own file.
    fn default() -> Parameters {
        Parameters {
            format: Format::Avro,
            out_of_orderness: vec![20_000; 3],
            max_ahead: vec![Millis::MAX; 3],
            dedup_ttl: 60_000,
            session_ttl: 86_400_000,
            pending_ttl: 3_600_000,
            label: String::new(),
            code: Code::Plain,
            deploys: vec![],
        }
    }
}

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

/// What must have happened.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// In step order.
    pub outputs: Vec<Output>,
    /// In step order.
    pub dead_letters: Vec<DeadLetter>,
    /// By user.
    pub users: BTreeMap<Vec<u8>, State>,
    /// The counters of the rules.
    pub counters: Counters,
    /// The task's watermark.
    pub watermark: Millis,
    /// Steps taken, in order.
    pub steps: Vec<StepKey>,
    /// Records that were read but are not final.
    pub waiting: Vec<Place>,
}

/// Takes all steps that are final at the end of the logs and the journal.
pub fn audit(task: &Task, parameters: &Parameters) -> Expected {
    audit_with(task, parameters, |_| None)
}

/// Like [`audit`], but a session that was asked for is answered right after the asking step if `service` has an answer.
/// For runs whose journal is not known. Then looked-up outputs are compared without order and timestamp.
pub fn audit_with(task: &Task, parameters: &Parameters, service: impl Fn(&str) -> Option<Answer>) -> Expected {
    let (records, watermark) = order::order(task, parameters);
    let (ready, waiting): (Vec<_>, Vec<_>) = records.into_iter().partition(|record| record.place.time < watermark);
    let mut rules = rules::Rules::new(parameters);
    let mut expected = Expected {
        watermark,
        waiting: waiting.into_iter().map(|record| record.place).collect(),
        ..Expected::default()
    };
    let mut ready = ready.into_iter().peekable();
    let mut replies = BTreeMap::<&StepKey, Vec<&Reply>>::new();
    for reply in &task.replies {
        replies.entry(&reply.anchor).or_default().push(reply);
    }
    loop {
        let record = ready.peek().map(order::Ordered::step);
        let timer = rules.next_timer().filter(|timer| timer.time < watermark);
        let step = match (record, timer) {
            (None, None) => break,
            (Some(record), Some(timer)) => record.min(timer),
            (Some(step), None) | (None, Some(step)) => step,
        };
        if task.until.as_ref().is_some_and(|until| step > *until) {
            break;
        }
        if let StepWhat::SessionMissing { .. } = step.what {
            rules.timer(&step);
        } else if let Some(record) = ready.next() {
            match record.event {
                Err(refusal) => expected.dead_letters.push(DeadLetter {
                    place: record.place,
                    refusal,
                }),
                Ok((key, event)) => rules.event(&step, &key, event, record.late),
            }
        }
        for reply in replies.remove(&step).unwrap_or_default() {
            rules.reply(&step, &reply.asked_by, &reply.answer, reply.deploy);
        }
        if let Some(answer) = rules.asked_at(&step).and_then(|session| service(&session)) {
            rules.reply(&step, &step, &answer, deploys::of(&parameters.deploys, step.time));
        }
        expected.steps.push(step);
    }
    expected.outputs = rules.outputs;
    expected.users = rules.users;
    expected.counters = rules.counters;
    expected
}
