//! New rules take over between two steps.

use pelton::record::journal::{JournalEntry, JournalInput};
use pelton_tests::stage::{
    DAY, Format, HOUR, MINUTE, SECOND, START, Setup, Stage, Stream, Way, always, always_with, money,
};
use serde_json::json;
use std::time::Duration;

fn rules() -> Vec<u8> {
    std::fs::read(env!("GUEST_ENRICH_WASM")).expect("tests/build.rs has made it")
}

/// The money rules, with another name for their kind of timer.
fn with_another_timer() -> Vec<u8> {
    let mut rules = rules();
    let (old, new) = (b"session_missing", b"session_mislaid");
    let places: Vec<usize> = (0..rules.len() - old.len())
        .filter(|at| rules[*at..].starts_with(old))
        .collect();
    assert!(!places.is_empty(), "the name stands in the component");
    for at in places {
        rules[at..at + new.len()].copy_from_slice(new);
    }
    rules
}

/// The versions in the journal.
fn versions(stage: &Stage) -> Vec<String> {
    let version = |entry| match entry {
        JournalEntry::After {
            what: JournalInput::Rules { version, .. },
            ..
        } => Some(pelton::rules::Version(version).to_string()),
        _ => None,
    };
    stage.journal().into_iter().filter_map(version).collect()
}

/// A change of settings applies exactly from the next step on, and is in the journal.
#[test]
fn settings_change_from_the_next_step_on() {
    always(|stage| {
        stage.put(money("u1", "before", 0).session("s1"));
        stage.flow_to(1);
        // Already read, but not final, so it belongs to the new rules.
        stage.put(money("u1", "after", SECOND).session("s2"));
        stage.settle();
        let first = stage.version();
        stage
            .deploy(&rules(), json!({ "pending_ttl": "10s" }))
            .expect("accepted");
        assert_ne!(stage.version(), first);
        stage.flow_to(11 * SECOND);
        assert_eq!(stage.questions(), []);
        stage.flow_to(11 * SECOND + 1);
        assert_eq!(stage.questions().len(), 1);
        assert!(stage.questions()[0].request.ends_with(b"/s2"));
        assert_eq!(versions(stage), [stage.version()]);
        stage.flow_to(HOUR + 1);
        assert_eq!(stage.questions().len(), 2);
    });
}

/// The same rules with the same settings are the same version.
#[test]
fn the_same_again_changes_nothing() {
    always(|stage| {
        stage.user("u1").money("m1", 0);
        stage.flow_to(SECOND);
        let settings = stage.settings();
        stage.deploy(&rules(), settings).expect("accepted");
        stage.user("u1").money("m2", SECOND);
        stage.flow_to(MINUTE);
        assert_eq!((stage.enriched().len(), versions(stage).len()), (2, 0));
    });
}

/// Rules that don't know a pending kind of timer are refused, and the old ones keep running.
#[test]
fn an_unknown_pending_timer() {
    always(|stage| {
        stage.put(money("u1", "m1", 0).session("s1"));
        stage.flow_to(SECOND);
        let version = stage.version();
        let refused = stage
            .deploy(&with_another_timer(), json!({}))
            .expect_err("refused")
            .to_string();
        assert!(refused.contains("session_missing"), "{refused}");
        stage.user("u1").session("s1", "DE", SECOND);
        stage.flow_to(MINUTE);
        assert_eq!(stage.enriched(), ["m1 first session DE"]);
        assert_eq!((stage.version(), versions(stage)), (version, vec![]));
        // None is pending any more, so now they are accepted.
        stage.deploy(&with_another_timer(), json!({})).expect("accepted");
        stage.put(money("u1", "m2", MINUTE).session("s2"));
        stage.flow_to(2 * HOUR);
        assert_eq!(stage.questions().len(), 1);
        assert_eq!(versions(stage), [stage.version()]);
    });
}

/// They are accepted. When they take over, a timer is set that they don't know, and it goes to the dead letters.
#[test]
fn a_timer_set_meanwhile() {
    always(|stage| {
        stage.flow_to(0);
        let old = stage.version();
        stage
            .deploy_at(&with_another_timer(), json!({}), MINUTE)
            .expect("accepted");
        stage.put(money("u1", "m1", 0).session("s1"));
        stage.put(money("u1", "m2", 0).session("s2"));
        stage.flow_to(SECOND);
        stage.user("u1").session("s1", "DE", SECOND);
        stage.flow_to(SECOND + 1);
        assert_eq!(stage.enriched(), ["m1 first session DE"]);
        assert_eq!(versions(stage), [] as [&str; 0]);
        stage.user("u1").money("m3", MINUTE);
        stage.flow_to(MINUTE + 1);
        assert_ne!(old, stage.version());
        assert_eq!(versions(stage), [stage.version()]);
        let letters = stage.dead_letters();
        assert_eq!(letters.len(), 1, "{letters:?}");
        stage.flow_to(2 * HOUR);
        assert_eq!(stage.enriched(), ["m1 first session DE", "m3"]);
    });
}

