use super::*;
use crate::log::Fetched;
use crate::record::{Offset, Partition, Span};
use proptest::prelude::*;
use std::fs::File;
use std::os::unix::fs::FileExt;

const RANKS: usize = 3;
const LIMIT: usize = 500;
const MAX_RECORDS: usize = 5;
/// Maximum size of a record's key, value and header.
const MAX_BYTES: usize = 3 * 40;

/// A chunk with records of these sizes. `None` means a null key and a null value.
fn chunk(rank: Rank, first: i64, sizes: &[Option<usize>]) -> Chunk {
    let mut chunk = Chunk {
        topic: rank.topic(),
        partition: Partition(7),
        ..Chunk::default()
    };
    for (offset, size) in (first..).zip(sizes) {
        let mut piece =
            |of: u8| size.map(|size| Span::append(&mut chunk.bytes, &vec![(offset as u8).wrapping_mul(3) ^ of; size]));
        let (key, value, name) = (piece(1), piece(2), piece(3));
        let from = chunk.headers.len() as u32;
        chunk.headers.extend(name.map(|name| (name, name)));
        chunk.records.push(Fetched {
            offset: Offset(offset),
            timestamp: offset - 5,
            append_time: offset % 2 == 0,
            key,
            value,
            headers: from..chunk.headers.len() as u32,
        });
    }
    chunk
}

/// All fields of a record.
fn described(record: InputRecord<'_>) -> String {
    let headers: Vec<_> = record.headers().collect();
    let (offset, timestamp, append_time) = (record.offset(), record.timestamp(), record.append_time());
    let (key, value) = (record.key(), record.value());
    format!(
        "{} {} {offset} {timestamp} {append_time} {key:?} {value:?} {headers:?}",
        record.topic(),
        record.partition()
    )
}

fn in_memory(shelf: &Shelf) -> usize {
    shelf.slots.iter().map(|kept| kept.chunk.bytes.len()).sum()
}

fn sizes() -> impl Strategy<Value = Vec<Option<usize>>> {
    prop::collection::vec(prop::option::weighted(0.9, 0..40_usize), 1..=MAX_RECORDS)
}

/// A step of the test: a chunk arrives, or a batch of records is taken.
#[derive(Clone, Debug)]
enum Step {
    Add(Rank, Vec<Option<usize>>),
    Batch(Vec<(usize, bool)>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..RANKS, sizes()).prop_map(|(rank, sizes)| Step::Add(Rank::at(rank), sizes)),
        1 => prop::collection::vec((any::<usize>(), any::<bool>()), 1..20).prop_map(Step::Batch),
    ]
}

proptest! {
    /// A shelf that spills gives the same records as one that does not, in limited memory, and leaves nothing over.
    #[test]
    fn is_a_shelf_without_limit(steps in prop::collection::vec(step(), 1..120), limit in prop::sample::select(vec![0, 1, LIMIT])) {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::new(RANKS, limit, Scratch::new(folder.path().into()));
        let mut whole = Shelf::new(RANKS, usize::MAX, Scratch::new(folder.path().into()));
        let (mut waiting, mut offset) = (vec![], 0);
        let bound = (RANKS + 2) * limit + (RANKS + 1) * MAX_RECORDS * MAX_BYTES;
        // In the end, all records are taken.
        let rest = std::iter::repeat_n(Step::Batch(vec![(0, true); 5]), 120 * MAX_RECORDS);
        for step in steps.into_iter().chain(rest) {
            match step {
                Step::Add(rank, sizes) => {
                    let live = sizes.len() as u32;
                    let place = shelf.add(chunk(rank, offset, &sizes), live, false);
                    prop_assert_eq!(place, whole.add(chunk(rank, offset, &sizes), live, false));
                    waiting.extend((0..live).map(|record| (place, record)));
                    offset += i64::from(live);
                }
                Step::Batch(takes) => {
                    shelf.begin();
                    let mut planned: Vec<((u32, u32), bool)> = vec![];
                    for (number, (which, done)) in takes.into_iter().enumerate() {
                        if waiting.is_empty() {
                            break;
                        }
                        let at = waiting[which % waiting.len()];
                        if !shelf.bring(at.0) {
                            prop_assert!(number > 0, "the first of a batch always comes");
                            break;
                        }
                        if planned.iter().all(|(planned, _)| *planned != at) {
                            planned.push((at, done));
                        }
                    }
                    for ((place, record), done) in planned {
                        prop_assert_eq!(described(shelf.record(place, record)), described(whole.record(place, record)));
                        if done {
                            shelf.done(place);
                            whole.done(place);
                            waiting.retain(|at| *at != (place, record));
                        }
                    }
                }
            }
            let spilled: usize = Rank::all(RANKS).map(|rank| shelf.spilled(rank)).sum();
            let all: usize = Rank::all(RANKS).map(|rank| shelf.bytes(rank)).sum();
            prop_assert_eq!(in_memory(&shelf), all - spilled);
            prop_assert_eq!(in_memory(&whole), all);
            prop_assert!(in_memory(&shelf) <= bound, "{} of {bound}", in_memory(&shelf));
            let read_back = shelf.back.iter().map(|place| shelf.slots[*place as usize].bytes).sum::<usize>();
            prop_assert_eq!(shelf.back_bytes, read_back);
        }
        prop_assert!(waiting.is_empty());
        prop_assert_eq!((in_memory(&shelf), shelf.scratch.end()), (0, 0));
        prop_assert!(!shelf.is_lost());
    }
}

