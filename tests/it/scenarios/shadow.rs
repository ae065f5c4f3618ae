//! Rules that run as a shadow. Their differences are found and named, and have no effect outside.

mod harm;

use pelton::record::Offset;

use pelton::log::embedded::{CallKind, Fate, Fates, Truth, TxnCall};
use pelton::shadow::{Counts, EffectKind, FieldDifference, ShadowReport, ShadowState};
use pelton_tests::stage::{Format, HOUR, MINUTE, SECOND, START, Setup, Stage, always, money};
use serde_json::{Value, json};

fn rules() -> Vec<u8> {
    std::fs::read(env!("GUEST_ENRICH_WASM")).expect("tests/build.rs has made it")
}

/// Runs a shadow of the live rules, with these settings. The defaults are those of the live rules.
fn beside(stage: &mut Stage, settings: Value) {
    stage.shadow(&rules(), settings, 10 * HOUR).expect("they fit");
    stage.settle();
}

/// Sessions that are known, that come late, or never come; also timers, questions and duplicates.
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

fn none(report: &ShadowReport) {
    assert_eq!((report.seen.differ(), report.seen.traps), (0, 0), "{report:#?}");
    assert_eq!(report.differences, []);
    assert_eq!(report.seen.unanswered, 0);
}

/// The same rules: nothing differs over many epochs, with state, timers and lookups that already existed. If the
/// process dies, the shadow ends, and a new one finds the same.
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
            assert_eq!((report.standing, report.why.as_deref()), (ShadowState::Running, None));
            let ShadowReport { seen, .. } = report;
            assert!(seen.outputs.same > 20 && seen.state.same > 100, "{seen:#?}");
            assert!(seen.timers.same >= 20 && seen.lookups.same > 20, "{seen:#?}");
            assert_eq!(seen.shadow_inputs, seen.live_inputs);
        } else if report.standing == ShadowState::Ended {
            assert_eq!(report.why.as_deref(), Some("its task has left this instance"));
        }
    });
}

/// A setting changes what happens to one event, through the timer of money that waits for its session. The timer is due
/// earlier, and asks earlier. Its question is not one that the live rules ask there.
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
        (EffectKind::Timer, "session_missing")
    );
    let input = &difference.input;
    assert_eq!(
        (input.topic.as_deref(), input.offset),
        (Some("wallet-events"), Some(Offset(3)))
    );
    assert_eq!((input.key.as_str(), input.time), ("u2", START + MINUTE));
    let due = |live: &str, shadow: &str| FieldDifference {
        path: "(due)".into(),
        live: Some(live.into()),
        shadow: Some(shadow.into()),
    };
    let hour = due("2020-12-16T01:01:00.000Z", "2020-12-16T00:11:00.000Z");
    assert_eq!(difference.fields, [hour]);
    // The shadow's timer is due, and only the shadow asks. Nobody answers, so it continues without an answer.
    stage.flow_to(30 * MINUTE);
    let seen = stage.shadow_report().seen;
    assert_eq!((seen.lookups.extra, seen.unanswered), (1, 1));
    assert_eq!(stage.questions().len(), 0);
    // In the shadow the money comes out before it does in the live task.
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

/// The shadow is complete when its time is over, and keeps its findings.
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
    assert_eq!((report.standing, report.why.as_deref()), (ShadowState::Through, None));
    // From the first event on. The last event within the duration counts, and the one at its end does not.
    assert_eq!(report.seen.outputs.same, 59);
    assert_eq!(stage.enriched().len(), 200);
}

