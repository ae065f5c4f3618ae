//! Rules that run beside the live ones: what differs is found and named, and nothing of it is seen outside.

use super::faults::{datum, flow, odd, put, sent};
use pelton::control::shadow::{Counts, Field, Kind, Origin, Report, Standing};
use pelton::log::embedded::{Call, Fate, Fates, Truth, What};
use pelton::task::shadow::Bounds;
use pelton_tests::stage::{Format, HOUR, MINUTE, SECOND, START, Setup, Stage, Way, always, money};
use serde_json::{Value, json};

fn rules() -> Vec<u8> {
    std::fs::read(env!("GUEST_ENRICH_WASM")).expect("tests/build.rs has made it")
}

/// The rules that run, with these settings: the defaults are those of the live ones.
fn beside(stage: &mut Stage, settings: Value) {
    stage.shadow(&rules(), settings, 10 * HOUR).expect("they fit");
    stage.settle();
}

/// Sessions that are known, that come late and never; timers, questions, duplicates.
fn traffic(stage: &mut Stage, from: i64) {
    for number in 0..20 {
        let (user, at) = (format!("u{}", number % 4), from + number * SECOND);
        let id = format!("m{from}-{number}");
        stage.user(&user).birth_date("1980", at);
        stage.user(&user).session(&format!("s{id}"), "DE", at);
        stage.put(money(&user, &id, at).session(&format!("s{id}")));
        stage.put(money(&user, &format!("{id}-late"), at).session(&format!("never-{id}")));
        stage.put(
            money(&user, &format!("{id}-old"), at)
                .session(&format!("old-{id}"))
                .old(),
        );
        stage.put(money(&user, &id, at + 500));
        if number % 5 == 0 {
            stage.flow_to(at);
        }
        if number % 7 == 0 {
            stage.flow_to(at + 1);
            stage.reply_country(&format!("old-{id}"), "SE");
        }
    }
    stage.flow_to(from + 2 * HOUR);
}

fn none(report: &Report) {
    assert_eq!((report.seen.differ(), report.seen.traps), (0, 0), "{report:#?}");
    assert_eq!(report.differences, []);
    assert_eq!(report.seen.unanswered, 0);
}

/// The same rules: everything is the same, with state, timers and lookups that were there before, over many epochs. Where
/// the process dies, the shadow has ended, and another one sees the same.
#[test]
fn the_same_rules_do_the_same() {
    always(|stage| {
        traffic(stage, 0);
        stage.put(money("u1", "waits", 2 * HOUR).session("not-yet"));
        stage.put(money("u1", "asks", 2 * HOUR).session("asked").old());
        stage.flow_to(2 * HOUR + SECOND);
        beside(stage, json!({}));
        stage.reply_country("asked", "NO");
        traffic(stage, 4 * HOUR);
        let report = stage.shadow_report();
        none(&report);
        if stage.is_steady() {
            assert_eq!((report.standing, report.why.as_deref()), (Standing::Running, None));
            let Report { seen, .. } = report;
            assert!(seen.outputs.same > 20 && seen.state.same > 100, "{seen:#?}");
            assert!(seen.timers.same >= 20 && seen.lookups.same > 20, "{seen:#?}");
            assert_eq!(seen.shadow_inputs, seen.live_inputs);
        } else if report.standing == Standing::Ended {
            assert_eq!(report.why.as_deref(), Some("its task has left this instance"));
        }
    });
}

/// A setting changes what becomes of one event: the timer of money that waits for its session. Then it is due earlier, asks
/// earlier, and what it asks is not what the live rules ask there.
#[test]
fn a_change_of_settings_is_named() {
    let mut stage = Setup::money(Format::Json).start();
    stage.put(money("u1", "m0", 0));
    stage.flow_to(SECOND);
    beside(&mut stage, json!({ "pending_ttl": "10m" }));
    stage.put(money("u1", "m1", MINUTE));
    stage.put(money("u2", "m2", MINUTE).session("s2"));
    stage.put(money("u3", "m3", MINUTE));
    stage.flow_to(2 * MINUTE);
    let report = stage.shadow_report();
    assert_eq!(
        (report.seen.differ(), report.seen.timers.different),
        (1, 1),
        "{report:#?}"
    );
    let [difference] = &report.differences[..] else {
        panic!("{report:#?}")
    };
    assert_eq!(
        (difference.kind, difference.name.as_str()),
        (Kind::Timer, "session_missing")
    );
    let input = &difference.input;
    assert_eq!((input.topic.as_deref(), input.offset), (Some("wallet-events"), Some(3)));
    assert_eq!((input.key.as_str(), input.time), ("u2", START + MINUTE));
    let due = |live: &str, shadow: &str| Field {
        path: "(due)".into(),
        live: Some(live.into()),
        shadow: Some(shadow.into()),
    };
    let hour = due("2020-12-16T01:01:00.000Z", "2020-12-16T00:11:00.000Z");
    assert_eq!(difference.fields, [hour]);
    // The shadow's timer is due, and asks alone; nobody answers, so that it goes on without.
    stage.flow_to(30 * MINUTE);
    let seen = stage.shadow_report().seen;
    assert_eq!((seen.lookups.extra, seen.unanswered), (1, 1));
    assert_eq!(stage.questions().len(), 0);
    // The money comes out of it before the live one comes out.
    stage.flow_to(31 * MINUTE);
    assert_eq!(
        stage.shadow_report().seen.outputs,
        Counts {
            same: 2,
            extra: 1,
            ..Counts::default()
        }
    );
    stage.flow_to(2 * HOUR);
    assert_eq!(stage.questions().len(), 1);
    stage.reply_country("s2", "SE");
    let seen = stage.shadow_report().seen;
    assert_eq!(
        seen.outputs,
        Counts {
            same: 2,
            extra: 1,
            missing: 1,
            ..Counts::default()
        }
    );
    assert_eq!(
        seen.lookups,
        Counts {
            extra: 1,
            missing: 1,
            ..Counts::default()
        }
    );
}

