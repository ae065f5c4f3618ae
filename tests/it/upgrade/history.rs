//! What happened to the pipeline of the fixture before the upgrade, and how the fixture is written.
//!
//! Rule: it leaves one of everything that an upgrade may find: state of all kinds, expired and not; a changelog whose
//! start was cut off; timers, open questions, and waiting records; verdicts, dead letters, and aborted transactions; a
//! deploy that was taken over, an undecided one, and a shadow; a local store that has one of each of these.

use super::actions::{country, deploy, each, far_ahead, reply, settings, shadow, three, through};
use super::continuation::{after_shadowed, after_waiting};
use super::disk::{Disk, Stored};
use super::fixture::{OURS, PARTITIONS, component, folder};
use super::pipeline::{Pipeline, Process, user};
use super::{formats, topics};
use crate::deploys::fleet::eventually;
use parking_lot::Mutex;
use pelton::log::embedded::{CallKind, Fate, NewRecord, Truth};
use pelton::record::{Offset, Partition};
use pelton::service::Answer;
use pelton_tests::stage::{MINUTE, Millis, SECOND, START, Stream, address, birth_date, money, session};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

/// The most rounds of the first part.
const ROUNDS: i64 = 400;

/// The number of users whose state changes in a round of [`store`].
const CHANGES: usize = 2;

/// The settings of the second version.
fn two() -> Value {
    settings("two-", 10 * SECOND, MINUTE)
}

/// Makes small epochs until the start of task 0's changelog is cut off, which proves that a round of the sweep is
/// complete.
fn begin(pipeline: &Pipeline) {
    for round in 0..ROUNDS {
        let at = round * SECOND;
        let (start, end) = pipeline.changelog(Partition(0));
        if start > Offset::ZERO {
            return;
        }
        for partition in Partition::all(PARTITIONS).filter(|partition| *partition == Partition(0) || round % 10 == 0) {
            let user = user(partition, 0);
            // Its session comes a second later.
            pipeline.put(money(&user, &format!("money-{round}"), at).session(&format!("session-{round}")));
            pipeline.put(birth_date(&user, &(1950 + round % 50).to_string(), at));
            let before = round - if partition == Partition(0) { 1 } else { 10 };
            pipeline.put(session(&user, &format!("session-{before}"), "DE", at));
        }
        if round > 21 {
            eventually("an epoch", || pipeline.changelog(Partition(0)).1 > end);
        }
    }
    panic!("the changelog is never cut");
}

/// Users, sessions and money; another version takes over; a session is looked up.
fn other_rules(pipeline: &Pipeline, a: &Process) {
    pipeline.flow_to(500 * SECOND);
    pipeline.rest(&[a]);
    deploy(pipeline, two(), 530 * SECOND).expect("accepted");
    each(pipeline, |user| address(user, "SE", 505 * SECOND));
    each(pipeline, |user| birth_date(user, "1990", 506 * SECOND));
    each(pipeline, |user| session(user, "s1", "SE", 507 * SECOND));
    for (id, at) in [("m1", 520), ("m1", 540), ("m2", 531), ("m2", 545)] {
        each(pipeline, |user| money(user, id, at * SECOND).session("s1").into());
    }
    each(pipeline, |user| {
        money(user, "m3", 532 * SECOND).session("s2").kind("WITHDRAWAL").into()
    });
    each(pipeline, |user| money(user, "m4", 533 * SECOND).transaction().into());
    each(pipeline, |user| {
        money(user, "m5", 534 * SECOND).session("s9").old().into()
    });
    pipeline.flow_to(560 * SECOND);
    pipeline.rest(&[a]);
    reply(pipeline, &[a], "s9", country("NO"));
}

/// Dead letters, a verdict, and transactions that others and we have aborted.
fn what_goes_wrong(pipeline: &Pipeline, a: &Process) {
    for partition in Partition::all(PARTITIONS) {
        let user = user(partition, 1);
        pipeline.raw(Stream::Wallet, partition, Some(user.as_bytes()), None);
        pipeline.raw(Stream::Wallet, partition, None, Some(b"{}"));
        pipeline.raw(Stream::Wallet, partition, Some(user.as_bytes()), Some(b"{\"type\":"));
        far_ahead(pipeline, partition);
        let transaction = pipeline.cluster.transaction("somebody else", Duration::from_secs(60));
        let transaction = transaction.expect("an id of its own");
        let record = NewRecord {
            key: Some(user.as_bytes()),
            value: Some(b"aborted"),
            timestamp: START,
            headers: &[],
        };
        transaction
            .append(Stream::Wallet.topic(), partition, record)
            .expect("just begun");
        transaction.abort().expect("just begun");
    }
    let mut aborted = false;
    pipeline.cluster.set_fates(Some(Box::new(move |call| {
        let ours = call.what == CallKind::Submit && call.transactional_id == "money-a-0";
        match ours && !std::mem::replace(&mut aborted, true) {
            true => Fate {
                truth: Truth::Abort,
                ..Fate::GOOD
            },
            false => Fate::GOOD,
        }
    })));
    pipeline.flow_to(565 * SECOND);
    pipeline.rest(&[a]);
    pipeline.cluster.set_fates(None);
}