/// The first input at or after the time is the first of the new version, whatever it is: a record, a timer, or late
/// money.
#[test]
fn a_time_to_come() {
    always(|stage| {
        stage.put(money("u1", "m1", 0));
        stage.flow_to(1);
        stage
            .deploy_at(&rules(), json!({ "dedup_ttl": "10s" }), MINUTE)
            .expect("accepted");
        // Within a minute the old rules see a duplicate. To the new rules the last one is not a duplicate.
        stage.put(money("u1", "m1", 59 * SECOND + 999));
        stage.put(money("u2", "m2", MINUTE - 1));
        stage.put(money("u1", "m1", MINUTE + 15 * SECOND));
        stage.put(money("u2", "m2", MINUTE));
        stage.flow_to(2 * MINUTE);
        assert_eq!(versions(stage), [stage.version()]);
    });
}

/// In a backlog, event time has a speed. A task that is asked to hold "now" answers where it will be, and runs on until
/// then.
#[test]
fn now_does_not_stop_a_task_that_is_under_way() {
    let mut setup = Setup::money(Format::Avro);
    setup.start = START + 100 * DAY;
    // Eight inputs in each turn.
    setup.way = Way::OneByOne;
    let mut stage = setup.start();
    for number in 0..600 {
        stage.put(money("u1", &format!("m{number}"), number * MINUTE));
    }
    for stream in Stream::ALL {
        stage.flow(stream, 600 * MINUTE);
    }
    while stage
        .status()
        .first()
        .is_none_or(|task| task.last < START + 200 * MINUTE)
    {
        stage.pass(Duration::from_millis(10));
        stage.turn().expect("it runs");
    }
    let last = stage.status()[0].last - START;
    stage.deploy_late(&rules(), json!({ "label": "new " }), |stage| {
        let status = &stage.status()[0];
        let until = status.rules.prepared.expect("it holds").until - START;
        assert!(last + MINUTE < until && until < 600 * MINUTE, "{last} {until}");
        let taken = 1 + (until - 1) / MINUTE;
        assert_eq!(status.last - START, (taken - 1) * MINUTE, "it holds there");
        assert_eq!(stage.enriched().len() as i64, taken);
        until
    });
    assert_eq!(stage.enriched().len(), 600);
    assert_eq!(stage.status()[0].rules.deployed, 2);
    stage.check_replay();
}

/// If event time stands still, "now" is where the task is.
#[test]
fn now_is_here_for_a_task_that_rests() {
    let mut stage = Setup::money(Format::Avro).start();
    stage.put(money("u1", "m1", 0));
    stage.flow_to(1);
    stage.advance(Duration::from_secs(5));
    let last = stage.status()[0].last - START;
    stage.deploy_late(&rules(), json!({ "label": "new " }), |stage| {
        let until = stage.status()[0].rules.prepared.expect("it holds").until - START;
        assert_eq!(until, last + 1);
        until
    });
}

/// There are no more records. The clock says that the time has passed, one heartbeat for each input says so, and the
/// new rules take over.
#[test]
fn a_time_passes_in_silence() {
    let silence = |stage: &mut Stage| {
        stage.put(money("u1", "m1", 0));
        stage.flow_to(1);
        let beats = |stage: &Stage| {
            let entries = stage.journal().into_iter();
            entries
                .filter(|entry| matches!(entry, JournalEntry::Heartbeat { .. }))
                .count()
        };
        // What was waiting has come out. Nothing moves event time any more.
        stage.advance(Duration::from_secs(120));
        let before = beats(stage);
        stage
            .deploy_at(&rules(), json!({ "dedup_ttl": "10s" }), 10 * MINUTE)
            .expect("accepted");
        stage.advance(Duration::from_secs(120));
        assert_eq!(versions(stage), [] as [&str; 0]);
        stage.advance(Duration::from_secs(900));
        assert_eq!(versions(stage), [stage.version()]);
        let inputs = stage.status()[0].positions.len();
        assert_eq!(beats(stage) - before, inputs);
    };
    always_with(|setup| setup.restless = false, silence);
}

/// State and pending lookups survive a deploy.
#[test]
fn state_outlives_a_deploy() {
    always(|stage| {
        stage.user("u1").birth_date("2000", 0);
        stage.user("u1").session("s1", "DE", 0);
        stage.user("u1").money("m1", 1);
        stage.put(money("u1", "m2", 2).session("s9").old());
        stage.flow_to(SECOND);
        stage
            .deploy(&with_another_timer(), json!({ "dedup_ttl": "2m" }))
            .expect("accepted");
        stage.user("u1").money("m1", 30 * SECOND);
        stage.put(money("u1", "m3", 30 * SECOND).session("s1"));
        stage.flow_to(MINUTE);
        stage.reply_country("s9", "SE");
        assert_eq!(
            stage.enriched(),
            [
                "m1 first user 2000/-",
                "m3 user 2000/- session DE",
                "m2 user 2000/- session SE"
            ]
        );
    });
}