/// The odd guest's pipeline, with the same events each time: its second ones send what the first ones held.
fn echoes(count: i64, shadow: impl FnOnce(&mut Stage)) -> Stage {
    let mut stage = odd("echo", Way::Burst).start();
    put(&stage, "first", &datum("first"), 0);
    flow(&mut stage, SECOND);
    shadow(&mut stage);
    stage.settle();
    for number in 0..count {
        let text = if number == count * 2 / 3 {
            "poison".into()
        } else {
            format!("v{number}")
        };
        put(
            &stage,
            &format!("u{}", number % 1000),
            &datum(&text),
            2 * SECOND + number,
        );
    }
    flow(&mut stage, 2 * SECOND + count);
    flow(&mut stage, HOUR);
    stage
}

fn odd_rules() -> Vec<u8> {
    std::fs::read(env!("GUEST_ODD_WASM")).expect("tests/build.rs has made it")
}

fn oddly(what: &str) -> impl FnOnce(&mut Stage) {
    let settings = json!({ "do": what });
    move |stage| stage.shadow(&odd_rules(), settings, 10 * HOUR).expect("they fit")
}

/// Everything that leaves the pipeline and stays in it, but for the offsets, which commits move.
fn outcome(stage: &Stage) -> impl PartialEq + std::fmt::Debug + use<> {
    let topic = |name: &str| {
        let mut records = stage.committed(name, 0);
        records.iter_mut().for_each(|record| record.offset = 0);
        records
    };
    (
        topic("money-enriched-events"),
        topic("money-journal"),
        topic("money-dead-letters"),
        stage.state(),
    )
}

#[test]
fn one_difference_in_100_000_events() {
    let stage = echoes(100_000, oddly("shout-on-poison"));
    let report = stage.shadow_report();
    assert_eq!(report.seen.records, 100_002, "{report:#?}");
    let expected = Counts {
        same: 99_000,
        different: 1,
        ..Counts::default()
    };
    assert_eq!((report.seen.outputs, report.seen.differ()), (expected, 1));
    let [difference] = &report.differences[..] else {
        panic!("{report:#?}")
    };
    assert_eq!((difference.kind, difference.name.as_str()), (Kind::Output, "out"));
    let expected = Origin {
        what: "record".into(),
        topic: Some("in".into()),
        partition: 0,
        offset: Some(2 + 66_666 + 1000),
        key: "u666".into(),
        time: START + 2 * SECOND + 67_666,
    };
    assert_eq!(difference.input, expected);
    let value = |text: &str| Some(format!("{text:?}"));
    let [Field { path, live, shadow }] = &difference.fields[..] else {
        panic!("{difference:#?}")
    };
    assert_eq!((path.as_str(), live, shadow), ("", &value("poison"), &value("POISON")));
    assert_eq!(
        outcome(&stage),
        outcome(&echoes(100_000, |_| {})),
        "as without a shadow"
    );
}

/// A shadow that can't do anything right has no effect at all.
#[test]
fn traps_do_no_harm() {
    let stage = echoes(2000, oddly("panic"));
    let report = stage.shadow_report();
    assert_eq!(report.seen.traps, report.seen.steps);
    let [trapped] = &report.traps[..] else {
        panic!("{report:#?}")
    };
    assert!(trapped.reason.contains("no reason at all"), "{}", trapped.reason);
    assert_eq!((trapped.count, trapped.first.offset), (2002, Some(2)));
    let sent = stage.committed("money-enriched-events", 0).len() as u64;
    assert!(sent >= 1000);
    assert_eq!(
        report.seen.outputs,
        Counts {
            missing: sent,
            ..Counts::default()
        }
    );
    assert_eq!(outcome(&stage), outcome(&echoes(2000, |_| {})));
}

