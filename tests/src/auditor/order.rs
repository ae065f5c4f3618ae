//! The order of a task's records, as docs/internals/order.md describes it.

use super::read::time_of;
use super::{Event, Millis, NEVER, Parameters, Place, Refusal, StepKey, StepWhat, Task, read};

/// A record in its place.
pub(super) struct Ordered {
    pub place: Place,
    pub late: bool,
    /// Its key and its content, or why it can't be read.
    pub event: Result<(Vec<u8>, Event), Refusal>,
}

impl Ordered {
    pub fn step(&self) -> StepKey {
        let Place { time, rank, offset } = self.place;
        StepKey {
            time,
            what: StepWhat::Record { rank, offset },
        }
    }
}

/// All records of the task in its order, and the task's watermark.
pub(super) fn order(task: &Task, parameters: &Parameters) -> (Vec<Ordered>, Millis) {
    let mut ordered = Vec::new();
    let mut watermark = Millis::MAX;
    for (rank, records) in task.partitions.iter().enumerate() {
        // The watermark before a record: the highest event time among the records before it, minus the
        // out-of-orderness, or the last heartbeat before it.
        let bound = |highest: Millis, before: i64| {
            let heartbeats = task
                .heartbeats
                .iter()
                .filter(|h| usize::from(h.rank) == rank && h.next <= before);
            let heartbeat = heartbeats.map(|h| h.time).max().unwrap_or(NEVER);
            highest.saturating_sub(parameters.out_of_orderness[rank]).max(heartbeat)
        };
        let mut highest = NEVER;
        for record in records {
            let w = bound(highest, record.offset);
            let far = task.too_far_ahead.contains(&(rank as u16, record.offset));
            let (time, event) = match (&record.key, &record.value) {
                (None, _) => (None, Err(Refusal::NoKey)),
                (_, None) => (None, Err(Refusal::NoValue)),
                (Some(key), Some(value)) => match time_of(parameters.format, rank, value) {
                    None => (None, Err(Refusal::Undecodable)),
                    Some(time) => {
                        let limit = record.appended.map(|at| at.saturating_add(parameters.max_ahead[rank]));
                        match far || limit.is_some_and(|limit| time > limit) {
                            true => (None, Err(Refusal::TooFarAhead)),
                            false => {
                                let event = read(parameters.format, rank, value).map(|event| (key.clone(), event));
                                (Some(time), event.ok_or(Refusal::Undecodable))
                            }
                        }
                    }
                },
            };
            // A record whose time can't be read gets the watermark as its time, and doesn't move the watermark. If only
            // the rest is unreadable, its own time counts: the order doesn't depend on what the rules can read.
            highest = time.map_or(highest, |time| highest.max(time));
            let time = time.unwrap_or(w);
            let place = Place {
                time: time.max(w),
                rank: rank as u16,
                offset: record.offset,
            };
            ordered.push(Ordered {
                place,
                late: time < w,
                event,
            });
        }
        watermark = watermark.min(bound(highest, i64::MAX));
    }
    ordered.sort_by_key(|record| record.place);
    (ordered, if task.partitions.is_empty() { NEVER } else { watermark })
}
