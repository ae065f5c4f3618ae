//! Which event time a record counts with, or why it has none.
//!
//! Rules:
//! - A record that can't be read has no time; it keeps its place and moves no clock.
//! - What is decided by our own clock or by the registry is a verdict, and is journaled. It is decided once: not again about a
//!   record that was read before the last restart.

use super::inbox::Inbox;
use crate::binding::NoTime;
use crate::log::InputRecord;
use crate::record::Millis;
use crate::record::journal::Verdict;

/// How a record counts.
#[derive(Debug, PartialEq, Eq)]
pub enum Timing {
    /// It has this event time.
    Known(Millis),
    /// It has none. The log alone says so, or a verdict that was given before.
    Unreadable,
    /// It has none, as decided just now.
    Judged(Verdict),
    /// Nobody can say yet, and the records behind it have to wait, too. Why.
    Unknown(String),
}

/// The latest event times that are believed.
#[derive(Clone, Copy, Debug)]
pub struct Horizon {
    /// What the wall clock says, in milliseconds since 1970.
    pub wall: Millis,
    /// How far a time may be ahead of the broker's append time, or of the wall clock.
    pub max_ahead: Millis,
}

/// Decides how a record counts. `read`: the event time as read from the record itself.
#[inline]
pub fn timing(inbox: &Inbox, record: InputRecord<'_>, read: Result<Millis, NoTime>, horizon: Horizon) -> Timing {
    let offset = record.offset();
    if inbox.verdict(offset).is_some() {
        return Timing::Unreadable;
    }
    let known = inbox.was_read(offset);
    match read {
        // The append time stands in the log, so this is no decision of ours.
        Ok(time) if record.append_time() && record.timestamp() >= 0 => {
            match time <= record.timestamp().saturating_add(horizon.max_ahead) {
                true => Timing::Known(time),
                false => Timing::Unreadable,
            }
        }
        Ok(time) if known || time <= horizon.wall.saturating_add(horizon.max_ahead) => Timing::Known(time),
        Ok(_) => Timing::Judged(Verdict::TooFarAhead),
        Err(NoTime::Unreadable(_)) => Timing::Unreadable,
        // It was readable when it was read before: the registry has lost it.
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
    use crate::record::watermark::Clock;
    use crate::state::meta::InputMeta;

    /// An input of which records below offset 5 were read before the last restart, with a verdict about record 3.
    fn inbox() -> Inbox {
        let meta = InputMeta {
            next: 0,
            clock: Clock::START,
            heartbeats: vec![],
            verdicts: vec![(3, Verdict::TooFarAhead)],
            read: 5,
        };
        Inbox::new(0, &meta)
    }

    /// The record at `offset`, with this timestamp of the broker's, if any.
    fn of(offset: i64, appended: Option<Millis>, read: Result<Millis, NoTime>) -> Timing {
        let records = vec![Fetched {
            offset,
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