/// One that gets no time is dropped when too much waits for it, and the live rules have waited for nothing.
#[test]
fn one_that_can_not_keep_up_is_dropped() {
    let slow = |stage: &mut Stage| {
        let bounds = Bounds {
            queue: 1 << 20,
            ..Bounds::default()
        };
        let settings = json!({ "do": "echo" });
        stage
            .shadow_within(&odd_rules(), settings, 10 * HOUR, bounds)
            .expect("they fit");
        stage.settle();
        stage.hold_shadow(true);
    };
    let mut stage = echoes(20_000, slow);
    let report = stage.shadow_report();
    assert_eq!(report.standing, Standing::Ended, "{report:#?}");
    let why = report.why.expect("it says why");
    assert!(
        why.starts_with("dropped: behind by ") && why.contains("of event time"),
        "{why}"
    );
    // It stays dropped.
    stage.hold_shadow(false);
    put(&stage, "u1", &datum("more"), 2 * HOUR);
    flow(&mut stage, 3 * HOUR);
    assert_eq!(stage.shadow_report().seen, report.seen);
    let mut other = echoes(20_000, |_| {});
    put(&other, "u1", &datum("more"), 2 * HOUR);
    flow(&mut other, 3 * HOUR);
    assert_eq!(outcome(&stage), outcome(&other));
}

/// Its own state has a bound, too.
#[test]
fn one_with_too_much_state_is_dropped() {
    let stage = echoes(3000, |stage| {
        let bounds = Bounds {
            state: 64 << 10,
            ..Bounds::default()
        };
        let settings = json!({ "do": "echo" });
        stage
            .shadow_within(&odd_rules(), settings, 10 * HOUR, bounds)
            .expect("they fit");
    });
    let report = stage.shadow_report();
    assert_eq!(report.standing, Standing::Ended);
    assert!(report.why.is_some_and(|why| why.contains("its state is over")));
    assert_eq!(sent(&stage).len(), 2000);
}

/// It is through when its time is over, and keeps what it has seen.
#[test]
fn it_ends_by_itself() {
    let mut stage = Setup::money(Format::Avro).start();
    stage.put(money("u1", "m0", 0));
    stage.flow_to(SECOND);
    stage.shadow(&rules(), json!({}), MINUTE).expect("they fit");
    stage.settle();
    for second in 1..200 {
        stage.put(money("u1", &format!("m{second}"), second * SECOND));
    }
    stage.flow_to(HOUR);
    let report = stage.shadow_report();
    none(&report);
    assert_eq!((report.standing, report.why.as_deref()), (Standing::Through, None));
    // From the first event on; the last one within is in, the one at its end is not.
    assert_eq!(report.seen.outputs.same, 59);
    assert_eq!(stage.enriched().len(), 200);
}

/// An epoch that is dropped, or of which nobody knows at first, is compared once, when it is committed.
#[test]
fn each_step_is_compared_once() {
    let first = |truth: Truth, doubt: bool| -> Fates {
        let mut left = 3;
        Box::new(move |call: Call<'_>| {
            if call.what != What::Submit || left == 0 {
                return Fate::GOOD;
            }
            left -= 1;
            Fate {
                truth,
                doubt,
                ..Fate::GOOD
            }
        })
    };
    for (truth, doubt) in [(Truth::Abort, false), (Truth::Abort, true), (Truth::Commit, true)] {
        let mut stage = Setup::money(Format::Avro).start();
        traffic(&mut stage, 0);
        beside(&mut stage, json!({}));
        stage.cluster.set_fates(Some(first(truth, doubt)));
        traffic(&mut stage, 4 * HOUR);
        let report = stage.shadow_report();
        none(&report);
        assert_eq!((report.standing, report.why.as_deref()), (Standing::Running, None));
        let undisturbed = {
            let mut stage = Setup::money(Format::Avro).start();
            traffic(&mut stage, 0);
            beside(&mut stage, json!({}));
            traffic(&mut stage, 4 * HOUR);
            stage.shadow_report().seen
        };
        assert_eq!(
            (report.seen.steps, report.seen.outputs),
            (undisturbed.steps, undisturbed.outputs)
        );
    }
}

/// It ends with its task's stay on the instance, and with other rules; and says so.
#[test]
fn it_ends_with_the_task() {
    let mut stage = Setup::money(Format::Avro).start();
    traffic(&mut stage, 0);
    beside(&mut stage, json!({}));
    stage.restart();
    traffic(&mut stage, 4 * HOUR);
    let report = stage.shadow_report();
    assert_eq!(report.standing, Standing::Ended);
    assert_eq!(report.why.as_deref(), Some("its task has left this instance"));
    beside(&mut stage, json!({}));
    traffic(&mut stage, 8 * HOUR);
    assert_eq!(stage.shadow_report().standing, Standing::Running);
    stage.deploy(&rules(), json!({ "dedup_ttl": "10s" })).expect("accepted");
    traffic(&mut stage, 12 * HOUR);
    let report = stage.shadow_report();
    assert_eq!(report.why.as_deref(), Some("other rules have taken over"));
    none(&report);
}
