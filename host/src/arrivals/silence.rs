//! Silence: how event time advances for partitions that are idle.
//!
//! Rules:
//! - A watermark moves only by records and by journaled heartbeats. So what is late depends only on the input logs and
//!   the journal.
//! - The watermark of an idle partition becomes the smallest watermark of those that are not idle.
//! - When all are idle, every watermark becomes the highest one at that moment, plus the time since then. So the last
//!   events of a quiet day come out without waiting for the next day's.

use crate::record::{Millis, NEVER, Offset, Rank};
use std::time::Duration;

/// Minimum time between two heartbeats that release nothing.
const BEAT_EVERY: Duration = Duration::from_secs(1);

/// What a task waits for besides its records.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    /// When its first timer is due.
    pub timer: Option<Millis>,
    /// When a new version takes over. That needs no step, but everything before this time must be final.
    pub takeover: Option<Millis>,
    /// It may take no step at or after this time, whatever the watermark is.
    pub until: Millis,
}

/// An input's watermark moves without a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Rank of the input.
    pub rank: Rank,
    /// Offset of the partition's next record, which the heartbeat comes before.
    pub position: Offset,
    /// The new watermark.
    pub time: Millis,
}

/// The state of one input.
#[derive(Clone, Copy, Debug)]
pub struct InputProgress {
    pub watermark: Millis,
    pub idle: bool,
}

/// Keeps track of the silence of a task's inputs. `Duration`s are monotonic times.
#[derive(Debug, Default)]
pub struct Silence {
    /// If all inputs are idle: the highest watermark when that began, and when it began.
    all_idle: Option<(Millis, Duration)>,
    last_heartbeat: Option<Duration>,
}

impl Silence {
    /// Notes that a record has come.
    pub fn end(&mut self) {
        self.all_idle = None;
    }

    /// The time that idle inputs have reached. [`NEVER`] if there is no input, or none has a watermark yet.
    pub fn reached(&mut self, inputs: &[InputProgress], now: Duration) -> Millis {
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

    /// Whether a heartbeat that releases nothing may be written.
    pub fn is_due(&self, now: Duration) -> bool {
        self.last_heartbeat
            .is_none_or(|last| now.saturating_sub(last) >= BEAT_EVERY)
    }

    /// Notes that heartbeats are written.
    pub fn heartbeat_sent(&mut self, now: Duration) {
        self.last_heartbeat = Some(now);
    }
}

impl Demand {
    /// The target for heartbeats of idle inputs when event time moves from `watermark` to `reached`. `first` is the
    /// time of the first waiting record. Returns `None` if nothing waits for event time.
    pub fn target(&self, first: Option<Millis>, watermark: Millis, reached: Millis) -> Option<HeartbeatTarget> {
        let waits = [first, self.timer];
        // No heartbeat releases what the task may not take.
        let may_step = self.until > watermark;
        let frees = may_step && waits.into_iter().flatten().any(|time| time < reached);
        let takeover = self.takeover.filter(|at| (watermark..reached).contains(at));
        match takeover {
            // Its time must have passed, but event time need not be any later.
            Some(at) if !frees => Some(HeartbeatTarget {
                time: at.saturating_add(1),
                urgent: true,
            }),
            _ if waits != [None, None] => Some(HeartbeatTarget {
                time: reached,
                urgent: frees || takeover.is_some(),
            }),
            _ => None,
        }
    }
}

/// What heartbeats should say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatTarget {
    /// The new watermark.
    pub time: Millis,
    /// Whether it releases something.
    pub urgent: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn standing(watermark: Millis, idle: bool) -> InputProgress {
        InputProgress { watermark, idle }
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
        // Heartbeats have moved them there. It continues from where it began.
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
        silence.heartbeat_sent(at(10));
        assert!(!silence.is_due(Duration::from_millis(10_999)));
        assert!(silence.is_due(at(11)));
    }

    #[test]
    fn what_waits_decides_how_far_it_goes() {
        let demand = |timer, takeover, until| Demand { timer, takeover, until };
        let target = |time, urgent| Some(HeartbeatTarget { time, urgent });
        let free = Millis::MAX;
        assert_eq!(demand(None, None, free).target(None, 10, 20), None);
        assert_eq!(demand(None, None, free).target(Some(15), 10, 20), target(20, true));
        assert_eq!(demand(Some(15), None, free).target(None, 10, 20), target(20, true));
        assert_eq!(demand(Some(20), None, free).target(None, 10, 20), target(20, false));
        // The task may not step: event time goes on, but no heartbeat is urgent.
        assert_eq!(demand(Some(15), None, 10).target(None, 10, 20), target(20, false));
        // A version takes over without a step, unless a step comes first.
        assert_eq!(demand(None, Some(12), 12).target(None, 10, 20), target(13, true));
        assert_eq!(demand(None, Some(20), 20).target(None, 10, 20), None);
        assert_eq!(demand(None, Some(12), 12).target(Some(11), 10, 20), target(20, true));
    }
}
