//! How fast a task's event time goes.
//!
//! Rule: what is estimated here decides how long a deploy for "now" leaves a task running until it must hold, and nothing else: a wrong
//! estimate costs a pause, or a later takeover; never another result.

use crate::record::{Millis, NEVER};
use std::time::Duration;

/// The speed is that of the last one to two of these: a watermark goes by leaps where the slowest input is rare.
const WINDOW: Duration = Duration::from_secs(1);

/// Milliseconds of event time. Where nothing piles up, it goes as the clock does, but for leaps; and whoever sends the next event by
/// hand means the new rules.
const AT_REST: i128 = 100;

/// Nothing is said of a shorter time.
const LEAST: Duration = Duration::from_millis(50);

/// When orders are looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment {
    /// Monotonic.
    pub mono: Duration,
    /// Milliseconds since 1970.
    pub wall: Millis,
    /// From an answer that is given now to the decision of the deploy, about.
    pub decision: Duration,
    /// The worker is out of work now and then.
    pub rests: bool,
}

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stride {
    /// When, and the time of the last step then: the older one, the newer one.
    marks: Option<[(Duration, Millis); 2]>,
}

impl Stride {
    /// The last step's time as of now: told a few times in each window.
    pub fn note(&mut self, now: Duration, last: Millis) {
        let mark = (now, last);
        match &mut self.marks {
            None => self.marks = Some([mark, mark]),
            // No step was taken yet.
            Some([_, newer]) if newer.1 == NEVER => self.marks = Some([mark, mark]),
            Some([older, newer]) if now.saturating_sub(newer.0) >= WINDOW => {
                *older = *newer;
                *newer = mark;
            }
            Some(_) => {}
        }
    }

    /// How far event time will come until the decision, going on as it did. Not beyond where the clock will be then: a task that
    /// catches up is soon at its end.
    pub fn ahead(&self, moment: &Moment, last: Millis) -> Millis {
        let Some([(since, from), _]) = self.marks else {
            return 0;
        };
        let elapsed = moment.mono.saturating_sub(since);
        if from == NEVER || last <= from || elapsed < LEAST {
            return 0;
        }
        let within = moment.decision.as_millis() as i128;
        let far = i128::from(last.saturating_sub(from)) * within / elapsed.as_millis() as i128;
        let end = i128::from(moment.wall) + within - i128::from(last);
        let most = if moment.rests { end.min(AT_REST) } else { end };
        // Between 0 and 2^63: both ends are cut.
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
            rests: false,
        }
    }

    /// Told every 10 ms, at this speed, for so long.
    fn walked(speed: i64, millis: u64) -> Stride {
        let mut stride = Stride::default();
        for now in (0..=millis).step_by(10) {
            stride.note(Duration::from_millis(now), 1_000_000 + now as i64 * speed);
        }
        stride
    }

    #[test]
    fn a_backlog_is_as_far_ahead_as_it_was_fast() {
        let stride = walked(1000, 2000);
        let last = 1_000_000 + 2_000_000;
        assert_eq!(stride.ahead(&at(2000, 1 << 40, 400), last), 400_000);
    }

    #[test]
    fn the_clock_is_the_end_of_every_backlog() {
        let stride = walked(1000, 2000);
        let last = 1_000_000 + 2_000_000;
        assert_eq!(stride.ahead(&at(2000, last + 5_000, 400), last), 5_400);
    }

    #[test]
    fn leaps_of_what_is_live_don_t_count() {
        let stride = walked(1000, 2000);
        let moment = Moment {
            rests: true,
            ..at(2000, 1 << 40, 400)
        };
        assert_eq!(stride.ahead(&moment, 1_000_000 + 2_000_000), 100);
    }

    #[test]
    fn the_first_step_begins_it() {
        let mut stride = Stride::default();
        for now in (0..1000).step_by(10) {
            stride.note(Duration::from_millis(now), NEVER);
        }
        for now in (1000..=1100).step_by(10) {
            stride.note(Duration::from_millis(now), now as i64 * 1000);
        }
        assert_eq!(stride.ahead(&at(1100, 1 << 40, 400), 1_100_000), 400_000);
    }

    #[test]
    fn what_stands_is_not_ahead() {
        let mut stride = walked(1000, 2000);
        let last = 1_000_000 + 2_000_000;
        for now in (2000..=4500).step_by(10) {
            stride.note(Duration::from_millis(now), last);
        }
        let moment = at(4500, 1 << 40, 1000);
        assert_eq!(stride.ahead(&moment, last), 0);
        assert_eq!(Stride::default().ahead(&moment, last), 0);
    }

    proptest! {
        #[test]
        fn never_negative_and_never_beyond_the_clock(
            marks in prop::collection::vec((0u64..1000, any::<i64>()), 0..20),
            (wall, last, within) in (any::<i64>(), any::<i64>(), 0u64..10_000),
        ) {
            let (mut stride, mut mono) = (Stride::default(), 0);
            for (step, time) in marks {
                mono += step;
                stride.note(Duration::from_millis(mono), time);
            }
            let ahead = stride.ahead(&at(mono + 60, wall, within), last);
            prop_assert!(ahead >= 0);
            prop_assert!(ahead == 0 || i128::from(last) + i128::from(ahead) <= i128::from(wall) + i128::from(within));
        }
    }
}
