//! Deploys over several instances, on the log in memory. Every input must be processed by the version that its event
//! time requires.

pub mod fleet;
mod shadow;

use fleet::{Fleet, PARTITIONS, component, eventually, long, short};
use parking_lot::Mutex;
use pelton::deploy::api::{Back, DeployRequest, Deployed};
use pelton::instance::RunningInstance;
use pelton::record::Partition;
use pelton::rules::Version;
use pelton_tests::stage::{SECOND, START};
use serde_json::Value;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

fn request(settings: Value) -> DeployRequest {
    DeployRequest {
        component: Some(component()),
        settings: Some(settings),
        ..DeployRequest::default()
    }
}

fn deploy(running: &RunningInstance, request: DeployRequest) -> Result<Deployed, String> {
    let deployed = running.client().deploy(request, &mut |_, _| {});
    deployed.map_err(|why| why.to_string())
}

/// The version that the instance reports.
fn version(running: &RunningInstance) -> String {
    running
        .view()
        .version()
        .map_or_else(String::new, |version| Version(version).to_string())
}

/// Waits until the instance has this many tasks open.
fn has_tasks(running: &RunningInstance, count: usize) {
    eventually("tasks", || running.statuses().len() == count);
}

/// Two instances with two tasks each.
fn two(fleet: &Fleet) -> (RunningInstance, RunningInstance) {
    let a = fleet.start("a");
    has_tasks(&a, 4);
    let b = fleet.start("b");
    has_tasks(&b, 2);
    has_tasks(&a, 2);
    (a, b)
}

/// Money around a time: to the millisecond, and at every second before and after it.
fn around(fleet: &mut Fleet, at: i64) {
    for millis in [-1, 0, 1] {
        fleet.put(at + millis);
    }
}

#[test]
fn a_time_to_come_holds_on_all_instances() {
    let mut fleet = Fleet::new();
    let (a, b) = two(&fleet);
    for second in 0..20 {
        fleet.put(second * SECOND);
    }
    fleet.flow_to(20 * SECOND);
    let at = 100 * SECOND;
    let deployed = deploy(
        &b,
        DeployRequest {
            at: Some(START + at),
            ..request(short())
        },
    )
    .expect("accepted");
    assert_eq!((deployed.number, deployed.at), (2, Some(START + at)));
    eventually("both know", || {
        version(&a) == deployed.version && version(&b) == deployed.version
    });
    for second in 90..110 {
        fleet.put(second * SECOND + 500);
    }
    around(&mut fleet, at);
    fleet.flow_to(200 * SECOND);
    fleet.check(|time| time >= at);
    // Every task has reported that it took the version over.
    eventually("taken", || {
        Partition::all(PARTITIONS).all(|task| a.view().control().taken(task) == 2)
    });
    a.stop().expect("it stops");
    b.stop().expect("it stops");
}

#[test]
fn a_time_that_is_past_is_refused_and_changes_nothing() {
    let mut fleet = Fleet::new();
    let a = fleet.start("a");
    has_tasks(&a, 4);
    let before = version(&a);
    fleet.put(50 * SECOND);
    fleet.flow_to(60 * SECOND + 1);
    fleet.through();
    eventually("the steps", || {
        a.statuses().iter().all(|status| status.last >= START + 60 * SECOND)
    });
    let at = Some(START + 60 * SECOND);
    let why = deploy(&a, DeployRequest { at, ..request(short()) }).expect_err("refused");
    assert!(why.contains("has come to"), "{why}");
    assert_eq!(version(&a), before);
    fleet.put(70 * SECOND);
    fleet.flow_to(100 * SECOND);
    fleet.check(|_| false);
    assert!(
        a.statuses()
            .iter()
            .all(|status| status.rules.prepared.is_none() && status.rules.deployed == 1)
    );
    a.stop().expect("it stops");
}

