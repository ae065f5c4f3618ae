//! Plans the next steps of a live task.
//!
//! Rule: planning takes nothing. Replies come first, then the records and timers that are final.

use super::LivePort;
use crate::record::StepKey;
use crate::shadow::tape::LiveStep;
use crate::state::TaskState;
use crate::step::{BATCH_BYTES, StepInput};

impl LivePort<'_> {
    pub(super) fn plan_replies(&mut self, state: &TaskState, limit: usize, plan: &mut Vec<LiveStep>) {
        let time = self.progress.time();
        while plan.len() < limit
            && let Some(reply) = self.schedule.reply(plan.len())
        {
            let Some((name, _)) = state.lookups().find(&reply.id) else {
                // The lookup was asked again since. This reply answers the old question.
                self.schedule.drop_reply(plan.len());
                continue;
            };
            let what = StepInput::Reply {
                name: name.clone(),
                id: reply.id.clone(),
                ending: reply.ending.clone(),
            };
            plan.push(LiveStep::new(what, (), time));
        }
    }

    pub(super) fn plan_order(&mut self, state: &TaskState, limit: usize, plan: &mut Vec<LiveStep>) {
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
                    LiveStep::new(StepInput::Record(record), (), record.time())
                }
                (_, Some(_)) => {
                    // The timer was peeked just before.
                    let Some(timer) = timers.next() else { break };
                    LiveStep::new(StepInput::Timer(timer.clone()), (), timer.time())
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
pub(super) fn step_of(planned: &LiveStep) -> Option<StepKey> {
    match &planned.what {
        StepInput::Record(record) => Some(record.step()),
        StepInput::Timer(step) => Some(step.clone()),
        StepInput::Reply { .. } | StepInput::Elsewhere(_) => None,
    }
}
