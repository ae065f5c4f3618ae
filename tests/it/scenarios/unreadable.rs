//! Unreadable input goes to the dead letters, keeps its place in the order, and costs no other input anything.

use pelton::log::embedded::NewRecord;
use pelton::record::journal::{JournalEntry, Verdict};
use pelton::record::{Offset, Partition, Rank};
use pelton::registry::{NoSchema, Schemas};
use pelton_tests::stage::{
    Event, Format, HOUR, MINUTE, SECOND, START, Setup, Stage, Stream, always, always_with, long, money,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A wallet record between two good ones. It is refused for this reason, and the others are not affected.
fn refused(stage: &mut Stage, key: Option<&[u8]>, value: Option<&[u8]>, reason: &str) {
    stage.user("u1").money("before", SECOND);
    let offset = stage.raw(Stream::Wallet, Partition(0), key, value);
    stage.user("u1").money("after", 2 * SECOND);
    stage.flow_to(MINUTE);
    assert_eq!(stage.enriched(), ["before first", "after"]);
    let letters = stage.dead_letters();
    assert_eq!(letters.len(), 1, "{reason}");
    assert_eq!((letters[0].key.as_deref(), letters[0].value.as_deref()), (key, value));
    assert!(
        letters[0].reason().contains(reason),
        "{:?} does not say {reason:?}",
        letters[0].reason()
    );
    assert_eq!(letters[0].origin(), format!("wallet-events/0/{offset}"));
    assert_eq!(letters[0].header("pelton.version"), stage.version());
}

/// The same in every way, in one format.
fn refused_in(format: Format, value: &[u8], reason: &str) {
    always(|stage| {
        if stage.format() == format {
            refused(stage, Some(b"u1"), Some(value), reason);
        }
    });
}

fn good(format: Format) -> Vec<u8> {
    Event::from(money("u1", "bad", SECOND + 500)).bytes(format)
}

#[test]
fn a_null_value() {
    always(|stage| refused(stage, Some(b"u1"), None, "no value"));
}

#[test]
fn a_null_key() {
    always(|stage| {
        let value = good(stage.format());
        refused(stage, None, Some(&value), "no key");
    });
}

#[test]
fn undecodable_avro() {
    let good = good(Format::Avro);
    for cut in [6, 20, good.len() - 1] {
        refused_in(Format::Avro, &good[..cut], "");
    }
    let mut more = good.clone();
    more.push(0);
    refused_in(Format::Avro, &more, "");
    refused_in(Format::Avro, b"", "empty");
    refused_in(Format::Avro, b"\0\0", "too short");
    refused_in(Format::Avro, b"{\"type\":\"PaymentEvent\"}", "begins with byte 123");
}

#[test]
fn an_unknown_union_branch() {
    let good = good(Format::Avro);
    for branch in [3, -1, i64::MAX] {
        let mut bad = good[..5].to_vec();
        long(&mut bad, branch);
        bad.extend(&good[6..]);
        refused_in(Format::Avro, &bad, "");
    }
}

/// The schema belongs to another topic.
#[test]
fn a_schema_that_does_not_fit() {
    let of_session = pelton_tests::stage::session("u1", "s1", "DE", SECOND + 500).bytes(Format::Avro);
    refused_in(Format::Avro, &of_session, "schema 2");
}

#[test]
fn undecodable_json() {
    let text = String::from_utf8(good(Format::Json)).expect("JSON");
    refused_in(Format::Json, b"", "");
    refused_in(Format::Json, b"\0\0\0\0\x01\x02", "");
    refused_in(Format::Json, b"[]", "");
    refused_in(Format::Json, &text.as_bytes()[..text.len() - 1], "");
    for (from, to) in [
        ("\"PaymentEvent\"", "\"RefundEvent\""),
        ("\"type\"", "\"kind\""),
        ("\"currency\":\"EUR\",", ""),
        ("\"EUR\"", "null"),
        ("\"EUR\"", "5"),
        ("\"amount\":1.0", "\"amount\":\"1.0\""),
        ("\"isOldMoneyEvent\":false", "\"isOldMoneyEvent\":0"),
        ("2020-12-16T00", "2020-13-16T00"),
        ("\"processedAt\":", "\"processedOn\":"),
    ] {
        let bad = text.replacen(from, to, 1);
        assert_ne!(bad, text, "{from}");
        refused_in(Format::Json, bad.as_bytes(), "");
    }
}

/// A decimal with more than 4 fraction digits or 18 digits is unreadable.
#[test]
fn decimals_that_are_too_long() {
    let text = String::from_utf8(good(Format::Json)).expect("JSON");
    for amount in ["1.00001", "100000000000000", "1e14", "1e-5", "-123456789012345.6"] {
        let bad = text.replacen("\"amount\":1.0", &format!("\"amount\":{amount}"), 1);
        refused_in(Format::Json, bad.as_bytes(), "amount");
    }
}

/// An unknown schema id. The registry may know it tomorrow, so the verdict is journaled.
#[test]
fn an_unknown_schema_id() {
    always(|stage| {
        if stage.format() == Format::Avro {
            let mut value = good(Format::Avro);
            value[4] = 99;
            refused(stage, Some(b"u1"), Some(&value), "99");
            let (rank, offset, verdict) = (Rank(2), Offset(1), Verdict::UnknownSchema(99));
            assert_eq!(stage.journal(), [JournalEntry::Verdict { rank, offset, verdict }]);
        }
    });
}

/// It keeps its place (the watermark of its partition) and its headers.
#[test]
fn it_comes_out_in_its_place_with_its_headers() {
    let mut stage = Setup::money(Format::Json).start();
    stage.flow_to(MINUTE);
    let append = |stage: &Stage, value: &[u8], headers: &[(&[u8], &[u8])]| {
        let record = NewRecord {
            key: Some(b"u1"),
            value: Some(value),
            timestamp: START,
            headers,
        };
        stage
            .cluster
            .append("wallet-events", Partition(0), record)
            .expect("it fits");
    };
    append(&stage, b"first", &[(b"trace", b"abc"), (b"trace", b"def")]);
    stage.flow(Stream::Wallet, 2 * MINUTE);
    append(&stage, b"second", &[]);
    stage.flow(Stream::Session, 3 * MINUTE);
    stage.flow(Stream::User, MINUTE + 1);
    stage.settle();
    let letters = stage.dead_letters();
    assert_eq!(letters.len(), 1, "the second stands at 2 minutes, which are not final");
    assert_eq!(
        (letters[0].value.as_deref(), letters[0].header("trace")),
        (Some(&b"first"[..]), "def")
    );
    stage.flow_to(3 * MINUTE);
    assert_eq!(stage.dead_letters().len(), 2);
    // The bad bytes have made nothing late.
    stage.put(money("u1", "m1", 3 * MINUTE).session("s1"));
    stage.flow_to(HOUR);
    stage.counted([("asked", 0), ("pending", 1)]);
    stage.check_replay();
}

/// A registry that is sometimes away. It also has the wallet's schema under the id 11.
struct Registry {
    schemas: Arc<dyn Schemas>,
    away: AtomicBool,
}

impl Registry {
    fn of(setup: &mut Setup) -> Arc<Registry> {
        let registry = Arc::new(Registry {
            schemas: setup.schemas.clone().expect("the folder of the examples"),
            away: AtomicBool::new(false),
        });
        setup.schemas = Some(registry.clone());
        registry
    }

    fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::Relaxed);
    }
}

