//! Idle partitions: silence is a decision, so it is journaled, as a heartbeat.
//!
//! Rule: a watermark moves by records and by journaled heartbeats only, so lateness behind one is a property of log and
//! journal. A partition is idle when it is read to its end and nothing came for `idle_after`, by proofs younger than that.
//!
//! An idle partition's watermark becomes the minimum over those that are not. When all are idle, every watermark becomes
//! A + the time since, A being the highest one at that moment: the last events of a quiet day come out without waiting
//! for tomorrow's. Rules that shall take over are something to come out, too.

use super::Task;
use super::epoch::Epoch;
use crate::inbox::Inbox;
use crate::journal::Entry;
use crate::record::{Millis, NEVER, Rank, StepKey};
use std::time::Duration;

/// Heartbeats that free no step are not written more often.
const BEAT_EVERY: Duration = Duration::from_secs(1);

impl Task {
    /// Moves the watermarks of idle partitions, when that frees a step, or now and then.
    pub fn beat(&mut self, now: Duration, wall: Millis, epoch: &mut Epoch) {
        let waits = !self.order.is_empty() || !self.state.timers().is_empty();
        let next = self.schedule.approaching();
        if self.schedule.follows_journal() || !(waits || next.is_some()) {
            // Nothing waits that a heartbeat could free.
            return;
        }
        let idle: Vec<bool> = self
            .inboxes
            .iter()
            .zip(&self.layout.inputs)
            .map(|(inbox, input)| inbox.idle(input.idle_after, now) && !inbox.catching_up())
            .collect();
        if !idle.contains(&true) {
            self.quiet = None;
            return;
        }
        let target = if idle.contains(&false) {
            self.quiet = None;
            let busy = self.inboxes.iter().zip(&idle).filter(|(_, idle)| !**idle);
            busy.map(|(inbox, _)| inbox.watermark()).min().unwrap_or(NEVER)
        } else {
            let highest = self.inboxes.iter().map(Inbox::watermark).max().unwrap_or(NEVER);
            let (from, since) = *self.quiet.get_or_insert((highest, now));
            if from == NEVER {
                NEVER
            } else {
                from.saturating_add(now.saturating_sub(since).as_millis() as Millis)
            }
        };
        let before = self.watermark();
        if target <= before {
            return;
        }
        // What waits behind an order is freed by that alone.
        let held = self.schedule.bound() <= before;
        let frees = !held
            && (self.order.earliest().is_some_and(|time| time < target)
                || self.state.timers().first().is_some_and(|timer| timer.time() < target));
        // Rules take over without a step, when all before their time is final.
        let takes_over = next.is_some_and(|next| (before..target).contains(&next.at));
        let target = match next {
            Some(next) if takes_over && !frees => next.at.saturating_add(1),
            _ if waits => target,
            _ => return,
        };
        let often = self.beaten.is_some_and(|at| now.saturating_sub(at) < BEAT_EVERY);
        if !frees && !takes_over && often {
            return;
        }
        self.beaten = Some(now);
        for (rank, _) in idle.iter().enumerate().filter(|(_, idle)| **idle) {
            self.beat_input(rank, target, wall, epoch);
        }
    }

    /// Event time comes to `target` on every input, as if all had been silent until then: for whoever drives a pipeline by hand.
    /// Nothing happens while what was read before is read again.
    pub fn beat_to(&mut self, target: Millis, wall: Millis, epoch: &mut Epoch) {
        if self.schedule.follows_journal() || self.inboxes.iter().any(Inbox::catching_up) {
            return;
        }
        for rank in 0..self.inboxes.len() {
            self.beat_input(rank, target, wall, epoch);
        }
    }

    fn beat_input(&mut self, rank: usize, target: Millis, wall: Millis, epoch: &mut Epoch) {
        let inbox = &mut self.inboxes[rank];
        if inbox.watermark() < target {
            let position = inbox.beat(target);
            let entry = Entry::Heartbeat {
                rank: rank as Rank,
                position,
                time: target,
            };
            epoch.journal(self.layout.journal, self.partition, wall, &entry);
        }
    }

    /// Event time of the last step; none before the first.
    pub fn last_time(&self) -> Option<Millis> {
        (*self.progress.last() != StepKey::Start).then(|| self.progress.time())
    }
}
