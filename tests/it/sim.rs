//! Runs the simulator with many seeds.

#[cfg(feature = "faults")]
mod faults;

use parking_lot::Mutex;
use pelton_tests::sim::{Failure, Kind, Report, run};
use std::sync::atomic::{AtomicU64, Ordering};

/// The usual seeds of each kind, 1,100 in all. `PELTON_SEEDS=from..to` runs others.
const SEEDS: std::ops::Range<u64> = 0..220;

/// The machine has two cores.
const THREADS: usize = 2;

/// The seeds that the environment names, or else these.
fn seeds_or(usual: std::ops::Range<u64>) -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("PELTON_SEEDS") else {
        return usual;
    };
    let (from, to) = text.split_once("..").expect("PELTON_SEEDS=from..to");
    from.parse().expect("a number")..to.parse().expect("a number")
}

#[test]
fn seeds_end_as_the_auditor_says() {
    all(Kind::One);
}

#[test]
fn deploys_end_as_the_auditor_says() {
    all(Kind::Deploys);
}

#[test]
fn unrest_ends_as_the_auditor_says() {
    all(Kind::Unrest);
}

#[test]
fn shadows_end_as_the_auditor_says() {
    all(Kind::Shadows);
}

#[test]
fn withdrawals_end_as_the_auditor_says() {
    all(Kind::Withdrawals);
}

fn all(kind: Kind) {
    let seeds = seeds_or(SEEDS);
    let next = AtomicU64::new(seeds.start);
    let failures = Mutex::new(Vec::<Failure>::new());
    let total = Mutex::new(Report::default());
    let start = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    match run(kind, seed) {
                        Ok(report) => total.lock().add(&report),
                        Err(failure) => failures.lock().push(failure),
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner();
    failures.sort_by_key(|failure| failure.seed);
    println!("{:?}: {:?}", start.elapsed(), total.into_inner());
    for failure in &failures {
        println!("{failure}\n");
    }
    let numbers: Vec<_> = failures.iter().map(|failure| failure.seed).collect();
    assert!(failures.is_empty(), "{} seeds fail: {numbers:?}", failures.len());
}

/// Runs the seed in `PELTON_SEED`, and shows the host's log.
#[test]
fn one() {
    repeat(Kind::One);
}

/// The same for a run with deploys.
#[test]
fn deploy() {
    repeat(Kind::Deploys);
}

/// The same for a run with unrest.
#[test]
fn unrest() {
    repeat(Kind::Unrest);
}

/// The same, of a run with shadows.
#[test]
fn shadow() {
    repeat(Kind::Shadows);
}

/// The same, of a run with withdrawals.
#[test]
fn withdrawal() {
    repeat(Kind::Withdrawals);
}

fn repeat(kind: Kind) {
    let seed = std::env::var("PELTON_SEED").map_or(0, |seed| seed.parse().expect("a number"));
    if std::env::var_os("PELTON_TRACE").is_some() {
        _ = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .without_time()
            .try_init();
        let mut plan = kind.plan(seed);
        plan.traffic.clear();
        println!("{plan:#?}");
    }
    #[cfg(feature = "faults")]
    faults::turn_on();
    match run(kind, seed) {
        Ok(report) => println!("{report:?}"),
        Err(failure) => panic!("{failure}"),
    }
}

/// Only the seed decides.
#[test]
fn the_same_seed_gives_the_same_run() {
    for kind in Kind::ALL {
        for seed in 0..10 {
            if let (Ok(once), Ok(twice)) = (run(kind, seed), run(kind, seed)) {
                assert_eq!(once, twice, "{kind:?}, seed {seed}");
            }
        }
    }
}