/// An epoch that is dropped, or whose outcome is unknown at first, is compared only once, when it is committed.
#[test]
fn each_step_is_compared_once() {
    let first = |truth: Truth, doubt: bool| -> Fates {
        let mut left = 3;
        Box::new(move |call: TxnCall<'_>| {
            if call.what != CallKind::Submit || left == 0 {
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
        assert_eq!((report.standing, report.why.as_deref()), (ShadowState::Running, None));
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

/// A shadow ends when its task leaves the instance, and when other rules take over. It reports that.
#[test]
fn it_ends_with_the_task() {
    let mut stage = Setup::money(Format::Avro).start();
    traffic(&mut stage, 0);
    beside(&mut stage, json!({}));
    stage.restart();
    traffic(&mut stage, 4 * HOUR);
    let report = stage.shadow_report();
    assert_eq!(report.standing, ShadowState::Ended);
    assert_eq!(report.why.as_deref(), Some("its task has left this instance"));
    beside(&mut stage, json!({}));
    traffic(&mut stage, 8 * HOUR);
    assert_eq!(stage.shadow_report().standing, ShadowState::Running);
    stage.deploy(&rules(), json!({ "dedup_ttl": "10s" })).expect("accepted");
    traffic(&mut stage, 12 * HOUR);
    let report = stage.shadow_report();
    assert_eq!(report.why.as_deref(), Some("other rules have taken over"));
    none(&report);
}

/// The money rules, with other bytes at one place.
fn patched(old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut rules = rules();
    assert_eq!(old.len(), new.len());
    let places = rules.windows(old.len()).enumerate().filter(|(_, bytes)| *bytes == old);
    let [(at, _)] = places.collect::<Vec<_>>()[..] else {
        panic!("it stands in the component once")
    };
    rules[at..at + new.len()].copy_from_slice(new);
    rules
}

/// If the rules name a store differently, they don't find what was stored. The first money of a kind is the first one
/// again.
#[test]
fn fields_that_differ_are_named() {
    for format in [Format::Avro, Format::Json] {
        let mut stage = Setup::money(format).start();
        stage.put(money("u1", "m0", 0));
        stage.flow_to(SECOND);
        let rules = patched(b"\"null\"types{", b"\"null\"typez{");
        stage.shadow(&rules, json!({}), HOUR).expect("they fit");
        stage.settle();
        stage.put(money("u1", "m1", MINUTE));
        stage.put(money("u2", "m2", MINUTE));
        stage.flow_to(2 * MINUTE);
        let ShadowReport { seen, differences, .. } = stage.shadow_report();
        assert_eq!((seen.outputs.same, seen.outputs.different), (1, 1));
        let outputs = differences
            .iter()
            .filter(|difference| difference.kind == EffectKind::Output);
        let [difference] = outputs.collect::<Vec<_>>()[..] else {
            panic!("{differences:#?}")
        };
        let field = FieldDifference {
            path: "firstOccurrence".into(),
            live: Some("false".into()),
            shadow: Some("true".into()),
        };
        assert_eq!(
            (difference.name.as_str(), &difference.fields),
            ("enriched", &vec![field])
        );
        assert_eq!(difference.input.key, "u1");
        let states = differences
            .iter()
            .filter(|difference| difference.kind == EffectKind::State);
        assert!(
            states
                .clone()
                .any(|state| state.name == "typez" && state.how == "extra")
        );
        assert_eq!(states.count() as u64, seen.state.differ());
    }
}

/// Other schemas: outputs are compared by value, and so is what was stored before.
#[test]
fn schemas_may_differ() {
    let mut stage = Setup::money(Format::Json).start();
    traffic(&mut stage, 0);
    stage.put(money("u1", "waits", 2 * HOUR).session("comes"));
    stage.flow_to(2 * HOUR + SECOND);
    let rules = patched(b"pelton.money.MoneyEnriched", b"pelton.monex.MoneyEnriched");
    stage.shadow(&rules, json!({}), 10 * HOUR).expect("they fit");
    stage.settle();
    stage.user("u1").session("comes", "DE", 2 * HOUR + MINUTE);
    traffic(&mut stage, 4 * HOUR);
    let report = stage.shadow_report();
    none(&report);
    assert!(
        report.seen.outputs.same > 20 && report.seen.state.same > 100,
        "{:#?}",
        report.seen
    );
    assert_eq!(report.notes.len(), 3, "{:?}", report.notes);
    assert!(report.notes[0].starts_with("output 'enriched': the schemas differ"));
}
