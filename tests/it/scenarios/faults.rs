//! Rules misbehave and epochs fail. Each of these costs what it must, and nothing else.

use pelton::config::{Format as Written, InputConfig, TimeSource};
use pelton::log::embedded::{CallKind, Fate, Fates, NewRecord, Truth, TxnCall};
use pelton::record::journal::JournalEntry;
use pelton::record::{Offset, Partition, Rank, StepKey};
use pelton::registry::{NoSchema, Schemas};
use pelton_tests::stage::{Format, HOUR, MINUTE, SECOND, START, Setup, Stage, Way, bytes, money};
use std::sync::Arc;
use std::time::Duration;

/// A registry in which schema 9 is used for everything.
struct Bytes;

impl Schemas for Bytes {
    fn by_id(&self, id: u32) -> Result<Arc<str>, NoSchema> {
        match id {
            9 => Ok(r#""bytes""#.into()),
            _ => Err(NoSchema::Unknown(format!("no schema {id}"))),
        }
    }

    fn id_for(&self, _: &str, _: &str) -> Result<u32, NoSchema> {
        Ok(9)
    }

    fn latest(&self, _: &str) -> Result<(u32, Arc<str>), NoSchema> {
        Ok((9, r#""bytes""#.into()))
    }
}

/// The odd guest, which does this. It sends the value of the user's previous event.
pub(super) fn odd(what: &str, way: Way) -> Setup {
    let mut setup = Setup::money(Format::Avro);
    setup.way = way;
    setup.component = std::fs::read(env!("GUEST_ODD_WASM")).expect("tests/build.rs has made it");
    setup.schemas = Some(Arc::new(Bytes));
    let config = &mut setup.config;
    config.rules.settings = serde_json::json!({ "do": what });
    config.rules.time_limit = Duration::from_millis(50);
    config.inputs = vec![InputConfig {
        name: "in".to_owned(),
        topic: "in".to_owned(),
        format: Written::Avro,
        time: TimeSource::Timestamp,
        ..config.inputs[0].clone()
    }];
    config.outputs[0].name = "out".to_owned();
    config.lookups[0].name = "service".to_owned();
    config.lookups[0].url = "http://localhost/{id}".to_owned();
    setup
}

const WAYS: [Way; 4] = [Way::Burst, Way::OneByOne, Way::Restless(1), Way::Restless(2)];

/// Runs a scenario of the odd guest in some of the ways.
fn oddly(what: &str, scenario: impl Fn(&mut Stage)) {
    for way in WAYS {
        let mut stage = odd(what, way).start();
        scenario(&mut stage);
    }
}

/// A value of schema 9 with this datum, good or bad.
pub(super) fn framed(datum: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 0, 9], datum].concat()
}

pub(super) fn datum(text: &str) -> Vec<u8> {
    let mut datum = vec![];
    bytes(&mut datum, text.as_bytes());
    datum
}

/// An event of the odd guest.
pub(super) fn put(stage: &Stage, user: &str, datum: &[u8], at: i64) {
    let value = framed(datum);
    let record = NewRecord {
        key: Some(user.as_bytes()),
        value: Some(&value),
        timestamp: START + at,
        headers: &[],
    };
    stage.cluster.append("in", Partition(0), record).expect("it fits");
}

/// Makes everything before `at` final, and processes it.
pub(super) fn flow(stage: &mut Stage, at: i64) {
    put(stage, "nobody", &datum("nothing"), at + 20 * SECOND);
    stage.settle();
}

/// The key and the value of each output.
pub(super) fn sent(stage: &Stage) -> Vec<(String, String)> {
    let text = |bytes: Option<Vec<u8>>| String::from_utf8_lossy(&bytes.expect("it is there")).into_owned();
    let records = stage.committed("money-enriched-events", Partition(0)).into_iter();
    let pair = |record: pelton::log::embedded::Owned| {
        let value = record.value.map(|value| value[6..].to_vec());
        (text(record.key), text(value))
    };
    records.map(pair).filter(|(key, _)| key != "nobody").collect()
}

/// Five users, each with a value; the third one has the bad one. Then each has another value, which sends the first
/// one.
fn five_users(stage: &mut Stage, bad: &[u8]) {
    for (at, user) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        let good = datum(&format!("{user}1"));
        put(stage, user, if user == "c" { bad } else { &good }, at as i64);
    }
    flow(stage, SECOND);
    for (at, user) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        put(stage, user, &datum(&format!("{user}2")), SECOND + at as i64);
    }
    flow(stage, MINUTE);
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// A trap takes only its own input to the dead letters, with reason, origin and version. It is journaled.
#[test]
fn a_trap_costs_its_own_input() {
    for (what, reason) in [
        ("panic-on-poison", "poison"),
        ("loop-on-poison", "time limit"),
        ("eat-on-poison", "memory"),
    ] {
        oddly(what, |stage| {
            five_users(stage, b"poison");
            // The value of c was never stored, so its second event sends nothing.
            assert_eq!(
                sent(stage),
                pairs(&[("a", "a1"), ("b", "b1"), ("d", "d1"), ("e", "e1")])
            );
            let letters = stage.dead_letters();
            assert_eq!(letters.len(), 1, "{what}");
            assert_eq!(
                (letters[0].key.as_deref(), letters[0].value.clone()),
                (Some(&b"c"[..]), Some(framed(b"poison")))
            );
            assert!(letters[0].reason().contains(reason), "{}", letters[0].reason());
            assert_eq!(
                (letters[0].origin().as_str(), letters[0].header("pelton.version")),
                ("in/0/2", &*stage.version())
            );
            let journal = stage.journal();
            let [
                JournalEntry::Trapped {
                    step,
                    sequence,
                    version,
                    reason,
                },
            ] = &journal[..]
            else {
                panic!("{journal:?}")
            };
            let (time, rank, offset) = (START + 2, Rank(0), Offset(2));
            assert_eq!((step, sequence), (&StepKey::Record { time, rank, offset }, &None));
            assert_eq!(
                (pelton::rules::Version(*version).to_string(), &**reason),
                (stage.version(), letters[0].reason())
            );
        });
    }
}

