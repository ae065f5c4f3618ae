//! Plans the next steps of a live task.
//!
//! Rule: planning takes nothing. Replies come first, then the records and timers that are final.

use super::{Live, Planned};
use crate::record::StepKey;
use crate::state::TaskState;
use crate::step::{BATCH_BYTES, What};

impl Live<'_> {
    pub(super) fn plan_replies(&mut self, state: &TaskState, limit: usize, plan: &mut Vec<Planned>) {
        let time = self.progress.time();
        while plan.len() < limit
            && let Some(reply) = self.schedule.reply(plan.len())
        {
            let Some((name, _)) = state.lookups().find(&reply.id) else {
                // The lookup was asked again since. This reply answers the old question.
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
        // Steps that a deploy holds back are treated like steps that are not final.
        let bound = self.arrivals.watermark().min(self.schedule.bound());
        if plan.len() >= limit || self.schedule.awaits_reply(self.progress.last()) {
            return;
        }
        let journaled = self.schedule.journal_bound();
        let mut records = 0;
        let mut timers = state
            .timers()
            .iter()
            .take_while(|timer| timer.time() < bound)
            .peekable();
        let mut bytes = 0;
        while plan.len() < limit && bytes < BATCH_BYTES {
            let planned = match (self.arrivals.peek(bound, records), timers.peek()) {
                // A record comes before a timer of the same time.
                (Some(record), timer) if timer.is_none_or(|timer| record.time() <= timer.time()) => {
                    if !self.arrivals.load(&record) {
                        break;
                    }
                    records += 1;
                    bytes += self.arrivals.record(&record).value().map_or(0, <[u8]>::len);
                    Planned::new(What::Record(record), (), record.time())
                }
                (_, Some(_)) => {
                    // The timer was peeked just before.
                    let Some(timer) = timers.next() else { break };
                    Planned::new(What::Timer(timer.clone()), (), timer.time())
                }
                (_, None) => break,
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

/// The place of a step in the order. A reply has none, because it comes right after the last step.
pub(super) fn step_of(planned: &Planned) -> Option<StepKey> {
    match &planned.what {
        What::Record(record) => Some(record.step()),
        What::Timer(step) => Some(step.clone()),
        What::Reply { .. } | What::Elsewhere(_) => None,
    }
}
