//! The auditor: a plain model of what the money pipeline (`guest-enrich`) must do.
//!
//! Rule: it shares no code with the host, the SDK or the rules. It gets the whole log and the whole journal of a task
//! at once. It is written for clarity, so everything is a sorted list.

mod deploys;
mod journal;
mod order;
mod output;
mod parameters;
mod read;
mod rules;
mod step;
mod takeover;
mod task;
#[cfg(test)]
mod tests;

use anyhow::Result;
pub use deploys::{ControlEvent, Decided, decide};
pub use output::{DeadLetter, Output, Refusal};
pub use parameters::{Code, Deployed, Format, Parameters, Settings};
pub use read::{Decimal, Enriched, Event, Money, UserInfo, read, read_enriched};
pub use rules::{Counters, State};
pub use step::{Millis, NEVER, Place, StepKey, StepWhat};
pub use takeover::Takeover;
pub use task::{Answer, Heartbeat, Record, Reply, Task};

use std::collections::BTreeMap;

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
    let mut rules = rules::Rules::new(parameters, task);
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
                Ok((_, event)) if rules.traps(&step, &event) => expected.dead_letters.push(DeadLetter {
                    place: record.place,
                    refusal: Refusal::Trapped,
                }),
                Ok((key, event)) => rules.event(&step, &key, event, record.late),
            }
        }
        for reply in replies.remove(&step).unwrap_or_default() {
            rules.reply(&step, &reply.asked_by, &reply.answer, reply.deploy);
        }
        if let Some(answer) = rules.asked_at(&step).and_then(|session| service(&session)) {
            rules.reply(&step, &step, &answer, rules.deploy_of(&step));
        }
        expected.steps.push(step);
    }
    expected.outputs = rules.outputs;
    expected.users = rules.users;
    expected.counters = rules.counters;
    expected
}

/// Checks that the journal's take-overs and traps are those that the steps require. Returns the deploy that the task took
/// over last.
pub fn compare_journal(task: &Task, expected: &Expected, parameters: &Parameters) -> Result<u64> {
    journal::compare_traps(task, &expected.dead_letters)?;
    journal::compare_takeovers(task, &expected.steps, expected.watermark, parameters)
}
