//! Tests of RocksDB as a store: its contract, a process that dies, a directory in use, a full disk.

use super::*;
use crate::record::{Offset, StoreEntry};
use crate::state::rows::Rows;
use crate::store::layout::STAMP;
use crate::store::tests::{TASK, an_older_stay_changes_nothing, begin, change, contract, finish, load, pairs, slices};
use std::path::Path;
use std::process::Command;

const CHILD: &str = "PELTON_TEST_STORE_CHILD";

fn open(path: &Path) -> (Directory, Rocks) {
    let directory = Directory::open(path, "cluster").unwrap();
    let rocks = Rocks::open(&directory).unwrap();
    (directory, rocks)
}

#[test]
fn rocks_keeps_the_contract() {
    let root = tempfile::tempdir().unwrap();
    // The older database is closed before it is opened again.
    contract(|| {
        let directory = Directory::open(root.path(), "cluster").unwrap();
        Box::new(Rocks::open(&directory).unwrap().store())
    });
}

#[test]
fn an_older_stay_changes_nothing_on_disk() {
    let root = tempfile::tempdir().unwrap();
    let (_directory, rocks) = open(root.path());
    an_older_stay_changes_nothing(&mut rocks.store(), &mut rocks.store());
}

/// Runs in a process of its own, and dies in the middle of its second flush.
#[test]
fn child_that_dies() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let (_directory, rocks) = open(Path::new(&path));
    let (mut store, mut rows) = (rocks.store(), Rows::new());
    store.open(TASK, Stay(1)).unwrap();
    change(&mut rows, &[("a", Some("1")), ("b", Some("1"))]);
    begin(&mut store, &["x"]);
    slices(&mut store, &mut rows);
    finish(&mut store, 7).unwrap();
    change(&mut rows, &[("a", Some("2")), ("c", Some("2"))]);
    begin(&mut store, &["y", "z"]);
    slices(&mut store, &mut rows);
    rocks.0.as_ref().unwrap().writer.wait().unwrap();
    std::process::abort();
}

#[test]
fn a_process_that_dies_leaves_its_last_stamp() {
    let root = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "store::rocks::tests::child_that_dies"])
        .env(CHILD, root.path());
    let output = child.output().unwrap();
    assert!(!output.status.success());
    let (_directory, rocks) = open(root.path());
    let mut store = rocks.store();
    assert_eq!(
        store.open(TASK, Stay(1)).unwrap().map(|stamp| stamp.offset),
        Some(Offset(7)),
        "{output:?}"
    );
    let (rows, tags) = load(&mut store);
    assert_eq!(tags, ["x"]);
    assert!(rows["a"] == "1" || rows["a"] == "2");
    assert_eq!(rows["b"], "1");
}

#[test]
fn a_database_in_use_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let (directory, _rocks) = open(root.path());
    let refused = Rocks::open(&directory).err().expect("it is in use").to_string();
    assert!(refused.contains("another process"), "{refused}");
}

#[test]
fn a_damaged_database_is_made_anew() {
    let root = tempfile::tempdir().unwrap();
    drop(open(root.path()).1.store().open(TASK, Stay(1)).unwrap());
    std::fs::write(root.path().join("state").join("CURRENT"), "MANIFEST-999999\n").unwrap();
    let (_directory, rocks) = open(root.path());
    assert_eq!(rocks.store().open(TASK, Stay(1)), Ok(None));
}

/// State from a newer Pelton is wiped instead of guessed at, because the changelog has all of it.
#[test]
fn a_stamp_of_another_version_is_wiped() {
    let root = tempfile::tempdir().unwrap();
    let (_directory, rocks) = open(root.path());
    let (mut store, mut rows) = (rocks.store(), Rows::new());
    store.open(TASK, Stay(1)).unwrap();
    change(&mut rows, &[("a", Some("1"))]);
    begin(&mut store, &["x"]);
    slices(&mut store, &mut rows);
    finish(&mut store, 7).unwrap();
    let db = &rocks.0.as_ref().unwrap().db;
    let mut bytes = db.get_cf(&family(db, TASK).unwrap(), STAMP).unwrap().unwrap();
    bytes[0] += 1;
    db.put_cf(&family(db, TASK).unwrap(), STAMP, bytes).unwrap();
    let Err(Failure::Corrupted(why)) = stamp(db, TASK) else {
        panic!("it is read")
    };
    assert!(why.starts_with("the state on disk has format version 2"), "{why}");
    assert_eq!(store.open(TASK, Stay(2)), Ok(None));
    assert_eq!(load(&mut store), Default::default());
}

/// A file system of 96 MiB, which is unmounted at the end.
struct Small(tempfile::TempDir);

impl Small {
    fn mount() -> Option<Self> {
        let small = Self(tempfile::tempdir().unwrap());
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=96m", "pelton-test"])
            .arg(small.0.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(small)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        _ = Command::new("umount").arg(self.0.path()).output();
    }
}

#[test]
fn a_full_disk_fails_the_flush_and_a_restart_goes_on() {
    let Some(small) = Small::mount() else {
        println!("skipped: a small file system can't be mounted here (it takes root)");
        return;
    };
    let (directory, rocks) = open(small.0.path());
    let (mut store, mut rows) = (rocks.store(), Rows::new());
    store.open(TASK, Stay(1)).unwrap();
    let filler = small.0.path().join("filler");
    std::fs::write(&filler, vec![1; 76 << 20]).unwrap();
    // 48 MiB that hardly compress, with room for 20.
    let mut noise = 1u64;
    let value: Vec<u8> = std::iter::repeat_with(|| {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        b'0' + (noise >> 57) as u8 % 64
    })
    .take(48 << 20)
    .collect();
    rows.track();
    for (n, value) in value.chunks(8 << 10).enumerate() {
        let slot = rows.slot((n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15), &n.to_be_bytes());
        let cell = StoreEntry {
            schema: 2,
            expires: i64::MAX,
            value,
        };
        rows.put(slot, 1, b"entry", cell);
    }
    rows.seal();
    rows.commit(0);
    begin(&mut store, &[]);
    let mut slice = Dirty::new();
    while !rows.take_dirty(1 << 20, 0, &mut slice) {
        store.write(TASK, std::mem::take(&mut slice));
    }
    store.write(TASK, slice);
    let failed = finish(&mut store, 7).unwrap_err();
    assert!(matches!(failed, Failure::Retry(_)), "{failed:?}");
    // Makes room, and starts the process again.
    std::fs::remove_file(&filler).unwrap();
    drop((store, rocks, directory));
    let (_directory, rocks) = open(small.0.path());
    let (mut store, mut rows) = (rocks.store(), Rows::new());
    assert_eq!(store.open(TASK, Stay(1)), Ok(None));
    change(&mut rows, &[("a", Some("1"))]);
    begin(&mut store, &["x"]);
    slices(&mut store, &mut rows);
    assert_eq!(finish(&mut store, 8).map(|stamp| stamp.offset.0), Ok(8));
    assert_eq!(load(&mut store), (pairs(&[("a", "1")]), vec!["x".to_owned()]));
}