/// Spans that an effect doesn't use may point anywhere. They are not looked at.
#[test]
fn unused_spans_are_not_looked_at() {
    oddly("spans-unused", |stage| {
        five_users(stage, &datum("c1"));
        let expected = [("a", "a1"), ("b", "b1"), ("c", "c1"), ("d", "d1"), ("e", "e1")];
        assert_eq!(sent(stage), pairs(&expected));
        assert_eq!(stage.dead_letters().len(), 0);
    });
}

/// An input that is rejected without a reason is not lost either.
#[test]
fn a_rejection_needs_no_reason() {
    oddly("reject-without-reason", |stage| {
        five_users(stage, &datum("poison"));
        let expected = [("a", "a1"), ("b", "b1"), ("d", "d1"), ("e", "e1")];
        assert_eq!(sent(stage), pairs(&expected));
        let letters = stage.dead_letters();
        let all: Vec<_> = letters
            .iter()
            .map(|letter| (letter.origin(), letter.reason()))
            .collect();
        assert_eq!(all, [("in/0/2".into(), "")]);
    });
}

/// Rules that would not have trapped still follow a trap in the journal.
#[test]
fn a_replay_follows_the_trap() {
    let mut stage = odd("panic-on-poison", Way::OneByOne).start();
    five_users(&mut stage, b"poison");
    let reason = stage.dead_letters()[0].reason().to_owned();
    let replayed = stage.replay_with(|config| {
        config.rules.settings = serde_json::json!({ "do": "echo" });
        config.rules.batch = 1;
    });
    assert_eq!(sent(&replayed), sent(&stage));
    assert_eq!(replayed.dead_letters()[0].reason(), reason);
    assert_eq!(
        replayed.journal().len(),
        1,
        "what comes from the journal is not journaled again"
    );
}

/// The same for effects that can't be applied, of which nothing is applied. They don't depend on the clock, so nothing
/// is journaled.
#[test]
fn effects_that_cannot_be_applied() {
    for (what, reason) in [
        ("span-beyond", "span"),
        ("span-overflow", "span"),
        ("input-beyond", "input"),
        ("store-unknown", "stores"),
        ("entry-in-value-store", ""),
        ("reject-not-alone", "rejection"),
        ("too-large", ""),
        ("flood-a-little", "effects"),
    ] {
        oddly(what, |stage| {
            put(stage, "a", &datum("a1"), 0);
            put(stage, "b", &datum("b1"), 1);
            put(stage, "a", &datum("a2"), 2);
            flow(stage, SECOND);
            let letters = stage.dead_letters();
            let keys: Vec<_> = letters
                .iter()
                .map(|letter| letter.key.clone().expect("a key"))
                .collect();
            assert_eq!(keys, [b"a", b"b", b"a"], "{what}");
            assert!(
                letters.iter().all(|letter| letter.reason().contains(reason)),
                "{}",
                letters[0].reason()
            );
            assert_eq!(
                (sent(stage), stage.state(), stage.journal()),
                (vec![], vec![], vec![]),
                "{what}"
            );
        });
    }
}