impl Schemas for Registry {
    fn by_id(&self, id: u32) -> Result<Arc<str>, NoSchema> {
        match self.away.load(Ordering::Relaxed) {
            true => Err(NoSchema::Unavailable("the registry is away".to_owned())),
            false => self.schemas.by_id(if id == 11 { 1 } else { id }),
        }
    }

    fn id_for(&self, topic: &str, schema: &str) -> Result<u32, NoSchema> {
        self.schemas.id_for(topic, schema)
    }

    fn latest(&self, topic: &str) -> Result<(u32, Arc<str>), NoSchema> {
        self.schemas.latest(topic)
    }
}

/// Money with the schema id 11.
fn eleven(money: impl Into<Event>) -> Vec<u8> {
    let mut value = money.into().bytes(Format::Avro);
    value[4] = 11;
    value
}

/// A registry that is away holds the partition back, and nothing is lost.
#[test]
fn a_registry_that_is_away() {
    for crash in [false, true] {
        let mut setup = Setup::money(Format::Avro);
        let registry = Registry::of(&mut setup);
        let mut stage = setup.start();
        stage.flow_to(0);
        stage.user("u1").money("m1", SECOND);
        registry.set_away(true);
        let unknown = eleven(money("u1", "m2", 2 * SECOND));
        stage.raw(Stream::Wallet, Partition(0), Some(b"u1"), Some(&unknown));
        stage.put(money("u1", "m3", 3 * SECOND).session("s1"));
        stage.flow_to(MINUTE);
        stage.advance(Duration::from_secs(20));
        // The watermark stays before it. What came earlier does not become final by it.
        assert_eq!((stage.enriched().len(), stage.dead_letters().len()), (0, 0));
        if crash {
            // Now even the known schemas can't be looked up.
            stage.crash();
            stage.start();
            stage.advance(Duration::from_secs(20));
            assert_eq!((stage.enriched().len(), stage.dead_letters().len()), (0, 0));
        }
        registry.set_away(false);
        stage.advance(Duration::from_secs(2));
        stage.flow_to(MINUTE);
        assert_eq!(stage.enriched(), ["m1 first", "m2"]);
        assert_eq!((stage.dead_letters(), stage.journal()), (vec![], vec![]));
        assert_eq!(stage.status()[0].state.timers, 1, "nobody has become late");
        stage.check_replay();
    }
}

