//! What happened to the pipeline of the fixture before the upgrade, and how the fixture is written.
//!
//! Rule: it leaves one of everything that an upgrade may find: state of all kinds, expired and not; a changelog whose
//! start was cut off; timers, open questions, and waiting records; verdicts, dead letters, and aborted transactions; a
//! deploy that was taken over, an undecided one, and a shadow.

use pelton::record::Offset;

use super::continuation::{after_shadowed, after_waiting};
use super::pipeline::{PARTITIONS, Pipeline, Process, component, fixture, user};
use super::{formats, topics};
use crate::deploys::fleet::eventually;
use parking_lot::Mutex;
use pelton::deploy::api::{Deployed, Wish};
use pelton::log::embedded::{Fate, Record, Truth, What};
use pelton::service::Answer;
use pelton::shadow::Standing;
use pelton::testkit::Which;
use pelton_tests::stage::{Event, MINUTE, Millis, SECOND, START, Stream, address, birth_date, money, session};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

/// The most rounds of the first part.
const ROUNDS: i64 = 400;

/// The settings of a version. Each one marks its outputs.
pub fn settings(label: &str, dedup: Millis, pending: Millis) -> Value {
    json!({
        "dedup_ttl": format!("{dedup}ms"),
        "session_ttl": "86400000ms",
        "pending_ttl": format!("{pending}ms"),
        "label": label,
    })
}

/// The settings of the second version.
fn two() -> Value {
    settings("two-", 10 * SECOND, MINUTE)
}

/// The settings of the third version.
pub fn three() -> Value {
    settings("three-", 5 * SECOND, 40 * SECOND)
}

/// Deploys these settings for this time, and waits until all tasks have taken them over.
pub fn deploy(pipeline: &Pipeline, settings: Value, at: Millis) -> Result<Deployed, String> {
    let wish = Wish {
        settings: Some(settings),
        at: Some(START + at),
        ..Wish::default()
    };
    let deployed = pipeline.author("somebody").deploy(wish, &mut |_, _| {});
    deployed.map_err(|why| why.to_string())
}

/// Starts a shadow with these settings for eighty seconds of event time, and waits until every task has begun.
pub fn shadow(pipeline: &Pipeline, settings: Value) {
    let wish = Wish {
        settings: Some(settings),
        shadow: Some(80 * SECOND),
        ..Wish::default()
    };
    let author = pipeline.author("somebody");
    author.deploy(wish, &mut |_, _| {}).expect("it begins");
    eventually("all tasks begin", || {
        let seen = author.diff().expect("it is read").expect("it is there");
        seen.tasks.len() == PARTITIONS as usize
    });
}

/// The number of tasks that have completed the shadow, according to the topic.
pub fn through(pipeline: &Pipeline) -> usize {
    let seen = pipeline.author("somebody").diff();
    let seen = seen.expect("it is read").expect("it is there");
    let through = seen
        .tasks
        .values()
        .filter(|report| report.standing == Standing::Through);
    through.count()
}

/// Lets the session service answer all open questions for a session.
pub fn reply(pipeline: &Pipeline, processes: &[&Process], session: &str, answer: Answer) {
    let which = Which {
        service: None,
        end: format!("/{session}"),
    };
    assert!(pipeline.script.always(which, answer) > 0, "nobody asks for {session}");
    pipeline.script.be_silent();
    pipeline.rest(processes);
}

/// A reply with this country.
pub fn country(code: &str) -> Answer {
    Answer::Body(format!("{{\"clientCountryCode\":\"{code}\"}}").into_bytes())
}

/// Adds an event in each partition, made from its user.
pub fn each(pipeline: &Pipeline, event: impl Fn(&str) -> Event) {
    for partition in 0..PARTITIONS {
        pipeline.put(event(&user(partition, 1)));
    }
}

/// Adds a record whose time is ahead of every clock.
pub fn far_ahead(pipeline: &Pipeline, partition: i32) {
    let user = user(partition, 1);
    let value = json!({
        "type": "OtherUserEvent",
        "id": "far",
        "userId": user,
        "processedAt": "2999-01-01T00:00:00.000Z",
        "somethingUtil": "util",
    });
    let value = value.to_string();
    pipeline.raw(Stream::User, partition, Some(user.as_bytes()), Some(value.as_bytes()));
}

/// Makes small epochs until the start of task 0's changelog is cut off, which proves that a round of the sweep is
/// complete.
fn begin(pipeline: &Pipeline) {
    for round in 0..ROUNDS {
        let at = round * SECOND;
        let (start, end) = pipeline.changelog(0);
        if start > Offset::ZERO {
            return;
        }
        for partition in (0..PARTITIONS).filter(|partition| *partition == 0 || round % 10 == 0) {
            let user = user(partition, 0);
            // Its session comes a second later.
            pipeline.put(money(&user, &format!("money-{round}"), at).session(&format!("session-{round}")));
            pipeline.put(birth_date(&user, &(1950 + round % 50).to_string(), at));
            let before = round - if partition == 0 { 1 } else { 10 };
            pipeline.put(session(&user, &format!("session-{before}"), "DE", at));
        }
        if round > 21 {
            eventually("an epoch", || pipeline.changelog(0).1 > end);
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
    for partition in 0..PARTITIONS {
        let user = user(partition, 1);
        pipeline.raw(Stream::Wallet, partition, Some(user.as_bytes()), None);
        pipeline.raw(Stream::Wallet, partition, None, Some(b"{}"));
        pipeline.raw(Stream::Wallet, partition, Some(user.as_bytes()), Some(b"{\"type\":"));
        far_ahead(pipeline, partition);
        let transaction = pipeline.cluster.transaction("somebody else", Duration::from_secs(60));
        let transaction = transaction.expect("an id of its own");
        let record = Record {
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
        let ours = call.what == What::Submit && call.transactional_id == "money-a-0";
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
    pipeline.rest(&[a]);
}

/// A shadow that is complete in task 0, and has not seen anything in task 1.
fn shadowed(pipeline: &Pipeline, a: &Process) {
    shadow(pipeline, three());
    for (id, at) in [("m12", 720), ("m12", 728), ("m13", 735)] {
        each(pipeline, |user| money(user, id, at * SECOND).session("s1").into());
    }
    pipeline.flow(&[0], 760 * SECOND);
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
    let folder = fixture();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("room for a fixture");
    let rules = std::fs::read(env!("GUEST_ENRICH_WASM")).expect("tests/build.rs has made it");
    std::fs::write(folder.join("rules.wasm"), rules).expect("room for a fixture");
    let component = component();
    let pipeline = Pipeline::new();
    let a = pipeline.start("a");
    begin(&pipeline);
    other_rules(&pipeline, &a);
    what_goes_wrong(&pipeline, &a);
    what_is_open(&pipeline, &a);
    shadowed(&pipeline, &a);
    pipeline.kill(a);
    write("shadowed.topics", &topics::dump(&pipeline, &component));
    undecided(&pipeline);
    write("waiting.topics", &topics::dump(&pipeline, &component));
    write("shadowed.expected", &after_shadowed(&Pipeline::load("shadowed.topics")));
    write("waiting.expected", &after_waiting(&Pipeline::load("waiting.topics")));
    write("formats", &formats::text());
}
