//! Tests of what both stores promise, and of what each does in a crash.

use super::memory::Disk;
use super::*;
use crate::error::{Failure, Result};
use crate::record::{FOREVER, Offset, Partition, Stay, StoreEntry};
use crate::state::delta::{Change, Delta};
use crate::state::rows::{Dirty, Rows, hash};
use std::collections::BTreeMap;

pub(super) const TASK: Partition = Partition(3);

fn stamp(offset: i64) -> Stamp {
    Stamp {
        cluster: "cluster".to_owned(),
        topic: "topic".to_owned(),
        offset: Offset(offset),
    }
}

/// Commits rows with these values. `None` means deleted.
pub(super) fn change(rows: &mut Rows, changes: &[(&str, Option<&str>)]) {
    rows.track();
    for (key, value) in changes {
        let slot = rows.slot(hash(key.as_bytes()), key.as_bytes());
        match value {
            Some(value) => {
                let cell = StoreEntry {
                    schema: 2,
                    expires: FOREVER,
                    value: value.as_bytes(),
                };
                rows.put(slot, 1, b"entry", cell);
            }
            None => _ = rows.delete(slot, 1, b"entry"),
        }
    }
    rows.seal();
    rows.commit(0);
}

pub(super) fn begin(store: &mut dyn LocalStore, snapshot: &[&str]) {
    let mut delta = Delta::new();
    delta.meta(b"meta");
    snapshot
        .iter()
        .for_each(|tag| delta.set_timer(b"key", 5, 1, tag.as_bytes()));
    store.begin(TASK, delta);
}

pub(super) fn slices(store: &mut dyn LocalStore, rows: &mut Rows) {
    loop {
        let mut slice = Dirty::new();
        let done = rows.take_dirty(100, 0, &mut slice);
        store.write(TASK, slice);
        if done {
            return;
        }
    }
}

pub(super) fn finish(store: &mut dyn LocalStore, offset: i64) -> Result<Stamp> {
    store.finish(TASK, stamp(offset));
    loop {
        if let Some((task, result)) = store.flushed() {
            assert_eq!(task, TASK);
            return result;
        }
        std::thread::yield_now();
    }
}

/// Rows by key, and tags of timers in order. Checks that the meta exists once.
pub(super) fn load(store: &mut dyn LocalStore) -> (BTreeMap<String, String>, Vec<String>) {
    let (mut rows, mut tags, mut metas) = (BTreeMap::new(), Vec::new(), 0);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut visit = |change: Change<'_>| match change {
        Change::Put {
            key,
            store: 1,
            entry: b"entry",
            cell:
                StoreEntry {
                    schema: 2,
                    expires: FOREVER,
                    value,
                },
        } => {
            assert_eq!(rows.insert(text(key), text(value)), None);
        }
        Change::SetTimer {
            key: b"key",
            at: 5,
            kind: 1,
            tag,
        } => tags.push(text(tag)),
        Change::Meta(b"meta") => metas += 1,
        other => panic!("{other:?} was never written"),
    };
    store.load(TASK, &mut visit).unwrap();
    assert!(metas <= 1);
    (rows, tags)
}

pub(super) fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
}