/// A partition that waits for the registry is not silent, although none of it can be read. So nothing becomes late.
#[test]
fn waiting_for_the_registry_is_no_silence() {
    let mut setup = Setup::money(Format::Avro);
    let registry = Registry::of(&mut setup);
    let mut stage = setup.start();
    stage.flow_to(0);
    let others = |stage: &mut Stage, at| {
        stage.flow(Stream::Session, at);
        stage.flow(Stream::User, at);
        stage.advance(Duration::from_secs(10));
    };
    for second in 1..5 {
        others(&mut stage, second * SECOND);
    }
    // The wallet is idle by now. Then money comes.
    registry.set_away(true);
    let unknown = eleven(money("u1", "m1", 10 * SECOND).session("s1"));
    stage.raw(Stream::Wallet, Partition(0), Some(b"u1"), Some(&unknown));
    for minute in 1..4 {
        others(&mut stage, minute * MINUTE);
    }
    registry.set_away(false);
    stage.advance(Duration::from_secs(2));
    stage.flow_to(10 * MINUTE);
    stage.counted([("pending", 1), ("asked", 0)]);
}

/// A verdict stays after a restart, although the registry knows the schema by then.
#[test]
fn an_unknown_schema_stays_unknown() {
    always_with(
        |setup| setup.restless = false,
        |stage| {
            if stage.format() != Format::Avro {
                return;
            }
            stage.flow_to(0);
            let mut value = good(Format::Avro);
            value[4] = 99;
            stage.raw(Stream::Wallet, Partition(0), Some(b"u1"), Some(&value));
            stage.settle();
            assert_eq!(stage.journal().len(), 1);
            stage.crash();
            stage.start();
            stage.flow_to(MINUTE);
            assert_eq!((stage.dead_letters().len(), stage.journal().len()), (1, 1));
        },
    );
}
