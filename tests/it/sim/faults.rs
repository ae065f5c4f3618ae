//! Faults that are put into the engine, and the first seed that finds each of them.
//!
//! Rule: each fault is found. One that no seed finds says that the simulator's world is too polite: then the world gets worse,
//! and the fault stays.
//!
//!     cargo test --release -p pelton-tests --no-default-features --features faults --test it sim::faults -- --nocapture
//!
//! `PELTON_FAULT` names one of them. With it the tests that repeat a seed run with that fault, too.

use super::THREADS;
use parking_lot::Mutex;
use pelton::fault;
use pelton_tests::sim::{Kind, run};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// The seeds of each kind that are tried, unless `PELTON_SEEDS` names others.
const SEEDS: std::ops::Range<u64> = 0..1000;

/// The name of each fault, what it makes of the engine, and the kinds of seeds that are tried.
const FAULTS: &[(&str, &str, &[Kind])] = &[
    (
        "closed-before-decided",
        "a worker says that a task is closed before its last epoch is decided",
        &[Kind::Unrest],
    ),
    (
        "released-before-closed",
        "partitions go back to the group before their tasks are closed",
        &[Kind::Unrest],
    ),
    (
        "deadline-ignored",
        "an instance waits for ever for a worker that does not close its tasks",
        &[Kind::Unrest],
    ),
    (
        "standstill-counts",
        "time in which the process stood still counts towards its deadlines",
        &[Kind::Unrest],
    ),
    (
        "stale-restore-may-wipe",
        "a restore of an earlier stay may still open and wipe the stored state",
        &[Kind::Unrest],
    ),
    (
        "no-retry",
        "a question of a restore that the log does not answer is not asked again",
        &[Kind::Unrest],
    ),
    (
        "no-second-restore",
        "a restore whose changelog is cut while it is read does not begin again",
        &[Kind::Unrest],
    ),
    (
        "latest-is-earliest",
        "an input that is to be read from its end is read from its start",
        &[Kind::Unrest],
    ),
    (
        "opens-before-control-is-read",
        "a task opens before the control topic is read",
        &[Kind::Deploys, Kind::Unrest, Kind::Withdrawals],
    ),
    (
        "workers-not-told-of-change",
        "workers are not told that partitions of others have changed hands",
        &[Kind::Unrest],
    ),
    (
        "fenced-keeps-tasks",
        "an instance that was fenced goes on with its tasks",
        &[Kind::Unrest],
    ),
    (
        "joins-before-closed",
        "an instance that was fenced joins again before its tasks are closed",
        &[Kind::Unrest],
    ),
    (
        "schedule-not-told",
        "workers are not told which deploy runs from when on",
        &[Kind::Deploys],
    ),
    (
        "budget-ignored",
        "a deploy that exceeds its budget goes on",
        &[Kind::Withdrawals],
    ),
    (
        "exceeded-epoch-kept",
        "the epoch in which a budget ran out is committed",
        &[Kind::Withdrawals],
    ),
    (
        "withdrawal-ignored",
        "a task goes on with a deploy that was withdrawn",
        &[Kind::Withdrawals],
    ),
    (
        "way-back-not-journaled",
        "the journal does not say where a task went back",
        &[Kind::Withdrawals],
    ),
    (
        "shadow-keeps-dropped-tape",
        "a shadow takes the steps of an epoch that was dropped",
        &[Kind::Shadows],
    ),
    (
        "shadow-begins-with-dropped-epoch",
        "a shadow begins with the state at the end of an epoch that was dropped",
        &[Kind::Shadows],
    ),
    (
        "shadow-misses-doubtful-epoch",
        "a shadow does not see an epoch of which nobody knew at first that it was committed",
        &[Kind::Shadows],
    ),
    (
        "shadow-goes-live",
        "a task that gets a shadow goes on with the shadow's rules",
        &[Kind::Shadows],
    ),
];

/// This thread runs with the fault that the environment names.
pub fn turn_on() {
    let wanted = std::env::var("PELTON_FAULT").ok();
    let found = FAULTS.iter().find(|(name, ..)| Some(*name) == wanted.as_deref());
    assert_eq!(found.is_some(), wanted.is_some(), "PELTON_FAULT is none of the list");
    fault::turn_on(found.map(|(name, ..)| *name));
}

#[test]
fn each_is_found_by_a_seed() {
    let only = std::env::var("PELTON_FAULT").ok();
    let faults: Vec<_> = FAULTS
        .iter()
        .filter(|(name, ..)| only.as_deref().is_none_or(|only| only == *name))
        .collect();
    let (next, survivors) = (AtomicUsize::new(0), Mutex::new(vec![]));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some((name, what, kinds)) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begun = Instant::now();
                    let found = find(name, kinds);
                    let took = begun.elapsed().as_secs();
                    match &found {
                        Ok(found) => println!("FOUND {name} | {what} | {found} | {took} s"),
                        Err(why) => println!("SURVIVES {name} | {what} | {why} | {took} s"),
                    }
                    if found.is_err() {
                        survivors.lock().push(*name);
                    }
                }
            });
        }
    });
    let survivors = survivors.into_inner();
    assert!(survivors.is_empty(), "no seed finds these: {survivors:?}");
}

/// The first seed that does not end as it must, and why. Err: there is none, and whether the fault made any difference.
fn find(name: &'static str, kinds: &[Kind]) -> Result<String, String> {
    fault::turn_on(Some(name));
    for seed in super::seeds_or(SEEDS) {
        for kind in kinds {
            if let Err(failure) = run(*kind, seed) {
                let why: String = failure.why.chars().take(160).collect();
                return Ok(format!("{kind:?} {seed} | {}", why.replace('\n', " ")));
            }
        }
    }
    Err(match fault::was_reached() {
        true => "no seed finds it".to_owned(),
        false => "no seed comes to it".to_owned(),
    })
}
