//! A shadow costs the live rules nothing, however much it differs, traps, or falls behind.

use pelton::record::{Offset, Partition};

use super::super::faults::{datum, flow, odd, put, sent};
use pelton::shadow::{Counts, Difference, EffectKind, FieldDifference, Origin, ShadowLimits, ShadowState};
use pelton_tests::stage::{HOUR, SECOND, START, Stage, Way};
use serde_json::json;

/// The odd guest's pipeline, always with the same events. The second ones send what the first ones stored.
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

/// Everything that leaves the pipeline or stays in it, except the offsets, which depend on commits.
fn outcome(stage: &Stage) -> impl PartialEq + std::fmt::Debug + use<> {
    let topic = |name: &str| {
        let mut records = stage.committed(name, Partition(0));
        records.iter_mut().for_each(|record| record.offset = Offset::ZERO);
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
    assert_eq!((difference.kind, difference.name.as_str()), (EffectKind::Output, "out"));
    let expected = Origin {
        what: "record".into(),
        topic: Some("in".into()),
        partition: Partition(0),
        offset: Some(Offset(2 + 66_666 + 1000)),
        key: "u666".into(),
        time: START + 2 * SECOND + 67_666,
    };
    assert_eq!(difference.input, expected);
    let value = |text: &str| Some(format!("{text:?}"));
    let [FieldDifference { path, live, shadow }] = &difference.fields[..] else {
        panic!("{difference:#?}")
    };
    assert_eq!((path.as_str(), live, shadow), ("", &value("poison"), &value("POISON")));
    assert_eq!(
        outcome(&stage),
        outcome(&echoes(100_000, |_| {})),
        "as without a shadow"
    );
}

/// A shadow that does everything wrong has no effect at all.
#[test]
fn traps_do_no_harm() {
    let stage = echoes(2000, oddly("panic"));
    let report = stage.shadow_report();
    assert_eq!(report.seen.traps, report.seen.steps);
    let [trapped] = &report.traps[..] else {
        panic!("{report:#?}")
    };
    assert!(trapped.reason.contains("no reason at all"), "{}", trapped.reason);
    assert_eq!((trapped.count, trapped.first.offset), (2002, Some(Offset(2))));
    let sent = stage.committed("money-enriched-events", Partition(0)).len() as u64;
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

/// A shadow refuses what the live task would refuse: a put that doesn't match its store's schema is a dead letter, not
/// state.
#[test]
fn a_put_that_is_not_of_its_schema_is_refused() {
    let stage = echoes(20, oddly("no-datum-kept"));
    let report = stage.shadow_report();
    assert!(report.seen.dead_letters.extra > 0, "{report:#?}");
    let refused = |difference: &&Difference| difference.kind == EffectKind::DeadLetter;
    let Some(refused) = report.differences.iter().find(refused) else {
        panic!("{report:#?}")
    };
    assert_eq!((refused.how.as_str(), refused.fields.len()), ("extra", 1));
    let why = refused.fields[0].shadow.as_deref().unwrap_or_default();
    assert!(why.contains("entry of a store that is not of its schema"), "{why}");
    assert_eq!(outcome(&stage), outcome(&echoes(20, |_| {})));
}

/// A shadow that gets no time is dropped when too much waits for it. The live rules have not waited for anything.
#[test]
fn one_that_can_not_keep_up_is_dropped() {
    let slow = |stage: &mut Stage| {
        let bounds = ShadowLimits {
            queue: 1 << 20,
            ..ShadowLimits::default()
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
    assert_eq!(report.standing, ShadowState::Ended, "{report:#?}");
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

/// Its own state is bounded, too.
#[test]
fn one_with_too_much_state_is_dropped() {
    let stage = echoes(3000, |stage| {
        let bounds = ShadowLimits {
            state: 64 << 10,
            ..ShadowLimits::default()
        };
        let settings = json!({ "do": "echo" });
        stage
            .shadow_within(&odd_rules(), settings, 10 * HOUR, bounds)
            .expect("they fit");
    });
    let report = stage.shadow_report();
    assert_eq!(report.standing, ShadowState::Ended);
    assert!(report.why.is_some_and(|why| why.contains("its state is over")));
    assert_eq!(sent(&stage).len(), 2000);
}
