//! The disk has what a restart needs, even if a commit is in doubt, if the disk is full, or if an epoch is open in the
//! middle of a flush.
//!
//! Rule: before each restart the changelog is cut up to the stamp. So only the disk has what comes before it.

use pelton::config::Config;
use pelton::log::embedded::{CallKind, Fate};
use pelton::record::{Partition, Stay};
use pelton::state::delta::Delta;
use pelton::store::LocalStore;
use pelton::store::memory::Disk;
use pelton_tests::stage::{Format, HOUR, MINUTE, SECOND, Setup, Stage, Stream, money};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// With this much for each user, their rows are three slices of a flush and the beginning of a fourth.
const USERS: i64 = 320;
const LENGTH: usize = 10_000;

const TURN: Duration = Duration::from_millis(5);

/// More turns than a flush has slices, and more than a wave takes.
const MANY: i64 = 60;

/// A pipeline with a disk that is flushed as often as the state's size allows. Each epoch is committed at once.
struct World {
    stage: Stage,
    disk: Disk,
    /// The kinds of money that every user has so far, each at its own minute.
    kinds: Vec<String>,
    /// Whether the next submit is in doubt: it is committed, but nobody is told.
    doubt: Arc<AtomicBool>,
    /// The number of turns so far. Each is a millisecond of event time.
    tick: i64,
}

impl World {
    fn new(change: impl FnOnce(&mut Config)) -> World {
        let mut setup = Setup::money(Format::Json);
        let disk = Disk::new();
        setup.disk = Some(disk.clone());
        setup.config.state.flush_bytes = 1;
        setup.config.epoch.interval = Duration::from_millis(1);
        change(&mut setup.config);
        let mut stage = setup.start();
        stage.settle();
        let doubt = Arc::new(AtomicBool::new(false));
        let armed = doubt.clone();
        stage.cluster.set_fates(Some(Box::new(move |call| Fate {
            doubt: call.what == CallKind::Submit && armed.swap(false, Ordering::Relaxed),
            ..Fate::GOOD
        })));
        World {
            stage,
            disk,
            kinds: vec![],
            doubt,
            tick: 0,
        }
    }

    /// Event time of the last wave. What flows before the first wave also needs a time.
    fn now(&self) -> i64 {
        (self.kinds.len() as i64 + 2) * MINUTE
    }

    /// Adds money of a new kind for every user, and makes each row long again. Nothing of this is processed yet.
    fn wave(&mut self) {
        let (at, kind) = (self.now(), format!("k{}", self.kinds.len()));
        for user in 0..USERS {
            let name = format!("u{user}");
            self.stage.put(money(&name, &format!("{kind}-{user}"), at).kind(&kind));
            self.stage.user(&name).address(&format!("{kind}{user:0LENGTH$}"), at);
        }
        for stream in Stream::ALL {
            self.stage.flow(stream, at + SECOND);
        }
        self.kinds.push(kind);
    }

    /// Takes turns, with something to commit in each.
    fn turns(&mut self, count: i64) {
        for _ in 0..count {
            self.stage.pass(TURN);
            self.tick += 1;
            // It is late, so it is processed as soon as event time moves.
            self.stage.flow(Stream::Session, self.now() - 3 * MINUTE / 2);
            for stream in Stream::ALL {
                self.stage.flow(stream, self.now() - MINUTE + 2 * SECOND + self.tick);
            }
            self.stage.turn().expect("it runs");
        }
    }

    /// Leaves the next commit in doubt.
    fn be_in_doubt(&mut self) {
        self.doubt.store(true, Ordering::Relaxed);
        for _ in 0..MANY {
            if !self.doubt.load(Ordering::Relaxed) {
                return;
            }
            self.turns(1);
        }
        panic!("nothing is committed");
    }

    fn unflushed(&mut self) -> u64 {
        self.stage
            .worker()
            .task(Partition(0))
            .map_or(0, |task| task.unflushed())
    }

    /// Makes waves until a flush has just begun. Its first slice comes with the next turn.
    fn begin_flush(&mut self) {
        for _ in 0..20 {
            self.wave();
            for _ in 0..MANY {
                let before = self.unflushed();
                self.turns(1);
                if self.unflushed() < before {
                    return;
                }
            }
        }
        panic!("no flush has begun");
    }

    /// Makes waves until a flush has failed.
    fn fail_to_flush(&mut self) {
        for _ in 0..20 {
            if self.is_unstored() {
                return;
            }
            self.wave();
            self.turns(MANY);
        }
        panic!("no flush has failed");
    }

    /// A whole flush. First it leaves a failed flush the time for a retry: twice 10 s, for the wipe and for the flush
    /// itself.
    fn flush(&mut self) {
        self.stage.settle();
        for _ in 0..2 * MANY {
            self.stage.pass(Duration::from_millis(200));
            self.stage.turn().expect("it runs");
        }
        self.begin_flush();
        self.turns(MANY);
        self.stage.settle();
    }

