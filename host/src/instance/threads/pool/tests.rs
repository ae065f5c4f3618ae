//! Tests the pool with logs that are broken in different ways.

use super::*;
use crate::binding::Layout;
use crate::config::Config;
use crate::log::{Group, Log, Producer, Reader, TopicInfo};
use crate::metrics::Metrics;
use crate::record::TopicIx;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

/// The ways in which a log is broken.
enum Broken {
    Panics,
    Retries,
}

impl Broken {
    fn answer<T>(&self) -> Result<T> {
        match self {
            Broken::Panics => panic!("a bug in the log"),
            Broken::Retries => Err(Failure::Retry("away".into())),
        }
    }
}

impl Log for Broken {
    fn cluster(&self) -> Result<String> {
        self.answer()
    }

    fn topic(&self, _: &str) -> Result<Option<TopicInfo>> {
        self.answer()
    }

    fn create(&self, _: &str, _: i32, _: &[(&str, &str)]) -> Result<()> {
        self.answer()
    }

    fn bounds(&self, _: TopicIx, _: Partition) -> Result<(Offset, Offset)> {
        self.answer()
    }

    fn committed(&self, _: &[(TopicIx, Partition)]) -> Result<Vec<Option<Offset>>> {
        self.answer()
    }

    fn truncate(&self, _: TopicIx, _: Partition, _: Offset) -> Result<()> {
        self.answer()
    }

    fn reader(&self, _: Duration) -> Result<Box<dyn Reader>> {
        self.answer()
    }

    fn producer(&self, _: &str) -> Result<Box<dyn Producer>> {
        self.answer()
    }

    fn publisher(&self, _: &str) -> Result<Box<dyn Producer>> {
        self.answer()
    }

    fn join(&self) -> Result<Box<dyn Group>> {
        self.answer()
    }

    fn assignment(&self) -> u64 {
        0
    }
}

fn pool(log: Broken) -> (Pool, Receiver<SupervisorEvent>) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/money-json/pelton.toml");
    let config = Arc::new(Config::load(&file, &[]).unwrap());
    let environment = Environment {
        layout: Arc::new(Layout::new(&config, 1)),
        metrics: Arc::new(Metrics::of(&config)),
        config,
        log: Arc::new(log),
        schemas: None,
        stores: None,
    };
    let (events, told) = channel();
    (Pool::start(&environment, &Arc::default(), &events).unwrap(), told)
}

fn claim(stay: u64) -> Claim {
    Claim {
        partition: Partition(0),
        stay: Stay(stay),
    }
}

/// The next event that is not about progress.
fn next(told: &Receiver<SupervisorEvent>) -> SupervisorEvent {
    loop {
        match told.recv_timeout(Duration::from_secs(60)).expect("it is told") {
            SupervisorEvent::Restores(..) => {}
            other => return other,
        }
    }
}

#[test]
fn a_panic_in_a_restore_is_its_answer_and_the_threads_go_on() {
    let (pool, told) = pool(Broken::Panics);
    for stay in 0..2 * THREADS as u64 {
        pool.restore(claim(stay));
    }
    let mut stays = BTreeSet::new();
    for _ in 0..2 * THREADS {
        match next(&told) {
            SupervisorEvent::Restored(claim, Err(Failure::Fatal(why))) => {
                assert_eq!(why, "the restore of task 0 panicked: a bug in the log");
                stays.insert(claim.stay);
            }
            _ => panic!("another event"),
        }
    }
    assert_eq!(stays.len(), 2 * THREADS, "each has its own answer");
    pool.end();
}

#[test]
fn a_panic_in_a_cut_ends_the_instance_in_words() {
    let (pool, told) = pool(Broken::Panics);
    pool.cut(Partition(3), Offset(7));
    match next(&told) {
        SupervisorEvent::Failed(Failure::Fatal(why)) => {
            assert_eq!(why, "a cut of the changelog of task 3 panicked: a bug in the log");
        }
        _ => panic!("another event"),
    }
}

#[test]
fn restores_that_wait_take_no_thread_and_end_when_they_are_abandoned() {
    let (pool, told) = pool(Broken::Retries);
    let many = 10 * THREADS as u64;
    (0..many).for_each(|stay| pool.restore(claim(stay)));
    // Each of them has had a turn, although none gets an answer.
    let mut waits = BTreeSet::new();
    while waits.len() < many as usize {
        match told.recv_timeout(Duration::from_secs(60)).expect("it is told") {
            SupervisorEvent::Restores(claim, 0.0, why) => {
                assert!(why.is_none_or(|why| why == "away"));
                waits.insert(claim.stay);
            }
            _ => panic!("another event"),
        }
    }
    (0..many).for_each(|stay| pool.abandon(claim(stay)));
    // The pool's threads have the other ends of the channel, and drop them when they end.
    pool.end();
    while let Ok(event) = told.recv_timeout(Duration::from_secs(60)) {
        assert!(matches!(event, SupervisorEvent::Restores(..)), "nobody wants a result");
    }
    let queue = pool.shared.queue();
    assert!(queue.jobs.is_empty() && queue.busy.is_empty() && queue.abandoned.is_empty());
}

#[test]
fn when_it_is_joined_no_thread_has_anything_of_the_instance_any_more() {
    let (pool, _told) = pool(Broken::Retries);
    for stay in 0..2 * THREADS as u64 {
        pool.restore(claim(stay));
    }
    let shared = pool.shared.clone();
    assert!(Arc::strong_count(&shared) >= 2 + THREADS);
    pool.end();
    pool.join();
    assert_eq!(Arc::strong_count(&shared), 1);
}
