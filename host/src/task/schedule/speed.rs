//! Estimates how fast a task's event time moves.
//!
//! Rule: the estimate only decides how far a task runs before it holds for a deploy for "now". A wrong estimate costs a
//! pause or a later take-over. It never changes a result.

use crate::record::{Millis, NEVER};
use std::time::Duration;

/// The speed is measured over the last one or two of these. A shorter window would not do, because a sparse input moves
/// the watermark in leaps.
const WINDOW: Duration = Duration::from_secs(1);

/// Without a backlog, event time moves with the clock, apart from leaps. So look ahead at most this many milliseconds.
/// Someone who deploys and then sends an event by hand expects the new rules.
const WITHOUT_BACKLOG: i128 = 100;

/// A shorter time than this says nothing about the speed.
const LEAST: Duration = Duration::from_millis(50);

/// The moment at which a task looks at its schedule, with everything it must know about its worker to answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment {
    /// The monotonic clock.
    pub mono: Duration,
    /// Milliseconds since 1970.
    pub wall: Millis,
    /// Roughly how long it takes to decide the deploy, from an answer given now.
    pub decision: Duration,
    /// The worker runs out of work now and then, so it has no backlog.
    pub no_backlog: bool,
}

/// How far the task had come at recent moments.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventTimeSpeed {
    marks: Option<Marks>,
}

#[derive(Clone, Copy, Debug)]
struct Marks {
    older: Mark,
    newer: Mark,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    /// When this was noted, by the monotonic clock.
    at: Duration,
    /// The time of the last step at that moment.
    last: Millis,
}

impl EventTimeSpeed {
    /// Notes the time of the last step. Called a few times in each window.
    pub fn note(&mut self, now: Duration, last: Millis) {
        let mark = Mark { at: now, last };
        match &mut self.marks {
            // Before the first step there is no speed.
            Some(marks) if marks.newer.last != NEVER => {
                if now.saturating_sub(marks.newer.at) >= WINDOW {
                    marks.older = marks.newer;
                    marks.newer = mark;
                }
            }
            marks => {
                *marks = Some(Marks {
                    older: mark,
                    newer: mark,
                });
            }
        }
    }

    /// How far event time will move until the deploy is decided, if it continues at this speed. At most up to where the
    /// clock will be then, because a task that catches up stops there.
    pub fn look_ahead(&self, moment: &Moment, last: Millis) -> Millis {
        let Some(Marks { older, .. }) = self.marks else {
            return 0;
        };
        let elapsed = moment.mono.saturating_sub(older.at);
        if older.last == NEVER || last <= older.last || elapsed < LEAST {
            return 0;
        }
        let within = moment.decision.as_millis() as i128;
        let far = i128::from(last.saturating_sub(older.last)) * within / elapsed.as_millis() as i128;
        let end = i128::from(moment.wall) + within - i128::from(last);
        let most = if moment.no_backlog {
            end.min(WITHOUT_BACKLOG)
        } else {
            end
        };
        // The clamp makes this fit.
        far.min(most).clamp(0, i128::from(Millis::MAX)) as Millis
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(mono: u64, wall: Millis, decision: u64) -> Moment {
        Moment {
            mono: Duration::from_millis(mono),
            wall,
            decision: Duration::from_millis(decision),
            no_backlog: false,
        }
    }

    /// A task that moved at this speed for `millis`, noted every 10 ms.
    fn walked(speed: i64, millis: u64) -> EventTimeSpeed {
        let mut measured = EventTimeSpeed::default();
        for now in (0..=millis).step_by(10) {
            measured.note(Duration::from_millis(now), 1_000_000 + now as i64 * speed);
        }
        measured
    }

    #[test]
    fn in_a_backlog_the_speed_of_before_goes_on() {
        let speed = walked(1000, 2000);
        let last = 1_000_000 + 2_000_000;
        assert_eq!(speed.look_ahead(&at(2000, 1 << 40, 400), last), 400_000);
    }

    #[test]
    fn the_clock_is_the_end_of_every_backlog() {
        let speed = walked(1000, 2000);
        let last = 1_000_000 + 2_000_000;
        assert_eq!(speed.look_ahead(&at(2000, last + 5_000, 400), last), 5_400);
    }

    #[test]
    fn without_a_backlog_leaps_don_t_count() {
        let speed = walked(1000, 2000);
        let moment = Moment {
            no_backlog: true,
            ..at(2000, 1 << 40, 400)
        };
        assert_eq!(speed.look_ahead(&moment, 1_000_000 + 2_000_000), 100);
    }

    #[test]
    fn the_first_step_begins_it() {
        let mut speed = EventTimeSpeed::default();
        for now in (0..1000).step_by(10) {
            speed.note(Duration::from_millis(now), NEVER);
        }
        for now in (1000..=1100).step_by(10) {
            speed.note(Duration::from_millis(now), now as i64 * 1000);
        }
        assert_eq!(speed.look_ahead(&at(1100, 1 << 40, 400), 1_100_000), 400_000);
    }

    #[test]
    fn a_task_that_stands_still_is_not_ahead() {
        let mut speed = walked(1000, 2000);
        let last = 1_000_000 + 2_000_000;
        for now in (2000..=4500).step_by(10) {
            speed.note(Duration::from_millis(now), last);
        }
        let moment = at(4500, 1 << 40, 1000);
        assert_eq!(speed.look_ahead(&moment, last), 0);
        assert_eq!(EventTimeSpeed::default().look_ahead(&moment, last), 0);
    }

    proptest! {
        #[test]
        fn never_negative_and_never_beyond_the_clock(
            marks in prop::collection::vec((0u64..1000, any::<i64>()), 0..20),
            (wall, last, within) in (any::<i64>(), any::<i64>(), 0u64..10_000),
        ) {
            let (mut speed, mut mono) = (EventTimeSpeed::default(), 0);
            for (step, time) in marks {
                mono += step;
                speed.note(Duration::from_millis(mono), time);
            }
            let ahead = speed.look_ahead(&at(mono + 60, wall, within), last);
            prop_assert!(ahead >= 0);
            prop_assert!(ahead == 0 || i128::from(last) + i128::from(ahead) <= i128::from(wall) + i128::from(within));
        }
    }
}