#[test]
fn now_is_one_time_for_all_tasks() {
    let mut fleet = Fleet::new();
    let (a, b) = two(&fleet);
    fleet.put(0);
    fleet.flow_to(5 * SECOND);
    // These records are read but not final. So they wait, and belong to the version that their time requires.
    for second in 1..40 {
        fleet.put(second * SECOND);
    }
    let deployed = deploy(&a, request(short())).expect("accepted");
    let at = deployed.at.expect("it is decided") - START;
    assert!((0..40 * SECOND).contains(&at), "{at}");
    fleet.flow_to(100 * SECOND);
    fleet.check(|time| time >= at);
    // Goes back and changes once more, each from its own time on.
    let back = DeployRequest {
        back: Some(Back::Before),
        ..DeployRequest::default()
    };
    let back_at = deploy(&b, back).expect("accepted").at.expect("it is decided") - START;
    for second in 150..160 {
        fleet.put(second * SECOND);
    }
    fleet.flow_to(200 * SECOND);
    fleet.check(|time| time >= at && time < back_at);
    let set = DeployRequest {
        set: [("dedup_ttl".to_owned(), "5s".into())].into(),
        ..DeployRequest::default()
    };
    let again = deploy(&b, set).expect("accepted");
    assert_eq!(again.version, deployed.version, "the same file, the same settings");
    for second in 250..260 {
        fleet.put(second * SECOND);
    }
    fleet.flow_to(300 * SECOND);
    fleet.check(|time| (time >= at && time < back_at) || time >= again.at.expect("it is decided") - START);
    a.stop().expect("it stops");
    b.stop().expect("it stops");
}

#[test]
fn of_two_at_once_one_counts() {
    let mut fleet = Fleet::new();
    let (a, b) = two(&fleet);
    let mut other = short();
    other["dedup_ttl"] = "6s".into();
    let (one, another) = (fleet.client("one"), fleet.client("another"));
    let results = std::thread::scope(|scope| {
        let first = scope.spawn(|| one.deploy(request(short()), &mut |_, _| {}));
        let second = scope.spawn(|| another.deploy(request(other), &mut |_, _| {}));
        [first.join().expect("no panic"), second.join().expect("no panic")]
    });
    let accepted: Vec<&Deployed> = results.iter().flatten().collect();
    // Either both were accepted one after the other, or one was, and the other was told so.
    assert!(!accepted.is_empty(), "{results:?}");
    let last = accepted.iter().max_by_key(|deployed| deployed.number).expect("one");
    eventually("both go by it", || {
        version(&a) == last.version && version(&b) == last.version
    });
    assert_eq!(a.view().control().committed(), b.view().control().committed());
    let from = accepted
        .iter()
        .filter_map(|deployed| deployed.at)
        .min()
        .expect("it is decided");
    fleet.put(10 * SECOND);
    fleet.flow_to(50 * SECOND);
    fleet.check(|time| START + time >= from);
    a.stop().expect("it stops");
    b.stop().expect("it stops");
}

/// A compilation that waits until it is released.
fn gate() -> (Sender<()>, impl Fn() + Send + Sync + 'static) {
    let (open, gate): (Sender<()>, Receiver<()>) = channel();
    let gate = Arc::new(Mutex::new(gate));
    // When the test is over, the gate fails, which releases everything.
    (open, move || _ = gate.lock().recv())
}

/// An instance that holds dies before all have answered, and another one joins. The deploy still takes over, at its
/// time.
#[test]
fn a_crash_and_a_join_between_prepare_and_commit() {
    let mut fleet = Fleet::new();
    let a = fleet.start("a");
    has_tasks(&a, 4);
    let (let_go, gate) = gate();
    let b = fleet.start_with("b", long(), gate);
    has_tasks(&b, 2);
    has_tasks(&a, 2);
    fleet.put(0);
    fleet.flow_to(5 * SECOND);
    fleet.through();
    let at = 30 * SECOND;
    let client = fleet.client("somebody");
    std::thread::scope(|scope| {
        let deploying = scope.spawn(|| {
            client.deploy(
                DeployRequest {
                    at: Some(START + at),
                    ..request(short())
                },
                &mut |_, _| {},
            )
        });
        // a's tasks hold. b still compiles.
        eventually("a's tasks hold", || {
            a.statuses().iter().all(|status| status.rules.prepared.is_some())
        });
        // They don't go past that time, although everything before it is final. (b's tasks would, because they have not
        // answered yet.)
        for second in 1..60 {
            fleet.put(second * SECOND);
        }
        let of_a: Vec<Partition> = a.statuses().iter().map(|status| status.partition).collect();
        fleet.flow(&of_a, 100 * SECOND);
        let held = |running: &RunningInstance| running.statuses().iter().all(|status| status.last < START + at);
        eventually("a's tasks come up to it", || {
            a.statuses().iter().all(|status| status.last >= START + at - SECOND)
        });
        assert!(held(&a));
        fleet.cluster.kill("a");
        drop(a);
        let c = fleet.start("c");
        eventually("c takes over", || {
            c.statuses()
                .iter()
                .any(|status| of_a.contains(&status.partition) && status.rules.prepared.is_some())
        });
        assert!(held(&c));
        let_go.send(()).expect("it waits");
        let deployed = deploying.join().expect("no panic").expect("accepted");
        assert_eq!(deployed.at, Some(START + at));
        fleet.flow_to(100 * SECOND);
        fleet.check(|time| time >= at);
        b.stop().expect("it stops");
        c.stop().expect("it stops");
    });
}

