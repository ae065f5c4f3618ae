use super::*;
use crate::record::{Offset, Rank};
use proptest::prelude::*;

fn entry(time: Millis, rank: Rank, offset: i64) -> Waiting {
    Waiting {
        time,
        offset: Offset(offset),
        ticket: 0,
        slot: 0,
        index: 0,
        rank,
        late: false,
        unreadable: false,
    }
}

proptest! {
    /// However pushes and releases interleave, the order is that of one sort.
    #[test]
    fn is_one_sort(steps in prop::collection::vec((0..4_u8, 0..2000_i64, 0..3_u16, 1..5_usize), 0..200), far in 0..3_i64) {
        let mut order = ReorderBuffer::default();
        let (mut pushed, mut popped) = (vec![], vec![]);
        let mut w = NEVER_BUT_SMALL;
        for (offset, (what, time, rank, many)) in steps.into_iter().enumerate() {
            if what < 3 {
                let time = time * [1, 500, 100_000][far as usize];
                let entry = entry(time.max(w), Rank(rank), offset as i64);
                pushed.push(entry.key());
                order.push(entry);
            } else {
                w = w.max(time);
                order.ready(w, many);
                for _ in 0..many {
                    popped.extend(order.pop().map(|entry| entry.key()));
                }
                prop_assert!(popped.iter().all(|place| place.0 < w));
            }
        }
        order.ready(Millis::MAX, usize::MAX);
        popped.extend(std::iter::from_fn(|| order.pop()).map(|entry| entry.key()));
        pushed.sort_unstable();
        prop_assert_eq!(popped, pushed);
        prop_assert!(order.is_empty());
    }
}

const NEVER_BUT_SMALL: Millis = -1000;

impl ReorderBuffer {
    /// Number of entries that it has capacity for.
    fn room(&self) -> usize {
        let lists = self.ring.iter().chain(self.beyond.values());
        let lists = lists.chain(&self.spare).chain(&self.split.lists);
        self.ready.capacity() + lists.map(Vec::capacity).sum::<usize>()
    }
}

fn drain(order: &mut ReorderBuffer, w: Millis) -> usize {
    let mut taken = 0;
    while !order.ready(w, 512).is_empty() {
        taken += std::iter::from_fn(|| order.pop()).count();
    }
    taken
}

/// A live stream: one record each millisecond, a watermark that follows at a distance, and a look after each record.
#[test]
fn the_room_of_a_live_stream_comes_to_rest() {
    let mut order = ReorderBuffer::default();
    let (mut taken, mut room) = (0, 0);
    for now in 0..600_000 {
        order.push(entry(now, Rank(0), now));
        taken += drain(&mut order, now - 1000);
        if now == 120_000 {
            room = order.room();
        }
    }
    assert_eq!((taken, order.len()), (598_999, 1001));
    assert!(
        order.room() <= room + KEPT_ENTRIES,
        "from {room} to {} entries",
        order.room()
    );
    assert!(order.moves <= 2 * 600_000, "{} moves", order.moves);
}

/// Unreadable records have the time of the watermark, and wait until it moves.
#[test]
fn a_crowd_at_the_watermark_costs_nothing_while_it_waits() {
    let mut order = ReorderBuffer::default();
    for offset in 0..50_000 {
        order.push(entry(7, Rank(0), offset));
        order.ready(7, 512);
    }
    let (room, moves) = (order.room(), order.moves);
    for _ in 0..100_000 {
        assert!(order.ready(7, 512).is_empty());
    }
    assert_eq!((order.room(), order.moves), (room, moves));
    assert_eq!(drain(&mut order, 8), 50_000);
    assert!(order.moves <= 100_000, "{} moves", order.moves);
    order.ready(8, 1);
    assert!(
        order.room() <= KEPT_ENTRIES * (SPARE + BUCKET),
        "{} entries",
        order.room()
    );
}

/// A backlog of one input while the other is a day ahead, so that most buckets are outside of the ring.
#[test]
fn the_room_of_a_long_backlog_comes_to_rest() {
    let mut order = ReorderBuffer::default();
    let day = 24 * 3600 * 1000;
    for step in 0..200_000 {
        let time = step * 100;
        order.push(entry(time, Rank(0), step));
        order.push(entry(time + day, Rank(1), step));
        drain(&mut order, time);
    }
    let waiting = order.len();
    assert_eq!(drain(&mut order, Millis::MAX), waiting);
    order.ready(Millis::MAX, 1);
    assert!(
        order.room() <= KEPT_ENTRIES * (SPARE + BUCKET),
        "{} entries",
        order.room()
    );
}
