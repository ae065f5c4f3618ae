//! Event time without races: watermarks, lateness, silence, and wrong clocks.

use pelton::log::embedded::{FetchCall, NewRecord};
use pelton::record::journal::{JournalEntry, Verdict};
use pelton::record::{Partition, Rank};
use pelton_tests::stage::{Format, HOUR, MINUTE, SECOND, START, Setup, Stream, always, always_with, money};
use std::time::Duration;

const SECONDS: fn(u64) -> Duration = Duration::from_secs;

/// A record is final, and may be processed, once its effective time is before the watermark of every partition.
#[test]
fn nothing_is_done_before_it_is_final() {
    always(|stage| {
        stage.user("u1").money("m1", 10 * SECOND);
        stage.flow(Stream::Session, HOUR);
        stage.flow(Stream::User, HOUR);
        stage.flow(Stream::Wallet, 10 * SECOND);
        stage.settle();
        assert_eq!(stage.enriched(), [""; 0]);
        stage.flow(Stream::Wallet, 10 * SECOND + 1);
        stage.settle();
        assert_eq!(stage.enriched(), ["m1 first"]);
    });
}

/// The out-of-orderness is 20 s. A record that is exactly so far behind is in time. One millisecond more is late.
#[test]
fn twenty_seconds_behind_is_not_late() {
    always(|stage| {
        stage.user("u1").money("ahead", MINUTE);
        stage.put(money("u1", "in-time", 40 * SECOND).session("s1"));
        stage.put(money("u1", "late", 40 * SECOND - 1).session("s2"));
        stage.flow_to(HOUR);
        stage.counted([("pending", 1), ("asked", 1)]);
        let questions = stage.questions();
        assert!(questions[0].request.ends_with(b"/s2"), "{questions:?}");
        assert_eq!(questions.len(), 1);
        assert_eq!(stage.enriched(), ["ahead"]);
    });
}

/// Lateness depends only on the partition's own log. Another stream that is far ahead makes nothing late.
#[test]
fn another_stream_makes_nobody_late() {
    always(|stage| {
        stage.flow(Stream::Session, HOUR / 2);
        stage.flow(Stream::User, HOUR / 2);
        stage.settle();
        stage.put(money("u1", "m1", 0).session("s1"));
        stage.flow_to(HOUR / 2);
        stage.counted([("pending", 1), ("asked", 0)]);
        assert_eq!(stage.questions(), []);
    });
}

/// Timers come after all records of their time, and before all later ones.
#[test]
fn timers_and_records_are_one_order() {
    always_with(
        |setup| setup.settings(&[("pending_ttl", "10s")]),
        |stage| {
            stage.put(money("u1", "at", 0).session("s1"));
            stage.user("u1").session("s1", "DE", 10 * SECOND);
            stage.put(money("u2", "after", 0).session("s2"));
            stage.user("u2").session("s2", "DE", 10 * SECOND + 1);
            stage.flow_to(MINUTE);
            assert_eq!(stage.enriched(), ["at first session DE"]);
            assert_eq!(stage.questions().len(), 1);
        },
    );
}

/// A timer that is set for a time before now is due one millisecond later. It cuts the batch that it was set in.
#[test]
fn a_timer_cuts_the_batch() {
    always_with(
        |setup| setup.settings(&[("pending_ttl", "1ms"), ("session_ttl", "1d")]),
        |stage| {
            for number in 0..20 {
                let id = format!("m{number:02}");
                stage.put(money("u1", &id, 10 * number).session("s1"));
                // Too late for its money, because the timer came before it.
                stage.user("u1").session("s1x", "DE", 10 * number + 2);
            }
            stage.user("u1").session("s1", "SE", 1000);
            stage.flow_to(MINUTE);
            assert_eq!(stage.questions().len(), 20);
            assert_eq!(stage.enriched(), [""; 0]);
            stage.counted([("pending", 20), ("asked", 20)]);
        },
    );
}

/// A partition that is silent for `idle_after` (30 s) does not hold the others back.
#[test]
fn an_idle_partition() {
    always_with(
        |setup| setup.restless = false,
        |stage| {
            stage.flow(Stream::Session, 0);
            stage.flow(Stream::User, 0);
            stage.user("u1").money("m1", 10 * SECOND);
            for second in 0..7 {
                stage.flow(Stream::Wallet, (20 + second) * SECOND);
                stage.advance(SECONDS(4));
            }
            assert_eq!(stage.enriched(), [""; 0], "28 s of silence are none");
            for second in 7..9 {
                stage.flow(Stream::Wallet, (20 + second) * SECOND);
                stage.advance(SECONDS(4));
            }
            assert_eq!(stage.enriched(), ["m1 first"]);
            // Their watermark is that of the wallet, because of a journaled heartbeat. The wallet itself has none.
            let mut ranks: Vec<Rank> = stage.journal().into_iter().map(heartbeat).collect();
            ranks.sort();
            ranks.dedup();
            assert_eq!(ranks, [Rank(0), Rank(1)]);
        },
    );
}

