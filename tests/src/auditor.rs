//! The auditor: what the money pipeline must do, as a plain model.
//!
//! Rule: it shares no code with the host, the SDK or the rules. It knows the whole log and the whole journal of a task
//! before it begins, and is written for clarity: everything is a sorted list.

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

/// Milliseconds, since 1970 or a number of them.
pub type Millis = i64;

/// Before every time.
pub const NEVER: Millis = i64::MIN;

/// How the topics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Byte 0, schema id, datum.
    Avro,
    /// An object.
    Json,
}

/// A record of an input partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Its offset; they go up, with gaps.
    pub offset: i64,
    /// None: a null key.
    pub key: Option<Vec<u8>>,
    /// None: a null value.
    pub value: Option<Vec<u8>>,
    /// When the broker appended it, where its topic has append time.
    pub appended: Option<Millis>,
}

/// A journal entry that moves an idle partition's watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Which partition of the task: the rank of its stream.
    pub rank: u16,
    /// It stands before the record with this offset.
    pub next: i64,
    /// The watermark from there on.
    pub time: Millis,
}

/// Where a step stands: records before timers of the same time. The derived order is the order of the steps.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StepKey {
    /// Effective time of a record, due time of a timer.
    pub time: Millis,
    /// The rest.
    pub what: StepWhat,
}

/// See [`StepKey`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StepWhat {
    /// A record.
    Record { rank: u16, offset: i64 },
    /// The session of the money that came at this place has not come in time. There is one kind of timer only.
    SessionMissing {
        key: Vec<u8>,
        session: String,
        place: Place,
    },
}

/// Where a money event stands in its task. The derived order is that of the steps.
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
    /// The body as it came.
    Body(Vec<u8>),
    /// There is none.
    Absent,
    /// No answer after the retries.
    Unavailable,
}

/// A journaled reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The step that it comes right behind; several behind one step come in the order of the list.
    pub anchor: StepKey,
    /// The step that has asked.
    pub asked_by: StepKey,
    /// What came.
    pub answer: Answer,
    /// The deploy whose rules take it: the last one that the journal names before it; 1: none.
    pub deploy: u64,
}

/// What a task has read, and what it was told.
#[derive(Clone, Debug, Default)]
pub struct Task {
    /// By rank, in offset order.
    pub partitions: Vec<Vec<Record>>,
    /// In the journal's order.
    pub heartbeats: Vec<Heartbeat>,
    /// In the journal's order.
    pub replies: Vec<Reply>,
    /// "These rules from here on", in the journal's order.
    pub takeovers: Vec<Takeover>,
    /// (rank, offset) of records that were journaled as too far ahead of the wall clock.
    pub too_far_ahead: Vec<(u16, i64)>,
    /// Steps beyond this one are not taken; none: all that are final.
    pub until: Option<StepKey>,
}

/// What the pipeline was told in its file. Times are milliseconds.
#[derive(Clone, Debug)]
pub struct Parameters {
    /// How the inputs are written.
    pub format: Format,
    /// By rank.
    pub out_of_orderness: Vec<Millis>,
    /// By rank; for topics with append time.
    pub max_ahead: Vec<Millis>,
    /// See RULES: dedup.
    pub dedup_ttl: Millis,
    /// See RULES: session.
    pub session_ttl: Millis,
    /// See RULES: session.
    pub pending_ttl: Millis,
    /// Stands in front of each money type that is written.
    pub label: String,
    /// Which rules they are told to.
    pub code: Code,
    /// The deploys behind the first one that are committed. The first are the rules above.
    pub deploys: Vec<Deployed>,
}

/// Other rules, from a time on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployed {
    /// Its number.
    pub number: u64,
    /// Steps of this time and of later ones are its.
    pub at: Millis,
    /// See [`Parameters`].
    pub settings: Settings,
}

/// What the rules are told; see [`Parameters`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// See RULES: dedup.
    pub dedup_ttl: Millis,
    /// See RULES: session.
    pub session_ttl: Millis,
    /// See RULES: session.
    pub pending_ttl: Millis,
    /// Stands in front of each money type that is written.
    pub label: String,
    /// Which rules they are told to.
    pub code: Code,
}

/// The component: RULES, or a version of it that says something more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Code {
    /// RULES as they stand.
    #[default]
    Plain,
    /// Who a user is says how often that has changed, in the state and in the outputs; what was written by others says 0.
    Counted,
    /// Money without a known session is of the country that its user lives in.
    Resident,
}

impl Default for Parameters {
    /// The contract's numbers.
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
    /// Bytes that don't fit the schema, an unknown schema or an unknown kind of event.
    Undecodable,
    /// Its time is too far in the future.
    TooFarAhead,
}

/// A refused record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its place.
    pub place: Place,
    /// Why.
    pub refusal: Refusal,
}

/// An output record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The step that sent it; of a reply, its anchor.
    pub step: StepKey,
    /// True when a reply sent it.
    pub looked_up: bool,
    /// The deploy whose rules must have made it.
    pub deploy: u64,
    /// The user id.
    pub key: Vec<u8>,
    /// Time of the step.
    pub timestamp: Millis,
    /// What it says.
    pub value: Enriched,
}

/// What must have happened.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// In the order of the steps.
    pub outputs: Vec<Output>,
    /// In the order of the steps.
    pub dead_letters: Vec<DeadLetter>,
    /// By user.
    pub users: BTreeMap<Vec<u8>, State>,
    /// Of the rules.
    pub counters: Counters,
    /// The task's watermark.
    pub watermark: Millis,
    /// Steps taken, in order.
    pub steps: Vec<StepKey>,
    /// Records that are read but not final.
    pub waiting: Vec<Place>,
}

/// Takes all steps that are final by the end of the logs and the journal.
pub fn audit(task: &Task, parameters: &Parameters) -> Expected {
    audit_with(task, parameters, |_| None)
}

/// As [`audit`], but a session that was asked for and is answered by `service` is answered right behind the step that
/// asks: for runs whose journal is not known, when what was looked up is compared without order and timestamp.
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
