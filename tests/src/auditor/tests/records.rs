//! Records: their order, their times, and the unreadable ones.

use super::*;

#[test]
fn the_same_millisecond_twice_gives_two_outputs_in_offset_order() {
    let mut case = Case::new();
    case.money(100, "b", None).money(100, "a", None).end();
    assert_eq!(case.outputs(), [out("b", None, 100), out("a", None, 100)]);
}

#[test]
fn disorder_within_twenty_seconds_is_not_late() {
    let mut case = Case::new();
    case.money(120, "a", Some("s"))
        .money(100, "b", Some("s"))
        .money(99, "c", Some("s"));
    case.session("u", 100, "s", "CA").end();
    // "c" is a second too late.
    assert_eq!(case.outputs(), [out("b", Some("CA"), 100), out("a", Some("CA"), 120)]);
    assert_eq!(
        case.audit().users[&b"u"[..]].asked.keys().next(),
        Some(&Case::step(100, 2))
    );
}

#[test]
fn an_idle_or_empty_partition_holds_all_back_until_its_heartbeat() {
    let mut case = Case::new();
    case.money(100, "a", None).money(200, "b", None);
    assert_eq!(case.audit().watermark, NEVER);
    assert!(case.outputs().is_empty());
    for rank in [0, 1] {
        case.task.heartbeats.push(Heartbeat {
            rank,
            next: 0,
            time: 180_000,
        });
    }
    assert_eq!(case.outputs(), [out("a", None, 100)]);
    // What comes after a heartbeat is late if its time is lower.
    case.session("u", 150, "s", "CA");
    let expected = case.audit();
    assert_eq!(
        expected.waiting,
        [
            Place {
                time: 180_000,
                rank: 0,
                offset: 0
            },
            Place {
                time: 200_000,
                rank: 2,
                offset: 1
            }
        ]
    );
    // All partitions are idle, so each one has a heartbeat.
    for (rank, next) in [(0, 1), (1, 0), (2, 2)] {
        case.task.heartbeats.push(Heartbeat {
            rank,
            next,
            time: 300_000,
        });
    }
    assert_eq!(case.outputs(), [out("a", None, 100), out("b", None, 200)]);
    assert_eq!(
        case.audit().users[&b"u"[..]].sessions["s"].1,
        86_580_000,
        "from its effective time"
    );
}

#[test]
fn what_can_not_be_read_keeps_its_place_and_moves_nothing() {
    let mut case = Case::new();
    case.money(100, "a", None)
        .add(2, Some("u"), Some("{"))
        .add(2, None, Some("{}"))
        .add(2, Some("u"), None);
    case.event(2, "u", 100, "NewEvent", "x", "");
    case.money(999_999, "far", None).task.too_far_ahead.push((2, 5));
    case.money(101, "b", None).add(0, Some("u"), Some("{")).end();
    let expected = case.audit();
    let letter = |time, rank, offset, refusal| DeadLetter {
        place: Place { time, rank, offset },
        refusal,
    };
    assert_eq!(
        expected.dead_letters,
        [
            letter(NEVER, 0, 0, Refusal::Undecodable),
            letter(80_000, 2, 1, Refusal::Undecodable),
            letter(80_000, 2, 2, Refusal::NoKey),
            letter(80_000, 2, 3, Refusal::NoValue),
            letter(80_000, 2, 5, Refusal::TooFarAhead),
            letter(100_000, 2, 4, Refusal::Undecodable),
        ]
    );
    assert_eq!(
        case.outputs(),
        [out("a", None, 100), out("b", None, 101)],
        "nothing became late"
    );
}

#[test]
fn append_time_decides_what_is_too_far_ahead() {
    let mut case = Case::new();
    case.money(100, "a", None).money(161, "b", None).end();
    case.parameters.max_ahead[2] = 60_000;
    case.task.partitions[2][0].appended = Some(40_000);
    case.task.partitions[2][1].appended = Some(100_999);
    assert_eq!(case.outputs(), [out("a", None, 100)]);
    assert_eq!(case.audit().dead_letters[0].refusal, Refusal::TooFarAhead);
}

#[test]
fn decimals_are_read_from_their_text_within_four_fraction_and_eighteen_digits() {
    let amounts = [
        ("-0.0001", Some(-1)),
        ("1.5e3", Some(15_000_000)),
        ("12345678901234.5678", Some(123_456_789_012_345_678)),
        ("0.00001", None),
        ("1e14", None),
        ("99999999999999.9999", Some(999_999_999_999_999_999)),
        ("\"1\"", None),
    ];
    for (text, expected) in amounts {
        let value = format!(
            r#"{{"type":"TransactionEvent","id":"i","userId":"u","processedAt":"2020-12-16T01:03:00.5+01:00","amount":{text},
            "currency":"","openingBalance":0,"closingBalance":0,"moneyType":"","transactionRelatedThing":"",
            "isOldMoneyEvent":true}}"#
        );
        let read = read(Format::Json, 2, value.as_bytes());
        let money = read.map(|event| match event {
            Event::Money(money) => (money.amount, money.time),
            other => panic!("{other:?}"),
        });
        assert_eq!(money, expected.map(|amount| (amount, 1_608_076_980_500)), "{text}");
    }
}

/// The two formats of the generator have the same content, and the auditor agrees with what the generator intended.
#[test]
fn generated_traffic_is_read_alike_in_both_formats_and_adds_up() {
    let parameters = |format| traffic::Parameters {
        format,
        money: 3_000,
        users: 50,
        partitions: 1,
        span: 600_000,
        late: 0.0,
        duplicates_after_ttl: 0.0,
        closing: Some(7_200_000),
        ..traffic::Parameters::varied()
    };
    let formats = [
        (traffic::Format::Avro, Format::Avro),
        (traffic::Format::Json, Format::Json),
    ];
    let [(avro, made), (json, _)] = formats.map(|(generated, format)| {
        let mut traffic = traffic::Traffic::new(parameters(generated));
        let mut task = Task {
            partitions: vec![Vec::new(); 3],
            ..Task::default()
        };
        while let Some(item) = traffic.next() {
            let partition = &mut task.partitions[item.stream as usize];
            let (key, value) = (Some(item.key.to_vec()), Some(item.value.to_vec()));
            partition.push(Record {
                offset: partition.len() as i64,
                key,
                value,
                appended: None,
            });
        }
        let parameters = Parameters {
            format,
            ..Parameters::default()
        };
        (audit_with(&task, &parameters, |_| Some(Answer::Absent)), traffic.made())
    });
    assert_eq!(avro.outputs, json.outputs);
    assert_eq!((&avro.users, avro.counters), (&json.users, json.counters));
    assert!(avro.dead_letters.is_empty());
    assert_eq!(
        (avro.outputs.len() as u64, avro.counters.duplicates),
        (made.money, made.duplicates)
    );
    assert_eq!(
        (avro.counters.sessions, avro.counters.user_changes),
        (made.sessions, made.user_changes)
    );
    assert_eq!(avro.counters.ignored + avro.waiting.len() as u64, made.ignored);
    let known = avro
        .outputs
        .iter()
        .filter(|output| output.value.session_country.is_some())
        .count();
    let asked = avro.outputs.iter().filter(|output| output.looked_up).count();
    assert!(known > 2_800 && asked > 10, "{known} {asked}");
}
