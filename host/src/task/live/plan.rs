//! The next steps of a live task.
//!
//! Rule: nothing is taken by planning. Replies come first, then records and timers, as far as they are final.

use super::{Live, Planned};
use crate::inbox::Inbox;
use crate::record::{NEVER, StepKey};
use crate::task::state::TaskState;
use crate::task::stepper::{BATCH_BYTES, What};

impl Live<'_> {
    pub(super) fn plan_replies(&mut self, state: &TaskState, limit: usize, plan: &mut Vec<Planned>) {
        let time = self.progress.time();
        while plan.len() < limit
            && let Some(reply) = self.schedule.reply(plan.len())
        {
            let Some((name, _)) = state.lookups().find(&reply.id) else {
                // The lookup was asked again since: this answers the old question.
                self.schedule.drop_reply(plan.len());
                continue;
            };
            let what = What::Reply {
                name: name.clone(),
                id: reply.id.clone(),
                ending: reply.ending.clone(),
            };
            plan.push(Planned::new(what, (), time));
        }
    }

    pub(super) fn plan_order(&mut self, state: &TaskState, limit: usize, plan: &mut Vec<Planned>) {
        let watermark = self.inboxes.iter().map(Inbox::watermark).min().unwrap_or(NEVER);
        // What a deploy holds back is treated like what is not final.
        let bound = watermark.min(self.schedule.bound());
        if plan.len() >= limit || self.schedule.awaits_reply(self.progress.last()) {
            return;
        }
        let journaled = self.schedule.journal_bound();
        // What was ready under a later bound stays ready when the bound moves back.
        let ready = self.order.ready(bound, limit - plan.len()).iter();
        let mut records = ready.take_while(|entry| entry.time < bound).peekable();
        let mut timers = state
            .timers()
            .iter()
            .take_while(|timer| timer.time() < bound)
            .peekable();
        let mut bytes = 0;
        while plan.len() < limit && bytes < BATCH_BYTES {
            let is_record = match (records.peek(), timers.peek()) {
                // A record comes before a timer of the same time.
                (Some(record), Some(timer)) => record.time <= timer.time(),
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => break,
            };
            let planned = if is_record {
                // Peeked just now.
                let Some(&entry) = records.next() else { break };
                if !self.shelf.bring(entry.chunk) {
                    break;
                }
                let (_, record) = self.shelf.get(entry.chunk, entry.record);
                bytes += record.value.map_or(0, |value| value.len as usize);
                Planned::new(What::Record(entry), (), entry.time)
            } else {
                let Some(timer) = timers.next() else { break };
                Planned::new(What::Timer(timer.clone()), (), timer.time())
            };
            if let Some(bound) = journaled
                && step_of(&planned).is_some_and(|step| step > *bound)
            {
                break;
            }
            plan.push(planned);
        }
    }
}

/// The place of a step in the order. A reply has none: it comes right after the last step.
pub(super) fn step_of(planned: &Planned) -> Option<StepKey> {
    match &planned.what {
        What::Record(entry) => Some(entry.step()),
        What::Timer(step) => Some(step.clone()),
        What::Reply { .. } | What::Elsewhere(_) => None,
    }
}