/// Questions with every kind of answer, and one without; timers; waiting records.
fn what_is_open(pipeline: &Pipeline, a: &Process) {
    for (id, session, at) in [("m6", "s3", 570), ("m7", "s4", 571), ("m8", "s5", 572)] {
        each(pipeline, |user| money(user, id, at * SECOND).session(session).into());
    }
    pipeline.flow_to(640 * SECOND);
    pipeline.rest(&[a]);
    reply(pipeline, &[a], "s2", Answer::Absent);
    reply(pipeline, &[a], "s3", Answer::Unavailable);
    reply(pipeline, &[a], "s4", country("DK"));
    for (id, session, at) in [("m9", "s6", 650), ("m10", "s7", 651)] {
        each(pipeline, |user| money(user, id, at * SECOND).session(session).into());
    }
    pipeline.flow_to(660 * SECOND);
    each(pipeline, |user| money(user, "m11", 700 * SECOND).session("s1").into());
    each(pipeline, |user| session(user, "s6", "FI", 705 * SECOND));
    each(pipeline, |user| address(user, "FI", 706 * SECOND));
    // A verdict that is not carried out yet.
    Partition::all(PARTITIONS).for_each(|partition| far_ahead(pipeline, partition));
    pipeline.rest(&[a]);
    for task in Partition::all(PARTITIONS) {
        store(pipeline, task, 690 * SECOND, &Stored::has_one_of_everything);
    }
    pipeline.rest(&[a]);
}

/// Changes of state, until the local store has what is asked for: it is written when as much has changed as there is.
fn store(pipeline: &Pipeline, task: Partition, at: Millis, what: &dyn Fn(&Stored) -> bool) {
    let disk = pipeline.disk.as_ref().expect("it has one");
    for round in 1..ROUNDS {
        if what(&disk.look(OURS, task)) {
            println!("task {task}: stored after {round} rounds");
            return;
        }
        let (_, end) = pipeline.changelog(task);
        let at = at + round;
        for number in 0..CHANGES {
            pipeline.put(address(&user(task, 2 + number), "SE", at));
        }
        pipeline.flow(&[task], at);
        eventually("an epoch", || pipeline.changelog(task).1 > end);
    }
    panic!("task {task}: it is never stored: {:#?}", disk.look(OURS, task));
}

/// A shadow that is complete in task 0, and has not seen anything in task 1.
fn shadowed(pipeline: &Pipeline, a: &Process) {
    shadow(pipeline, three());
    for (id, at) in [("m12", 720), ("m12", 728), ("m13", 735)] {
        each(pipeline, |user| money(user, id, at * SECOND).session("s1").into());
    }
    pipeline.flow(&[Partition(0)], 775 * SECOND);
    // As the one before, which is carried out now.
    far_ahead(pipeline, Partition(0));
    pipeline.rest(&[a]);
    eventually("it is through in task 0", || through(pipeline) > 0);
    assert_eq!(through(pipeline), 1, "in task 1 it runs");
}

/// A deploy for which one task holds. The other task is on an instance that never gets ready. Both instances are
/// killed.
fn undecided(pipeline: &Pipeline) {
    let a = pipeline.start("a");
    let has = |process: &Process, count| process.running.statuses().len() == count;
    eventually("all tasks", || has(&a, PARTITIONS as usize));
    pipeline.author("somebody").cancel().expect("the shadow ends");
    let (let_go, gate) = channel::<()>();
    let (gate, shut) = (Mutex::new(gate), Arc::new(AtomicBool::new(false)));
    let is_shut = shut.clone();
    let compiles = move || {
        if is_shut.load(Ordering::Acquire) {
            _ = gate.lock().recv();
        }
    };
    let b = pipeline.start_with("b", compiles);
    eventually("one task each", || has(&a, 1) && has(&b, 1));
    shut.store(true, Ordering::Release);
    std::thread::scope(|scope| {
        let deploying = scope.spawn(|| deploy(pipeline, three(), 900 * SECOND));
        eventually("one task holds", || {
            let reader = pipeline.author("a reader").read().expect("a control topic");
            reader.control().open().is_some_and(|open| open.answers.len() == 1)
        });
        let holds = |stored: &Stored| stored.meta.as_ref().is_some_and(|meta| meta.prepared.is_some());
        store(pipeline, Partition(0), 780 * SECOND, &|stored| {
            stored.has_one_of_everything() && holds(stored)
        });
        for (id, at) in [("m20", 880), ("m21", 899), ("m21", 903)] {
            each(pipeline, |user| money(user, id, at * SECOND).session("s1").into());
        }
        pipeline.cluster.kill("b");
        pipeline.kill(a);
        pipeline.cluster.kill("somebody");
        drop(let_go);
        drop(b);
        let why = deploying.join().expect("no panic").expect_err("it is dead");
        assert!(why.contains("was killed"), "{why}");
    });
}

/// Writes the fixture.
pub fn make() {
    let folder = folder();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("room for a fixture");
    let rules = folder.join("rules.wasm");
    if !rules.exists() {
        std::fs::copy(env!("GUEST_ENRICH_WASM"), rules).expect("tests/build.rs has made it");
    }
    let component = component();
    let mut pipeline = Pipeline::new();
    pipeline.disk = Some(Disk::new());
    let keep = |pipeline: &Pipeline, name: &str| {
        write(&format!("{name}.topics"), &topics::dump(pipeline, &component));
        let disk = pipeline.disk.as_ref().expect("it has one");
        disk.keep(OURS, &format!("{name}.state"));
    };
    let a = pipeline.start("a");
    begin(&pipeline);
    other_rules(&pipeline, &a);
    what_goes_wrong(&pipeline, &a);
    what_is_open(&pipeline, &a);
    shadowed(&pipeline, &a);
    pipeline.kill(a);
    keep(&pipeline, "shadowed");
    undecided(&pipeline);
    keep(&pipeline, "waiting");
    write("shadowed.expected", &after_shadowed(&Pipeline::load("shadowed.topics")));
    write("waiting.expected", &after_waiting(&Pipeline::load("waiting.topics")));
    write("formats", &formats::text());
}
