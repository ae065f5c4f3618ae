//! Tests a restore from its driver's view: what it asks, and how it handles answers that are failures or too late.

use super::*;
use crate::instance::command::Claim;
use crate::instance::environment::Environment;
use crate::log::embedded::{Clock, Embedded, NewRecord};
use crate::metrics::Metrics;
use crate::record::{FOREVER, StoreEntry};
use crate::state::delta::Delta;
use crate::state::rows::{Dirty, Rows, hash};
use crate::store::memory::{Disk, Memory};
use crate::store::{LocalStore, Stamp};
use crate::task::restore::Access;
use std::path::Path;

/// The task to restore.
const TASK: Partition = Partition(0);

struct World {
    cluster: Embedded,
    disk: Disk,
    environment: Environment,
    view: DeployView,
}

impl World {
    fn new() -> World {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/money-json/pelton.toml");
        let config = Config::load(&file, &[]).unwrap();
        let cluster = Embedded::new("cluster", Clock::manual(0));
        let layout = Arc::new(Layout::new(&config, 1));
        for topic in layout.topics.iter() {
            cluster.create_topic(topic, 1, &[]).unwrap();
        }
        let disk = Disk::new();
        let stores = disk.clone();
        let environment = Environment {
            metrics: Arc::new(Metrics::of(&config)),
            log: Arc::new(cluster.instance(layout.topics.clone(), &config.name, "one")),
            config: Arc::new(config),
            layout,
            schemas: None,
            stores: Some(Arc::new(move || Box::new(stores.store()))),
        };
        World {
            cluster,
            disk,
            environment,
            view: DeployView::default(),
        }
    }

    fn restore(&self, stay: u64) -> (Restore, Access) {
        self.environment.restore(Claim {
            partition: TASK,
            stay: Stay(stay),
        })
    }

    /// Drives it until it asks such a question, or waits for its version.
    fn drive(&self, work: &mut (Restore, Access), until: fn(&RestoreQuestion) -> bool) -> Option<RestoreQuestion> {
        loop {
            match work.0.step(&self.view) {
                RestoreNext::Ask(question) if until(&question) => return Some(question),
                RestoreNext::Ask(question) => {
                    let answer = work.1.ask(question, Duration::ZERO);
                    work.0.answer(answer);
                }
                RestoreNext::Wait(_) => return None,
                RestoreNext::Done(done) => panic!("it ended: {:?}", done.err()),
            }
        }
    }

    fn is_restored(work: &(Restore, Access)) -> bool {
        matches!(work.0.part, RestorePhase::Version(_))
    }

    fn stamp(&self, cluster: &str) -> Stamp {
        let layout = &self.environment.layout;
        let topic = self
            .environment
            .log
            .topic(&layout.topics[usize::from(layout.changelog)]);
        Stamp {
            cluster: cluster.into(),
            topic: topic.unwrap().unwrap().id,
            offset: Offset(0),
        }
    }
}

/// Begins to flush rows with these keys, and writes the first half. Calling the result writes the rest.
fn flush<'a>(store: &'a mut Memory, keys: &[&str], stamp: Stamp) -> impl FnOnce() + use<'a> {
    let mut rows = Rows::new();
    rows.track();
    for key in keys {
        let slot = rows.slot(hash(key.as_bytes()), key.as_bytes());
        let cell = StoreEntry {
            schema: 2,
            expires: FOREVER,
            value: b"value",
        };
        rows.put(slot, 1, b"entry", cell);
    }
    rows.seal();
    rows.commit(0);
    let mut slice = Dirty::new();
    rows.take_dirty(1, 0, &mut slice);
    store.begin(TASK, Delta::new());
    store.write(TASK, slice);
    move || {
        let mut slice = Dirty::new();
        while !rows.take_dirty(usize::MAX, 0, &mut slice) {}
        store.write(TASK, slice);
        store.finish(TASK, stamp);
        let flushed = store.flushed();
        assert!(matches!(flushed, Some((TASK, Ok(_)))), "{flushed:?}");
    }
}

/// How many rows the next process finds.
fn rows_found(disk: &Disk) -> usize {
    let mut store = disk.reopen().store();
    assert!(store.open(TASK, Stay(1)).unwrap().is_some(), "there is no stamp");
    let mut rows = 0;
    store.load(TASK, &mut |_| rows += 1).unwrap();
    rows
}