/// Chunks of a hundred bytes with one record each, with a limit of a hundred: all but two are spilled.
fn spilling(scratch: Scratch) -> (Shelf, Vec<u32>) {
    let mut shelf = Shelf::new(1, 100, scratch);
    let places = (0..10).map(|offset| shelf.add(chunk(Rank(0), offset, &[Some(34)]), 1, false));
    let places = places.collect();
    (shelf, places)
}

#[test]
fn the_last_are_spilled_and_read_back_once() {
    let (mut shelf, places) = spilling(Scratch::on(tempfile::tempfile().unwrap()));
    assert_eq!((shelf.bytes(Rank(0)), shelf.spilled(Rank(0))), (10 * 102, 9 * 102));
    shelf.begin();
    assert!(
        shelf.bring(places[0]) && shelf.back.is_empty(),
        "the first is in memory"
    );
    assert!(
        shelf.bring(places[1]) && shelf.bring(places[1]),
        "it is read back, and there"
    );
    assert!(!shelf.bring(places[2]), "a batch reads back no more than the limit");
    shelf.begin();
    assert!(shelf.slots[places[1] as usize].away, "more than the limit is read back");
    let spilled = shelf.spilled(Rank(0));
    shelf.add(chunk(Rank(0), 10, &[Some(34)]), 1, true);
    assert_eq!(shelf.spilled(Rank(0)), spilled, "what is paused soon is not spilled");
    shelf.clear();
    assert_eq!(
        (shelf.bytes(Rank(0)), shelf.spilled(Rank(0)), shelf.scratch.end()),
        (0, 0, 0)
    );
}

#[test]
fn a_full_disk_keeps_all_in_memory() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let (mut shelf, places) = spilling(Scratch::on(full));
    assert_eq!((shelf.spilled(Rank(0)), in_memory(&shelf)), (0, 10 * 102));
    assert!(shelf.trust.warned);
    for (offset, place) in places.into_iter().enumerate() {
        assert!(shelf.bring(place));
        assert_eq!(shelf.record(place, 0).offset(), Offset(offset as i64));
        shelf.done(place);
    }
    assert!(!shelf.is_lost() && shelf.bytes(Rank(0)) == 0);
}

#[test]
fn a_folder_that_cannot_be_made_keeps_all_in_memory() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (shelf, _) = spilling(Scratch::new(file.path().join("below a file")));
    assert_eq!((shelf.spilled(Rank(0)), in_memory(&shelf)), (0, 10 * 102));
}

/// If the file is cut or one of its bits is changed, none of it is used, and no file is used again.
#[test]
fn what_cannot_be_read_back_is_lost() {
    let cut = |file: &File| file.set_len(200).unwrap();
    let flip = |file: &File| {
        let mut byte = [0];
        file.read_exact_at(&mut byte, 160).unwrap();
        file.write_all_at(&[byte[0] ^ 1], 160).unwrap();
    };
    for harm in [&cut as &dyn Fn(&File), &flip] {
        let file = tempfile::tempfile().unwrap();
        let (mut shelf, places) = spilling(Scratch::on(file.try_clone().unwrap()));
        harm(&file);
        shelf.begin();
        assert!(shelf.bring(places[0]), "it is in memory");
        let found = (1..10).find(|chunk| {
            shelf.begin();
            !shelf.bring(places[*chunk])
        });
        assert_eq!(found, Some(2), "the second extent is harmed, the first is not");
        assert!(shelf.is_lost());
        shelf.clear();
        assert!(!shelf.is_lost());
        for offset in 0..10 {
            shelf.add(chunk(Rank(0), offset, &[Some(34)]), 1, false);
        }
        assert_eq!(shelf.spilled(Rank(0)), 0, "the file is not trusted any more");
    }
}