/// A deploy that not all tasks answer is cancelled, and every task goes on as before.
#[test]
fn a_deploy_that_nobody_answers_is_cancelled() {
    let mut fleet = Fleet::new();
    fleet.limit(Duration::from_millis(500));
    let a = fleet.start("a");
    has_tasks(&a, 4);
    let (let_go, gate) = gate();
    let b = fleet.start_with("b", long(), gate);
    has_tasks(&b, 2);
    has_tasks(&a, 2);
    let at = Some(START + 30 * SECOND);
    let why = deploy(&a, DeployRequest { at, ..request(short()) }).expect_err("given up");
    assert!(why.contains("have not answered"), "{why}");
    fleet.put(0);
    fleet.put(40 * SECOND);
    fleet.flow_to(100 * SECOND);
    fleet.check(|_| false);
    drop(let_go);
    a.stop().expect("it stops");
    b.stop().expect("it stops");
}

/// The deployed rules are fetched from the control topic, whatever the file says. Nothing is on disk.
#[test]
fn a_restart_keeps_what_was_deployed() {
    let mut fleet = Fleet::new();
    let a = fleet.start("a");
    has_tasks(&a, 4);
    fleet.put(0);
    fleet.flow_to(5 * SECOND);
    let deployed = deploy(&a, request(short())).expect("accepted");
    let at = deployed.at.expect("it is decided") - START;
    fleet.put(20 * SECOND);
    fleet.flow_to(50 * SECOND);
    fleet.check(|time| time >= at);
    a.stop().expect("it stops");
    let a = fleet.start("a");
    has_tasks(&a, 4);
    assert_eq!(version(&a), deployed.version);
    fleet.put(60 * SECOND);
    fleet.flow_to(100 * SECOND);
    fleet.check(|time| time >= at);
    a.stop().expect("it stops");
}

/// Refused before anything is written.
#[test]
fn what_does_not_fit_is_refused() {
    let fleet = Fleet::new();
    let client = fleet.client("somebody");
    let why = client.deploy(request(short()), &mut |_, _| {}).expect_err("too early");
    let why = why.to_string();
    assert!(why.contains("no deploy yet"), "{why}");
    let a = fleet.start("a");
    has_tasks(&a, 4);
    let odd = std::fs::read(env!("GUEST_ODD_WASM")).expect("tests/build.rs has made it");
    let wrong = DeployRequest {
        component: Some(odd),
        ..DeployRequest::default()
    };
    let why = deploy(&a, wrong).expect_err("refused");
    assert!(why.contains("the pipeline's file has no"), "{why}");
    let why = deploy(
        &a,
        DeployRequest {
            back: Some(Back::Before),
            ..DeployRequest::default()
        },
    )
    .expect_err("refused");
    assert!(why.contains("no earlier version"), "{why}");
    let why = a.client().cancel().expect_err("nothing to cancel").to_string();
    assert!(why.contains("no deploy and no shadow is under way"), "{why}");
    let looked = deploy(
        &a,
        DeployRequest {
            dry_run: true,
            ..request(short())
        },
    )
    .expect("it would fit");
    assert_eq!((looked.number, looked.at), (2, None));
    assert_eq!(deploy(&a, request(long())).expect("nothing to do").number, 1);
    assert_eq!(a.view().control().last(), 1);
    a.stop().expect("it stops");
}
