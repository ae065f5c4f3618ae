//! Decides which event time a record has, or why it has none.
//!
//! Rules:
//! - A record that can't be read has no event time. It keeps its place and moves no clock.
//! - A decision that depends on our clock or on the registry is a verdict, and is journaled. Nothing is decided again
//!   about a record that was read before the last restart.

use super::inbox::Inbox;
use crate::binding::NoTime;
use crate::log::InputRecord;
use crate::record::Millis;
use crate::record::journal::Verdict;

/// The decision about a record.
#[derive(Debug, PartialEq, Eq)]
pub enum Timing {
    /// It has this event time.
    Known(Millis),
    /// It has none, because of its content or an earlier verdict.
    Unreadable,
    /// It has none, because of this new verdict.
    Judged(Verdict),
    /// It can't be decided yet, for this reason, and the records after it must wait too.
    Unknown(String),
}

/// What the limit for event times depends on.
#[derive(Clone, Copy, Debug)]
pub struct Horizon {
    /// The wall clock, in milliseconds since 1970.
    pub wall: Millis,
    /// How far an event time may be ahead of the broker's append time, or of the wall clock.
    pub max_ahead: Millis,
}

/// Decides about a record. `read` is the event time that was read from it.
#[inline]
pub fn timing(inbox: &Inbox, record: InputRecord<'_>, read: Result<Millis, NoTime>, horizon: Horizon) -> Timing {
    let offset = record.offset();
    if inbox.verdict(offset).is_some() {
        return Timing::Unreadable;
    }
    let known = inbox.was_read(offset);
    match read {
        // The append time is in the log, so no verdict is needed.
        Ok(time) if record.append_time() && record.timestamp() >= 0 => {
            match time <= record.timestamp().saturating_add(horizon.max_ahead) {
                true => Timing::Known(time),
                false => Timing::Unreadable,
            }
        }
        Ok(time) if known || time <= horizon.wall.saturating_add(horizon.max_ahead) => Timing::Known(time),
        Ok(_) => Timing::Judged(Verdict::TooFarAhead),
        Err(NoTime::Unreadable(_)) => Timing::Unreadable,
        // The record was readable when it was read before, so the registry has lost the schema.
        Err(NoTime::UnknownSchema(id)) if known => Timing::Unknown(format!(
            "the registry does not know schema {id} any more: restore it there"
        )),
        Err(NoTime::UnknownSchema(id)) => Timing::Judged(Verdict::UnknownSchema(id)),
        Err(NoTime::Wait(why)) => Timing::Unknown(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Chunk, Fetched};
    use crate::record::Offset;
    use crate::record::watermark::PartitionClock;
    use crate::state::meta::InputMeta;

    /// An input whose records below offset 5 were read before the last restart, with a verdict about record 3.
    fn inbox() -> Inbox {
        let meta = InputMeta {
            next: Offset(0),
            clock: PartitionClock::START,
            heartbeats: vec![],
            verdicts: vec![(Offset(3), Verdict::TooFarAhead)],
            read: Offset(5),
        };
        Inbox::new(0, &meta)
    }

    /// The record at `offset`, with this append time, if any.
    fn of(offset: i64, appended: Option<Millis>, read: Result<Millis, NoTime>) -> Timing {
        let records = vec![Fetched {
            offset: Offset(offset),
            timestamp: appended.unwrap_or(-1),
            append_time: appended.is_some(),
            key: None,
            value: None,
            headers: 0..0,
        }];
        let chunk = Chunk {
            records,
            ..Chunk::default()
        };
        let horizon = Horizon {
            wall: 1000,
            max_ahead: 10,
        };
        timing(&inbox(), chunk.record(0), read, horizon)
    }

    #[test]
    fn the_clock_judges_new_records_only() {
        assert_eq!(of(7, None, Ok(1010)), Timing::Known(1010));
        assert_eq!(of(7, None, Ok(1011)), Timing::Judged(Verdict::TooFarAhead));
        assert_eq!(of(4, None, Ok(1011)), Timing::Known(1011));
        assert_eq!(of(3, None, Ok(5)), Timing::Unreadable);
    }

    #[test]
    fn an_append_time_is_asked_instead_of_the_clock() {
        assert_eq!(of(7, Some(5000), Ok(5010)), Timing::Known(5010));
        assert_eq!(of(7, Some(5000), Ok(5011)), Timing::Unreadable);
    }

    #[test]
    fn an_unknown_schema_is_a_verdict_once_and_a_lost_one_waits() {
        let unknown = || Err(NoTime::UnknownSchema(9));
        assert_eq!(of(7, None, unknown()), Timing::Judged(Verdict::UnknownSchema(9)));
        assert!(matches!(of(4, None, unknown()), Timing::Unknown(_)));
        let away = || Err(NoTime::Wait("away".into()));
        assert_eq!(of(7, None, away()), Timing::Unknown("away".into()));
        assert_eq!(of(7, None, Err(NoTime::Unreadable(String::new()))), Timing::Unreadable);
    }
}