    fn is_unstored(&mut self) -> bool {
        let why = self.stage.status()[0].state.unstored.clone();
        let metric = format!(r#"pelton_unstored{{partition="0"}} {}"#, i64::from(why.is_some()));
        assert!(self.stage.metrics().contains(&metric), "{metric}");
        why.is_some_and(|why| why.contains("make room"))
    }

    /// The process dies, everything before the stamp is deleted, and the process starts again. No row may be lost or
    /// out of date.
    fn restart(mut self, said: &str) {
        self.stage.crash();
        let stamp = self
            .disk
            .store()
            .open(Partition(0), Stay(1))
            .expect("a disk")
            .expect("it was flushed");
        let cut = self
            .stage
            .cluster
            .truncate("money-changelog", Partition(0), stamp.offset);
        cut.expect("the position is in the log");
        self.stage.start();
        self.stage.settle();
        let (before, kinds) = (self.stage.enriched().len(), self.kinds.clone());
        assert_eq!(before, USERS as usize * kinds.len(), "{said}");
        for user in 0..USERS {
            for kind in &kinds {
                let again = money(&format!("u{user}"), &format!("again-{kind}-{user}"), self.now());
                self.stage.put(again.kind(kind));
            }
        }
        self.stage.flow_to(self.now() + SECOND);
        let lines = &self.stage.enriched()[before..];
        assert_eq!(lines.len(), USERS as usize * kinds.len(), "{said}");
        let last = kinds.last().expect("a kind");
        let known = |user: i64, kind: &str| format!("again-{kind}-{user} user -/{last}{user:0LENGTH$}");
        let all: std::collections::HashSet<&String> = lines.iter().collect();
        let lost: Vec<_> = (0..USERS)
            .flat_map(|user| kinds.iter().map(move |kind| (user, kind)))
            .filter(|(user, kind)| !all.contains(&known(*user, kind)))
            .collect();
        assert!(
            lost.is_empty(),
            "{said}: {} are forgotten, such as {:?}",
            lost.len(),
            lost[0]
        );
    }
}

#[test]
fn a_doubt_at_any_turn_of_a_flush() {
    for turns in 0..9 {
        let mut world = World::new(|_| {});
        world.begin_flush();
        world.turns(turns);
        world.be_in_doubt();
        // Rows of a slice change before the flush is complete.
        world.flush();
        world.restart(&format!("{turns} turns"));
    }
}

/// The flush fails while nobody knows how a commit ended. The task that reads its changelog must learn of it.
#[test]
fn a_full_disk_and_a_doubt_at_any_turn_of_a_flush() {
    let mut failed = 0;
    for full in [0, 2, 4] {
        for turns in 0..7 {
            let mut world = World::new(|_| {});
            world.begin_flush();
            world.turns(full);
            world.disk.set_full(true);
            world.turns(turns);
            world.be_in_doubt();
            world.turns(12);
            failed += i32::from(world.is_unstored());
            world.disk.set_full(false);
            world.flush();
            assert!(!world.is_unstored());
            world.restart(&format!("full after {full} turns, a doubt {turns} turns later"));
        }
    }
    assert!(failed > 10, "{failed} flushes have failed");
}

/// The task moves to a process whose disk is full. It runs without the disk, and stores everything when there is room.
#[test]
fn a_start_on_a_full_disk() {
    for stored in [false, true] {
        let mut world = World::new(|_| {});
        if stored {
            world.begin_flush();
            world.turns(MANY);
        } else {
            world.disk.set_full(true);
            world.fail_to_flush();
        }
        world.stage.crash();
        world.disk.set_full(true);
        world.stage.start();
        world.stage.settle();
        assert!(!world.is_unstored());
        // What was stored is loaded. Only writing fails.
        world.fail_to_flush();
        world.disk.set_full(false);
        world.flush();
        assert!(!world.is_unstored());
        world.restart(&format!("stored: {stored}"));
    }
}

/// What expires in a lost epoch is not expired yet when its steps are taken again.
#[test]
fn a_crash_while_an_epoch_is_open_over_a_flush() {
    let mut world = World::new(|config| config.rules.settings = serde_json::json!({ "dedup_ttl": "1h" }));
    world.begin_flush();
    // From now on nothing is committed.
    world.stage.cluster.set_fates(Some(Box::new(|_| Fate {
        polls: u32::MAX,
        ..Fate::GOOD
    })));
    let at = world.now() - MINUTE;
    for user in 0..USERS {
        let again = money(&format!("u{user}"), &format!("k0-{user}"), at + 5 * SECOND);
        world.stage.put(again);
    }
    world.stage.put(money("u0", "last", at + 2 * HOUR));
    // Event time moves beyond what the rules remember of duplicates.
    for stream in Stream::ALL {
        world.stage.flow(stream, at + 3 * HOUR);
    }
    for _ in 0..MANY {
        world.stage.pass(TURN);
        world.stage.turn().expect("it runs");
    }
    world.stage.crash_keeping(&mut |writes| writes);
    assert!(
        world
            .disk
            .store()
            .open(Partition(0), Stay(1))
            .expect("a disk")
            .is_some(),
        "the flush is through"
    );
    world.stage.cluster.set_fates(None);
    world.stage.start();
    world.stage.settle();
    // The money of two hours later is new.
    assert_eq!(world.stage.enriched().len(), USERS as usize * world.kinds.len() + 1);
}

/// Unreadable stored state is wiped and restored from the changelog. The next flush has every row.
#[test]
fn a_stored_state_that_cant_be_read() {
    let mut world = World::new(|_| {});
    world.begin_flush();
    world.turns(MANY);
    world.stage.crash();
    let mut store = world.disk.store();
    let stamp = store
        .open(Partition(0), Stay(1))
        .expect("a disk")
        .expect("it was flushed");
    let mut snapshot = Delta::new();
    snapshot.meta(b"no meta");
    store.begin(Partition(0), snapshot);
    store.finish(Partition(0), stamp);
    drop(store);
    world.stage.start();
    world.stage.settle();
    world.flush();
    world.restart("after a damage");
}