fn heartbeat(entry: JournalEntry) -> Rank {
    match entry {
        JournalEntry::Heartbeat { rank, .. } => rank,
        other => panic!("no heartbeat: {other:?}"),
    }
}

/// If all are idle, time goes on by itself, so that the last events come out without waiting for new ones.
#[test]
fn all_idle() {
    always_with(
        |setup| setup.restless = false,
        |stage| {
            stage.flow(Stream::Session, 0);
            stage.flow(Stream::User, 0);
            // The wallet's watermark is 10 s behind it.
            stage.user("u1").money("m1", 30 * SECOND);
            stage.settle();
            stage.advance(SECONDS(45));
            assert_eq!(stage.enriched(), [""; 0]);
            stage.advance(SECONDS(10));
            assert_eq!(stage.enriched(), ["m1 first"]);
        },
    );
}

/// TTLs expire in silence.
#[test]
fn timers_are_due_in_silence() {
    always_with(
        |setup| setup.restless = false,
        |stage| {
            stage.put(money("u1", "m1", 0).session("s1"));
            stage.flow_to(MINUTE);
            stage.advance(SECONDS(3500));
            assert_eq!(stage.questions(), []);
            stage.advance(SECONDS(200));
            assert_eq!(stage.questions().len(), 1);
        },
    );
}

/// What comes after a heartbeat is late. Silence is a decision, and the journal keeps it.
#[test]
fn behind_a_heartbeat_is_late() {
    always_with(
        |setup| setup.restless = false,
        |stage| {
            stage.flow_to(30 * SECOND);
            stage.advance(SECONDS(29));
            assert_eq!(stage.journal(), []);
            // Then time goes on until the last record, at 50 s, has come out.
            stage.advance(SECONDS(31));
            stage.put(money("u1", "late", 50 * SECOND).session("s1"));
            stage.put(money("u1", "in-time", MINUTE).session("s2"));
            stage.flow_to(HOUR);
            assert_eq!(stage.questions().len(), 1);
            stage.counted([("pending", 1), ("asked", 1)]);
        },
    );
}

/// If nothing waits, silence moves nothing: there is nothing to release, and nothing becomes late.
#[test]
fn silence_alone_makes_nobody_late() {
    let mut stage = Setup::money(Format::Json).start();
    stage.flow_to(30 * SECOND);
    stage.advance(SECONDS(120));
    let beats = stage.journal().len();
    stage.advance(SECONDS(600));
    assert_eq!(stage.journal().len(), beats, "the last records came out after 21 s");
    stage.put(money("u1", "in-time", MINUTE).session("s1"));
    stage.flow_to(HOUR);
    stage.counted([("pending", 1), ("asked", 0)]);
    stage.check_replay();
}

/// A partition without any record becomes idle like any other. Until then it holds the others back.
#[test]
fn an_empty_partition() {
    always_with(
        |setup| setup.restless = false,
        |stage| {
            stage.user("u1").money("m1", 0);
            stage.flow(Stream::Wallet, MINUTE);
            stage.flow(Stream::Session, MINUTE);
            stage.advance(SECONDS(20));
            assert_eq!(stage.enriched(), [""; 0]);
            stage.flow(Stream::Wallet, MINUTE + 1);
            stage.flow(Stream::Session, MINUTE + 1);
            stage.advance(SECONDS(11));
            assert_eq!(stage.enriched(), ["m1 first"]);
        },
    );
}

#[test]
fn all_empty() {
    always(|stage| {
        stage.advance(SECONDS(600));
        assert_eq!((stage.enriched().len(), stage.journal()), (0, vec![]));
        assert_eq!(stage.status()[0].watermark, i64::MIN);
    });
}

/// A slow fetch is not silence.
#[test]
fn a_slow_fetch_is_no_silence() {
    let mut stage = Setup::money(Format::Avro).start();
    stage.flow_to(0);
    let slow = |fetch: FetchCall<'_>| {
        if fetch.topic == Stream::Wallet.topic() {
            0
        } else {
            usize::MAX
        }
    };
    stage.cluster.set_limits(Some(Box::new(slow)));
    stage.put(money("u1", "m1", SECOND).session("s1"));
    for minute in 1..6 {
        stage.flow(Stream::Session, minute * MINUTE);
        stage.flow(Stream::User, minute * MINUTE);
        stage.advance(SECONDS(25));
    }
    stage.cluster.set_limits(None);
    stage.flow_to(10 * MINUTE);
    stage.counted([("pending", 1), ("asked", 0)]);
    assert_eq!(stage.journal(), []);
}

