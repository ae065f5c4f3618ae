//! How far event time goes on for partitions that are silent.
//!
//! Rules:
//! - A watermark moves by records and by journaled heartbeats only. So what is late behind one is a property of the input logs and
//!   the journal.
//! - An idle partition's watermark becomes the minimum of those that are not idle.
//! - When all are idle, every watermark becomes the highest one at the moment that this began, plus the time since then. So the
//!   last events of a quiet day come out without waiting for those of the next.

use crate::record::{Millis, NEVER, Offset, Rank};
use std::time::Duration;

/// Least time between two heartbeats that free nothing.
const BEAT_EVERY: Duration = Duration::from_secs(1);

/// What of a task waits for event time to pass, beside its records.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    /// When its first timer is due.
    pub timer: Option<Millis>,
    /// When other rules take over. They do so without a step once all before that time is final.
    pub takeover: Option<Millis>,
    /// It may take no step of this time or later, whatever the watermark is.
    pub until: Millis,
}

/// An input's watermark was moved without a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Which input.
    pub rank: Rank,
    /// The next offset of the partition: the heartbeat stands before that record.
    pub position: Offset,
    /// The watermark.
    pub time: Millis,
}

/// One input, as far as silence goes.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    pub watermark: Millis,
    pub idle: bool,
}

/// Since when a task's inputs are silent. Times of the clock are monotonic.
#[derive(Debug, Default)]
pub struct Silence {
    /// All inputs are idle: the highest watermark when that began, and when it did.
    all_idle: Option<(Millis, Duration)>,
    last_heartbeat: Option<Duration>,
}

impl Silence {
    /// A record has come.
    pub fn end(&mut self) {
        self.all_idle = None;
    }

    /// The time that idle inputs have come to. No input is there, or none has a watermark yet: [`NEVER`].
    pub fn reached(&mut self, inputs: &[Standing], now: Duration) -> Millis {
        let busy = inputs.iter().filter(|input| !input.idle);
        if let Some(slowest) = busy.map(|input| input.watermark).min() {
            self.all_idle = None;
            return slowest;
        }
        let highest = inputs.iter().map(|input| input.watermark).max().unwrap_or(NEVER);
        let (from, since) = *self.all_idle.get_or_insert((highest, now));
        if from == NEVER {
            return NEVER;
        }
        from.saturating_add(now.saturating_sub(since).as_millis() as Millis)
    }

    /// May a heartbeat be written that frees nothing?
    pub fn is_due(&self, now: Duration) -> bool {
        self.last_heartbeat
            .is_none_or(|last| now.saturating_sub(last) >= BEAT_EVERY)
    }

    /// Heartbeats are written.
    pub fn beaten(&mut self, now: Duration) {
        self.last_heartbeat = Some(now);
    }
}

impl Demand {
    /// What heartbeats on idle inputs should say where event time moves from `watermark` to `reached`, and why. `first`: the
    /// time of the first record that waits, if any does. None: nothing waits for it.
    pub fn target(&self, first: Option<Millis>, watermark: Millis, reached: Millis) -> Option<Target> {
        let waits = [first, self.timer];
        // No heartbeat frees what the task may not take anyway.
        let may_step = self.until > watermark;
        let frees = may_step && waits.into_iter().flatten().any(|time| time < reached);
        let takeover = self.takeover.filter(|at| (watermark..reached).contains(at));
        match takeover {
            // Its time must have passed, and no later one need have.
            Some(at) if !frees => Some(Target {
                time: at.saturating_add(1),
                urgent: true,
            }),
            _ if waits != [None, None] => Some(Target {
                time: reached,
                urgent: frees || takeover.is_some(),
            }),
            _ => None,
        }
    }
}

/// What heartbeats should say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The watermark.
    pub time: Millis,
    /// Something comes out by it.
    pub urgent: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn standing(watermark: Millis, idle: bool) -> Standing {
        Standing { watermark, idle }
    }

    #[test]
    fn the_slowest_that_is_not_idle_leads() {
        let mut silence = Silence::default();
        let inputs = [standing(5, true), standing(30, false), standing(20, false)];
        assert_eq!(silence.reached(&inputs, at(9)), 20);
    }

    #[test]
    fn where_all_are_idle_the_clock_leads() {
        let mut silence = Silence::default();
        let all = [standing(50, true), standing(70, true)];
        assert_eq!(silence.reached(&all, at(10)), 70);
        assert_eq!(silence.reached(&all, at(12)), 2070);
        // Heartbeats moved them there: it goes on from where it began.
        let moved = [standing(2070, true), standing(2070, true)];
        assert_eq!(silence.reached(&moved, at(13)), 3070);
        silence.end();
        assert_eq!(silence.reached(&moved, at(20)), 2070);
        assert_eq!(silence.reached(&moved, at(21)), 3070);
    }

    #[test]
    fn without_a_record_there_is_no_time() {
        let mut silence = Silence::default();
        assert_eq!(silence.reached(&[standing(NEVER, true)], at(10)), NEVER);
        assert_eq!(silence.reached(&[standing(NEVER, true)], at(99)), NEVER);
    }

    #[test]
    fn a_heartbeat_that_frees_nothing_comes_once_a_second() {
        let mut silence = Silence::default();
        assert!(silence.is_due(at(10)));
        silence.beaten(at(10));
        assert!(!silence.is_due(Duration::from_millis(10_999)));
        assert!(silence.is_due(at(11)));
    }

    #[test]
    fn what_waits_decides_how_far_it_goes() {
        let demand = |timer, takeover, until| Demand { timer, takeover, until };
        let target = |time, urgent| Some(Target { time, urgent });
        let free = Millis::MAX;
        assert_eq!(demand(None, None, free).target(None, 10, 20), None);
        assert_eq!(demand(None, None, free).target(Some(15), 10, 20), target(20, true));
        assert_eq!(demand(Some(15), None, free).target(None, 10, 20), target(20, true));
        assert_eq!(demand(Some(20), None, free).target(None, 10, 20), target(20, false));
        // Held back by an order: event time goes on, but no heartbeat is urgent.
        assert_eq!(demand(Some(15), None, 10).target(None, 10, 20), target(20, false));
        // Rules take over without a step, unless a step comes first.
        assert_eq!(demand(None, Some(12), 12).target(None, 10, 20), target(13, true));
        assert_eq!(demand(None, Some(20), 20).target(None, 10, 20), None);
        assert_eq!(demand(None, Some(12), 12).target(Some(11), 10, 20), target(20, true));
    }
}