/// An output that doesn't match its schema.
#[test]
fn an_output_that_is_no_datum() {
    oddly("echo", |stage| {
        // The first event of c would store something that is not a datum. The whole event goes to the dead letters.
        five_users(stage, b"\xff");
        assert_eq!(
            sent(stage),
            pairs(&[("a", "a1"), ("b", "b1"), ("d", "d1"), ("e", "e1")])
        );
        let letters = stage.dead_letters();
        assert_eq!(letters.len(), 1);
        assert!(
            letters[0].reason().contains("not of its schema"),
            "{}",
            letters[0].reason()
        );
        let c: Vec<_> = stage
            .state()
            .into_iter()
            .filter(|cell| cell.key == "c")
            .map(|cell| cell.value)
            .collect();
        assert_eq!(c, [datum("c2")]);
    });
}

/// Rules that trap on everything lose nothing. Everything is in the dead letters.
#[test]
fn rules_that_always_trap() {
    oddly("panic", |stage| {
        for at in 0..10 {
            put(stage, "a", &datum("x"), at);
        }
        flow(stage, SECOND);
        assert_eq!(stage.dead_letters().len(), 10);
        assert_eq!(stage.journal().len(), 10);
    });
}

// ---- epochs that fail

/// The first transactions end like this, and all later ones succeed.
fn fates(mut script: Vec<Fate>) -> Option<Fates> {
    script.reverse();
    Some(Box::new(move |call: TxnCall<'_>| match call.what {
        CallKind::Submit => script.pop().unwrap_or(Fate::GOOD),
        CallKind::Init => Fate::GOOD,
    }))
}

fn fate(truth: Truth, doubt: bool, polls: u32) -> Fate {
    Fate {
        truth,
        doubt,
        polls,
        ..Fate::GOOD
    }
}

/// Some of everything: sessions before and after their money, duplicates, timers, lookups, users.
fn some_of_everything(stage: &mut Stage) -> Vec<String> {
    stage.user("u1").birth_date("2000", 0);
    stage.put(money("u1", "m1", SECOND).session("s1"));
    stage.put(money("u1", "m1", 2 * SECOND).session("s1"));
    stage.user("u2").money("m2", 3 * SECOND);
    stage.put(money("u2", "m3", 4 * SECOND).session("s2"));
    stage.put(money("u2", "m4", 5 * SECOND).session("s3").old());
    stage.flow_to(MINUTE);
    stage.user("u1").session("s1", "DE", 2 * MINUTE);
    stage.user("u2").address("CA", 2 * MINUTE);
    stage.flow_to(3 * MINUTE);
    stage.reply_country("s3", "SE");
    stage.flow_to(2 * HOUR);
    stage.reply_country("s2", "FI");
    stage.put(money("u2", "m5", 3 * HOUR));
    stage.flow_to(4 * HOUR);
    stage.enriched()
}

const EVERYTHING: [&str; 5] = [
    "m2 first",
    "m1 first user 2000/- session DE",
    "m4 session SE",
    "m3 session FI",
    "m5 user -/CA",
];

/// An aborted epoch is done again with the same result. So is an ambiguous one, whichever way it ended.
#[test]
fn epochs_that_fail() {
    let bad = [
        fate(Truth::Abort, false, 0),
        fate(Truth::Abort, false, 4),
        fate(Truth::Abort, true, 0),
        fate(Truth::Commit, true, 0),
        fate(Truth::Commit, true, 4),
        fate(Truth::Dangle, true, 2),
    ];
    for first in 0..8 {
        for ends in bad {
            for format in [Format::Avro, Format::Json] {
                let mut stage = Setup::money(format).start();
                let script: Vec<Fate> = (0..first).map(|_| Fate::GOOD).chain([ends, ends]).collect();
                stage.cluster.set_fates(fates(script));
                assert_eq!(some_of_everything(&mut stage), EVERYTHING, "{ends:?} after {first}");
                stage.check_replay();
            }
        }
    }
}

/// Whenever the process dies, the outputs are the same, and come exactly once.
#[test]
fn a_crash_at_any_turn() {
    for turns in 0..80 {
        let mut stage = Setup::money(Format::Avro).start();
        stage.crash_after(turns);
        assert_eq!(some_of_everything(&mut stage), EVERYTHING, "after {turns} turns");
        let mut again = Setup::money(Format::Avro).start();
        again.crash_every(turns + 30);
        assert_eq!(some_of_everything(&mut again), EVERYTHING, "every {turns} + 30 turns");
    }
}
