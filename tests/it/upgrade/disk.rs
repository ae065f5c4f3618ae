//! The data directories of the pipeline's instances, each with its RocksDB, as `pelton run` has them.
//!
//! Rules:
//! - Nothing is written to the fixture: its data directory is copied first.
//! - What is left after a kill is what `kill -9` leaves: what is in files, without what RocksDB had in memory.

use super::fixture::{CLUSTER, OURS, PARTITIONS, folder};
use parking_lot::Mutex;
use pelton::instance::Stores;
use pelton::record::{Partition, Stay};
use pelton::state::delta::Change;
use pelton::state::meta::{self, Meta};
use pelton::store::{Directory, LocalStore, Rocks, Stamp};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Locks of the processes, and RocksDB's own log, which names paths of the machine.
const LEFT_OUT: [&str; 4] = ["lock", "LOCK", "LOG", "LOG.old"];

/// The data directories, in a temporary folder.
pub struct Disk {
    folder: TempDir,
    /// By instance.
    open: Mutex<BTreeMap<String, (Directory, Rocks)>>,
}

/// What is stored of a task.
#[derive(Debug, Default)]
pub struct Stored {
    pub stamp: Option<Stamp>,
    pub meta: Option<Meta>,
    pub rows: usize,
    pub timers: usize,
    pub lookups: usize,
}

/// How long the threads of an instance that has ended may take to let go of its database.
const PATIENCE: Duration = Duration::from_secs(30);

/// The database in a directory. A process that ends lets go of it at once; here, its threads do so in their own time.
fn opened(directory: &Directory) -> Rocks {
    let begun = Instant::now();
    loop {
        match Rocks::open(directory) {
            Ok(rocks) => return rocks,
            Err(why) => assert!(begun.elapsed() < PATIENCE, "{why}"),
        }
        std::thread::yield_now();
    }
}

impl Disk {
    /// Nothing is stored.
    pub fn new() -> Disk {
        Disk {
            folder: TempDir::new().expect("room for state"),
            open: Mutex::default(),
        }
    }

    /// A data directory of the fixture.
    pub fn of(name: &str) -> Disk {
        let disk = Disk::new();
        copy(&folder().join(name), &disk.path(OURS));
        disk
    }

    fn path(&self, instance: &str) -> PathBuf {
        self.folder.path().join(instance)
    }

    /// The stores of an instance that starts.
    pub fn start(&self, instance: &str) -> Stores {
        let mut open = self.open.lock();
        // The process before has ended; a directory is open once.
        open.remove(instance);
        let directory = Directory::open(&self.path(instance), CLUSTER).expect("a directory of ours");
        directory.remember_workers(1).expect("room for a number");
        let rocks = opened(&directory);
        open.insert(instance.to_owned(), (directory, rocks.clone()));
        Arc::new(move || Box::new(rocks.store()))
    }

    /// The process of an instance has died.
    pub fn kill(&self, instance: &str) {
        let left = self.folder.path().join("left");
        let mut open = self.open.lock();
        if let Some((_, rocks)) = open.get(instance) {
            // Waits until all is written that was handed over.
            let mut store = rocks.store();
            Partition::all(PARTITIONS).for_each(|task| _ = store.load(task, &mut |_| {}));
        }
        copy(&self.path(instance), &left);
        // A database that is closed writes what it has in memory.
        open.remove(instance);
        fs::remove_dir_all(self.path(instance)).expect("a folder of ours");
        fs::rename(left, self.path(instance)).expect("a folder of ours");
    }

    /// Writes the data directory of an instance that has died into the fixture.
    pub fn keep(&self, instance: &str, name: &str) {
        let to = folder().join(name);
        if to.exists() {
            fs::remove_dir_all(&to).expect("the fixture's folder");
        }
        copy(&self.path(instance), &to);
    }

    /// What is stored of a task of an instance that does not run any more.
    pub fn stored(&self, instance: &str, task: Partition) -> Stored {
        self.open.lock().remove(instance);
        let directory = Directory::open(&self.path(instance), CLUSTER).expect("a directory of ours");
        let mut store = opened(&directory).store();
        let stamp = store.open(task, Stay::default()).expect("a state that can be read");
        Stored {
            stamp,
            ..loaded(&mut store, task)
        }
    }

    /// What is stored of a task of an instance that runs; its stamp is left out.
    pub fn look(&self, instance: &str, task: Partition) -> Stored {
        let open = self.open.lock();
        let (_, rocks) = open.get(instance).expect("it runs");
        loaded(&mut rocks.store(), task)
    }
}

fn loaded(store: &mut dyn LocalStore, task: Partition) -> Stored {
    let mut stored = Stored::default();
    let mut visit = |change: Change<'_>| match change {
        Change::Meta(bytes) => stored.meta = Some(meta::decode(bytes).expect("a meta")),
        Change::Put { .. } => stored.rows += 1,
        Change::SetTimer { .. } => stored.timers += 1,
        Change::Ask { .. } => stored.lookups += 1,
        _ => {}
    };
    store.load(task, &mut visit).expect("a state that can be read");
    stored
}

impl Stored {
    /// A verdict on a record that still waits, and timers, questions and a deploy that is taken over.
    pub fn has_one_of_everything(&self) -> bool {
        self.meta.as_ref().is_some_and(|meta| {
            let inputs = || meta.inputs.iter();
            self.rows > 10
                && self.timers > 0
                && self.lookups > 0
                && meta.deployed > 1
                && inputs().any(|input| !input.verdicts.is_empty())
                && inputs().any(|input| input.read > input.next)
        })
    }
}

/// Copies a data directory while nothing of it changes. RocksDB may be at a compaction: then once more.
fn copy(from: &Path, to: &Path) {
    loop {
        let before = files(from);
        let copied = before.keys().all(|file| {
            let target = to.join(file);
            fs::create_dir_all(target.parent().expect("below `to`")).expect("room for state");
            fs::copy(from.join(file), target).is_ok()
        });
        if copied && files(from) == before {
            return;
        }
        fs::remove_dir_all(to).expect("it was just made");
    }
}

/// The files below a folder that are kept, with their sizes.
fn files(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let mut files = BTreeMap::new();
    for below in ["", "state"] {
        for entry in fs::read_dir(folder.join(below)).expect("a data directory").flatten() {
            let name = entry.file_name();
            // What is gone meanwhile is seen by the next look.
            let Ok(about) = entry.metadata() else { continue };
            if about.is_file() && LEFT_OUT.iter().all(|out| name != *out) {
                files.insert(Path::new(below).join(name), about.len());
            }
        }
    }
    files
}