/// What every store promises. `again` opens it again.
pub(super) fn contract(mut again: impl FnMut() -> Box<dyn LocalStore>) {
    let mut rows = Rows::new();
    let mut store = again();
    assert_eq!(store.open(TASK, Stay(1)), Ok(None));
    assert_eq!(load(&mut *store), (pairs(&[]), vec![]));
    change(&mut rows, &[("a", Some("1")), ("b", Some("1")), ("c", Some("1"))]);
    assert!(store.ready());
    begin(&mut *store, &["x", "y", "z"]);
    slices(&mut *store, &mut rows);
    assert_eq!(finish(&mut *store, 7), Ok(stamp(7)));
    store.close(TASK);
    assert_eq!(store.open(TASK, Stay(1)), Ok(Some(stamp(7))));
    assert_eq!(
        load(&mut *store),
        (
            pairs(&[("a", "1"), ("b", "1"), ("c", "1")]),
            vec!["x".into(), "y".into(), "z".into()]
        )
    );
    // A second flush replaces what is not a row, and removes deleted rows.
    change(&mut rows, &[("a", Some("2")), ("b", None), ("d", Some("2"))]);
    begin(&mut *store, &["w"]);
    slices(&mut *store, &mut rows);
    assert_eq!(finish(&mut *store, 9), Ok(stamp(9)));
    drop(store);
    let mut store = again();
    let second = (pairs(&[("a", "2"), ("c", "1"), ("d", "2")]), vec!["w".to_owned()]);
    assert_eq!(store.open(TASK, Stay(1)), Ok(Some(stamp(9))));
    assert_eq!(load(&mut *store), second);
    // A third flush is not finished: rows may be newer, everything else is as the stamp says, and the next flush
    // contains none of it.
    change(&mut rows, &[("a", Some("3"))]);
    begin(&mut *store, &["u", "v"]);
    slices(&mut *store, &mut rows);
    store.close(TASK);
    assert_eq!(store.flushed(), None);
    assert_eq!(store.open(TASK, Stay(1)), Ok(Some(stamp(9))));
    let (found, tags) = load(&mut *store);
    assert_eq!((found["a"].as_str(), tags), ("3", vec!["w".to_owned()]));
    begin(&mut *store, &["t"]);
    slices(&mut *store, &mut rows);
    assert_eq!(finish(&mut *store, 11), Ok(stamp(11)));
    assert_eq!(
        load(&mut *store),
        (pairs(&[("a", "3"), ("c", "1"), ("d", "2")]), vec!["t".to_owned()])
    );
    // Other tasks are independent.
    assert_eq!(store.open(Partition(4), Stay(1)), Ok(None));
    assert_eq!(store.wipe(TASK), Ok(()));
    assert_eq!(store.open(TASK, Stay(1)), Ok(None));
    assert_eq!(load(&mut *store), (pairs(&[]), vec![]));
    drop(store);
    assert_eq!(again().open(TASK, Stay(1)), Ok(None));
}

/// With two handles of one store, after a newer stay has taken over, nothing that the older one does has any effect.
pub(super) fn an_older_stay_changes_nothing(older: &mut dyn LocalStore, newer: &mut dyn LocalStore) {
    let (mut old, mut rows) = (Rows::new(), Rows::new());
    assert_eq!(older.open(TASK, Stay(1)), Ok(None));
    change(&mut old, &[("a", Some("old"))]);
    begin(older, &["old"]);
    assert_eq!(newer.open(TASK, Stay(2)), Ok(None));
    // Between the first slice and the stamp, an open could not tell that the flush is incomplete.
    change(&mut rows, &[("a", Some("1")), ("b", Some("1"))]);
    begin(newer, &["x"]);
    slices(newer, &mut rows);
    assert!(matches!(older.open(TASK, Stay(1)), Err(Failure::Fenced(_))));
    assert!(matches!(older.wipe(TASK), Err(Failure::Fenced(_))));
    slices(older, &mut old);
    assert!(finish(older, 5).is_err());
    assert_eq!(finish(newer, 7), Ok(stamp(7)));
    assert!(matches!(older.wipe(TASK), Err(Failure::Fenced(_))));
    let all = (pairs(&[("a", "1"), ("b", "1")]), vec!["x".to_owned()]);
    assert_eq!(load(newer), all);
    // A restore hands over to the worker, which opens the same stay.
    assert_eq!(older.open(TASK, Stay(2)), Ok(Some(stamp(7))));
    assert_eq!(load(older), all);
}

#[test]
fn memory_keeps_the_contract() {
    let disk = Disk::new();
    contract(|| Box::new(disk.store()));
}

#[test]
fn an_older_stay_changes_nothing_in_memory() {
    let disk = Disk::new();
    an_older_stay_changes_nothing(&mut disk.store(), &mut disk.store());
    // The next process numbers stays from the start.
    assert_eq!(disk.reopen().store().open(TASK, Stay(1)), Ok(Some(stamp(7))));
}