/// A record with a time in the far future goes to the dead letters, and makes nothing late.
#[test]
fn the_far_future() {
    always_with(
        |setup| setup.config.inputs.iter_mut().for_each(|input| input.max_ahead = HOUR),
        |stage| {
            stage.put(money("u1", "before", SECOND).session("s1"));
            let offset = stage.user("u1").money("future", 2 * HOUR);
            stage.put(money("u1", "behind", 2 * SECOND).session("s1"));
            stage.user("u1").session("s1", "DE", 3 * SECOND);
            stage.flow_to(MINUTE);
            assert_eq!(stage.enriched(), ["before first session DE", "behind session DE"]);
            let letters = stage.dead_letters();
            assert_eq!(letters.len(), 1);
            assert!(letters[0].reason().contains("max_ahead"), "{}", letters[0].reason());
            assert_eq!(letters[0].origin(), format!("wallet-events/0/{offset}"));
            // The verdict depends on our clock, so it is journaled. What is journaled stays.
            let verdict = Verdict::TooFarAhead;
            assert_eq!(
                stage.journal(),
                [JournalEntry::Verdict {
                    rank: Rank(2),
                    offset,
                    verdict
                }]
            );
        },
    );
}

/// The verdict stays the same before and after a restart, although the clock has come to that time meanwhile.
#[test]
fn a_verdict_is_for_ever() {
    let mut setup = Setup::money(Format::Json);
    setup.config.inputs.iter_mut().for_each(|input| input.max_ahead = HOUR);
    let mut stage = setup.start();
    stage.flow_to(0);
    stage.user("u1").money("future", 2 * HOUR);
    stage.settle();
    assert_eq!(stage.dead_letters(), [], "it keeps its place, which is not final");
    stage.crash();
    stage.pass(SECONDS(3 * 3600));
    stage.start();
    stage.user("u1").money("m1", 2 * HOUR);
    stage.flow_to(2 * HOUR + 1);
    assert_eq!(stage.enriched(), ["m1 first"]);
    assert_eq!(stage.dead_letters().len(), 1);
    stage.check_replay();
}

/// If the topic has append time, the broker's clock decides forever. Nothing is journaled.
#[test]
fn the_far_future_by_append_time() {
    always_with(
        |setup| {
            setup.topics.append_time = true;
            setup.restless = false;
            setup.config.inputs.iter_mut().for_each(|input| input.max_ahead = HOUR);
        },
        |stage| {
            stage.user("u1").money("future", 2 * HOUR);
            stage.user("u1").money("m1", SECOND);
            stage.flow_to(MINUTE);
            assert_eq!(stage.enriched(), ["m1 first"]);
            assert_eq!((stage.dead_letters().len(), stage.journal()), (1, vec![]));
        },
    );
}

/// A gap of offsets (transaction markers) where the last process stopped. What comes after it is new, and is judged as
/// such.
#[test]
fn behind_a_gap_all_is_new() {
    let mut setup = Setup::money(Format::Avro);
    setup.config.inputs.iter_mut().for_each(|input| input.max_ahead = HOUR);
    let mut stage = setup.start();
    stage.flow(Stream::Wallet, 0);
    stage.flow(Stream::Session, -10 * SECOND);
    stage.flow(Stream::User, -10 * SECOND);
    let event: pelton_tests::stage::Event = money("u1", "waits", SECOND).into();
    let value = event.bytes(Format::Avro);
    let writer = stage.cluster.transaction("somebody", SECONDS(10)).expect("an id");
    let record = NewRecord {
        key: Some(b"u1"),
        value: Some(&value),
        timestamp: START,
        headers: &[],
    };
    writer
        .append(Stream::Wallet.topic(), Partition(0), record)
        .expect("a record fits");
    writer.commit().expect("it is committed");
    stage.user("u1").session("s1", "DE", -5 * SECOND);
    stage.flow(Stream::Session, 0);
    stage.flow(Stream::User, 0);
    stage.settle();
    // What was read is committed: the wallet's position is after the marker, and includes a record that is not final
    // yet.
    stage.crash();
    stage.user("u1").money("future", 2 * HOUR);
    stage.start();
    stage.flow_to(MINUTE);
    assert_eq!(stage.enriched(), ["waits first"]);
    assert_eq!(stage.dead_letters().len(), 1);
    assert_eq!(stage.journal().len(), 1);
}
