//! The clock of one partition: how far its event time has come.
//!
//! Rule: a watermark is a function of the partition's own log and its journaled heartbeats, and never goes back.
//!
//!     w = max(highest event time - out of orderness, last heartbeat)
//!     late = time < w        effective time e = max(time, w)
//!
//! A record that can't be read has e = w and moves nothing: one bad clock must not make everything late.

use crate::record::{Millis, NEVER};
use serde::{Deserialize, Serialize};

/// Event time of one partition, before its next record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Highest event time so far; [`NEVER`] before the first.
    pub highest: Millis,
    /// Last heartbeat; [`NEVER`] before the first.
    pub heartbeat: Millis,
}

/// Where a record stands in event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Effective time.
    pub time: Millis,
    /// It came behind the watermark.
    pub late: bool,
}

impl Clock {
    /// Before the first record.
    pub const START: Clock = Clock {
        highest: NEVER,
        heartbeat: NEVER,
    };

    /// The watermark.
    #[inline]
    pub fn watermark(&self, out_of_orderness: Millis) -> Millis {
        self.highest.saturating_sub(out_of_orderness).max(self.heartbeat)
    }

    /// Places a record and moves the clock by it. None: it can't be read.
    #[inline]
    pub fn place(&mut self, time: Option<Millis>, out_of_orderness: Millis) -> Placed {
        let watermark = self.watermark(out_of_orderness);
        let Some(time) = time else {
            return Placed {
                time: watermark,
                late: false,
            };
        };
        self.highest = self.highest.max(time);
        Placed {
            time: time.max(watermark),
            late: time < watermark,
        }
    }

    /// Moves it by a journaled heartbeat.
    pub fn beat(&mut self, time: Millis) {
        self.heartbeat = self.heartbeat.max(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against the definition: m and h over all that came before.
        #[test]
        fn is_a_function_of_the_log(events in prop::collection::vec((any::<bool>(), 0..100_i64), 0..50), ooo in 0..20_i64) {
            let mut clock = Clock::START;
            let (mut times, mut beats) = (vec![], vec![]);
            for (is_beat, time) in events {
                let m = times.iter().copied().max().map_or(NEVER, |m: i64| m - ooo);
                let w = m.max(beats.iter().copied().max().unwrap_or(NEVER));
                prop_assert_eq!(clock.watermark(ooo), w);
                if is_beat {
                    clock.beat(time);
                    beats.push(time);
                } else {
                    let placed = clock.place(Some(time), ooo);
                    prop_assert_eq!(placed, Placed { time: time.max(w), late: time < w });
                    times.push(time);
                }
                prop_assert!(clock.watermark(ooo) >= w);
            }
        }
    }

    #[test]
    fn the_unreadable_moves_nothing() {
        let mut clock = Clock {
            highest: 100,
            heartbeat: NEVER,
        };
        assert_eq!(clock.place(None, 20), Placed { time: 80, late: false });
        assert_eq!(
            clock,
            Clock {
                highest: 100,
                heartbeat: NEVER
            }
        );
    }
}