#[test]
fn a_lost_tail_leaves_the_older_stamp_with_all_that_belongs_to_it() {
    let mut seen = std::collections::BTreeSet::new();
    for survive in 0..12 {
        let (disk, mut rows) = (Disk::new(), Rows::new());
        let mut store = disk.store();
        store.open(TASK, Stay(1)).unwrap();
        change(&mut rows, &[("a", Some("1")), ("b", Some("1"))]);
        begin(&mut store, &["x"]);
        slices(&mut store, &mut rows);
        finish(&mut store, 7).unwrap();
        change(&mut rows, &[("a", Some("2")), ("b", None), ("c", Some("2"))]);
        begin(&mut store, &["y", "z"]);
        slices(&mut store, &mut rows);
        disk.crash(&mut |writes| survive.min(writes));
        let mut store = disk.store();
        assert_eq!(store.open(TASK, Stay(1)), Ok(Some(stamp(7))));
        let (found, tags) = load(&mut store);
        assert_eq!(tags, ["x"]);
        assert!(found["a"] == "1" || found["a"] == "2");
        seen.insert(found);
    }
    assert!(seen.len() > 2, "nothing was lost");
}

#[test]
fn a_full_disk_in_memory_fails_the_flush() {
    let (disk, mut rows) = (Disk::new(), Rows::new());
    let mut store = disk.store();
    store.open(TASK, Stay(1)).unwrap();
    change(&mut rows, &[("a", Some("1"))]);
    disk.set_full(true);
    begin(&mut store, &[]);
    slices(&mut store, &mut rows);
    assert!(matches!(finish(&mut store, 7), Err(Failure::Retry(_))));
    disk.set_full(false);
    store.wipe(TASK).unwrap();
    rows.mark_dirty();
    begin(&mut store, &[]);
    slices(&mut store, &mut rows);
    assert_eq!(finish(&mut store, 8), Ok(stamp(8)));
    assert_eq!(load(&mut store).0, pairs(&[("a", "1")]));
}

#[test]
fn a_data_directory_has_one_cluster_one_process_and_a_memory() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("deep").join("data");
    let directory = Directory::open(&path, "one").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o700, "other users of the machine can't read it");
    assert_eq!(directory.workers_ever(), Ok(0));
    directory.remember_workers(4).unwrap();
    directory.remember_workers(2).unwrap();
    assert_eq!(directory.workers_ever(), Ok(4));
    assert!(
        Directory::open(&path, "one")
            .unwrap_err()
            .to_string()
            .contains("another process")
    );
    drop(directory);
    assert!(
        Directory::open(&path, "two")
            .unwrap_err()
            .to_string()
            .contains("cluster one, not of two")
    );
    assert_eq!(Directory::open(&path, "one").unwrap().workers_ever(), Ok(4));
    std::fs::write(path.join("instance"), "many").unwrap();
    assert!(
        Directory::open(&path, "one")
            .unwrap()
            .workers_ever()
            .unwrap_err()
            .to_string()
            .contains("a number")
    );
}

/// The keys and the stamp of version 1, as they are on disks.
#[test]
fn version_1_is_pinned() {
    let stamp = [
        &[1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 1, 4, 0, 7][..],
        b"clustertopic",
    ];
    assert_eq!(layout::encode_stamp(&self::stamp(260), 3), stamp.concat());
    assert_eq!(layout::STAMP, b"s");
    assert_eq!(layout::row_key(258, b"key"), b"r\0\0\0\0\0\0\x01\x02key");
    assert_eq!(layout::snapshot_key(3, 4), b"a\0\0\0\0\0\0\0\x03\0\0\0\x04");
}

#[test]
fn hostile_stamps_are_refused() {
    let whole = layout::encode_stamp(&stamp(5), 3);
    assert_eq!(layout::decode_stamp(&whole), Ok((stamp(5), 3)));
    (0..19).for_each(|len| assert!(layout::decode_stamp(&whole[..len]).is_err(), "{len}"));
    let newer = layout::decode_stamp(&[9; 40])
        .expect_err("an unknown version")
        .to_string();
    assert!(newer.starts_with("the state on disk has format version 9"), "{newer}");
}