#[test]
fn a_restore_that_nobody_wants_any_more_wipes_nothing() {
    let world = World::new();
    let mut before = world.disk.reopen().store();
    before.open(TASK, Stay(1)).unwrap();
    flush(&mut before, &["old"], world.stamp("another cluster"))();

    // The first stay decides to wipe the store, and waits for a slow disk.
    let mut first = world.restore(1);
    let wipe = world.drive(&mut first, |question| matches!(question, RestoreQuestion::Wipe));
    // In the meantime the partition is lost and assigned again. The second stay wipes, restores, opens and flushes.
    let mut second = world.restore(2);
    assert!(world.drive(&mut second, |_| false).is_none());
    assert!(World::is_restored(&second));
    let mut worker = world.disk.store();
    worker.open(TASK, Stay(2)).unwrap();
    flush(&mut worker, &["a", "b"], world.stamp("cluster"))();

    let answer = first.1.ask(wipe.expect("it wants to wipe"), Duration::ZERO);
    assert!(matches!(answer, Err(Failure::Fenced(_))));
    first.0.answer(answer);
    assert!(matches!(
        first.0.step(&world.view),
        RestoreNext::Done(Err(Failure::Fenced(_)))
    ));
    assert_eq!(rows_found(&world.disk), 2);
}

#[test]
fn a_restore_that_nobody_wants_any_more_does_not_take_a_flush_that_has_begun_for_rubbish() {
    let world = World::new();
    let mut first = world.restore(1);
    let open = world.drive(&mut first, |question| matches!(question, RestoreQuestion::Stamp));
    let mut second = world.restore(2);
    assert!(world.drive(&mut second, |_| false).is_none());
    let mut worker = world.disk.store();
    worker.open(TASK, Stay(2)).unwrap();
    let finish = flush(&mut worker, &["a", "b"], world.stamp("cluster"));
    // There are rows without a stamp, which the owner would wipe when it opens the store.
    let answer = first.1.ask(open.expect("it opens the store"), Duration::ZERO);
    assert!(matches!(answer, Err(Failure::Fenced(_))));
    finish();
    assert_eq!(rows_found(&world.disk), 2);
}

#[test]
fn a_question_that_got_no_answer_is_asked_again_after_a_pause() {
    let world = World::new();
    let mut work = world.restore(1);
    world.drive(&mut work, |question| matches!(question, RestoreQuestion::Offsets(_)));
    for _ in 0..2 {
        work.0.answer(Err(Failure::Retry("a transaction is open".into())));
        assert_eq!(work.0.progress(), (0.0, Some("a transaction is open")));
        assert!(matches!(work.0.step(&world.view), RestoreNext::Wait(RETRY)));
        assert!(matches!(
            work.0.step(&world.view),
            RestoreNext::Ask(RestoreQuestion::Offsets(_))
        ));
    }
    work.0.answer(Ok(RestoreAnswer::Offsets(vec![None; 3])));
    assert_eq!(work.0.progress(), (0.0, None));
    assert!(world.drive(&mut work, |_| false).is_none());
    assert!(World::is_restored(&work));
}

#[test]
fn a_changelog_that_is_cut_under_it_is_read_again_three_times() {
    let world = World::new();
    let layout = &world.environment.layout;
    let changelog = &layout.topics[usize::from(layout.changelog)];
    for _ in 0..10 {
        let record = NewRecord {
            value: Some(b""),
            ..NewRecord::default()
        };
        world.cluster.append(changelog, TASK, record).unwrap();
    }
    let mut work = world.restore(1);
    for cut in 1..=3 {
        // It knows where the log begins, and then that changes.
        let read = world.drive(&mut work, |question| matches!(question, RestoreQuestion::Read(..)));
        world.cluster.truncate(changelog, TASK, Offset(cut)).unwrap();
        let answer = work.1.ask(read.expect("it reads"), Duration::ZERO);
        work.0.answer(answer);
        assert!(
            matches!(work.0.step(&world.view), RestoreNext::Ask(RestoreQuestion::Offsets(_))),
            "cut {cut}"
        );
    }
    let read = world.drive(&mut work, |question| matches!(question, RestoreQuestion::Read(..)));
    world.cluster.truncate(changelog, TASK, Offset(4)).unwrap();
    let answer = work.1.ask(read.expect("it reads"), Duration::ZERO);
    work.0.answer(answer);
    assert!(matches!(
        work.0.step(&world.view),
        RestoreNext::Done(Err(Failure::Corrupted(_)))
    ));
}

#[test]
fn inputs_begin_where_the_file_says() {
    let mut world = World::new();
    let mut config = Config::clone(&world.environment.config);
    config.inputs[1].start = StartAt::Latest;
    for input in &config.inputs {
        let record = NewRecord {
            value: Some(b"{}"),
            ..NewRecord::default()
        };
        world.cluster.append(&input.topic, TASK, record).unwrap();
    }
    world.environment.config = Arc::new(config);
    let mut work = world.restore(1);
    world.drive(&mut work, |question| matches!(question, RestoreQuestion::Offsets(_)));
    assert_eq!(work.0.starts, [0, 1, 0].map(Offset));
}
