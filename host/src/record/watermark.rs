//! The clock of one partition: how far its event time has come.
//!
//! Rule: the watermark is a function of the partition's own records and its journaled heartbeats, and never goes back.
//!
//! ```text
//! w = max(highest event time - out of orderness, last heartbeat)
//! late = time < w        effective time e = max(time, w)
//! ```
//!
//! A record that can't be read has e = w and does not move the watermark: one wrong clock must not make everything
//! late.

use crate::record::{Millis, NEVER};
use serde::{Deserialize, Serialize};

/// The event time of one partition, before its next record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionClock {
    /// The highest event time so far, or [`NEVER`] before the first record.
    pub highest: Millis,
    /// The last heartbeat, or [`NEVER`] before the first.
    pub heartbeat: Millis,
}

/// A record's place in event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Effective time.
    pub time: Millis,
    /// Whether it came after the watermark had passed its time.
    pub late: bool,
}

impl PartitionClock {
    /// The clock before the first record.
    pub const START: PartitionClock = PartitionClock {
        highest: NEVER,
        heartbeat: NEVER,
    };

    /// How far event time has come.
    #[inline]
    pub fn watermark(&self, out_of_orderness: Millis) -> Millis {
        self.highest.saturating_sub(out_of_orderness).max(self.heartbeat)
    }

    /// Places a record, and moves the clock. A `time` of `None` means that the record can't be read.
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

    /// Moves the clock by a journaled heartbeat.
    pub fn apply_heartbeat(&mut self, time: Millis) {
        self.heartbeat = self.heartbeat.max(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Compares it with the definition: the maxima over all that came before.
        #[test]
        fn is_a_function_of_the_log(events in prop::collection::vec((any::<bool>(), 0..100_i64), 0..50), ooo in 0..20_i64) {
            let mut clock = PartitionClock::START;
            let (mut times, mut beats) = (vec![], vec![]);
            for (is_beat, time) in events {
                let m = times.iter().copied().max().map_or(NEVER, |m: i64| m - ooo);
                let w = m.max(beats.iter().copied().max().unwrap_or(NEVER));
                prop_assert_eq!(clock.watermark(ooo), w);
                if is_beat {
                    clock.apply_heartbeat(time);
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
        let mut clock = PartitionClock {
            highest: 100,
            heartbeat: NEVER,
        };
        assert_eq!(clock.place(None, 20), Placed { time: 80, late: false });
        assert_eq!(
            clock,
            PartitionClock {
                highest: 100,
                heartbeat: NEVER
            }
        );
    }
}
