//! The auditor against examples that were worked out by hand: each sentence of RULES, and the cases that have gone
//! wrong elsewhere. Times are seconds; the out-of-orderness is 20 s.

use super::*;
use pelton_demo::traffic;

/// All partitions are ended by an ignored record at this time, so that everything before `END - 20` is final.
const END: Millis = 1_000_000;

struct Case {
    task: Task,
    parameters: Parameters,
}

fn time(seconds: Millis) -> String {
    let mut text = Vec::new();
    traffic::iso(&mut text, seconds * 1000);
    String::from_utf8(text).unwrap()
}

impl Case {
    fn new() -> Case {
        let parameters = Parameters {
            format: Format::Json,
            ..Parameters::default()
        };
        Case {
            task: Task {
                partitions: vec![Vec::new(); 3],
                ..Task::default()
            },
            parameters,
        }
    }

    fn add(&mut self, rank: usize, key: Option<&str>, value: Option<&str>) -> &mut Case {
        let offset = self.task.partitions[rank].len() as i64;
        let (key, value) = (key.map(|key| key.into()), value.map(|value| value.into()));
        self.task.partitions[rank].push(Record {
            offset,
            key,
            value,
            appended: None,
        });
        self
    }

    fn event(&mut self, rank: usize, user: &str, at: Millis, kind: &str, id: &str, more: &str) -> &mut Case {
        let at = time(at);
        let value = format!(r#"{{"type":"{kind}","id":"{id}","userId":"{user}","processedAt":"{at}"{more}}}"#);
        self.add(rank, Some(user), Some(&value))
    }

    fn session(&mut self, user: &str, at: Millis, id: &str, country: &str) -> &mut Case {
        let more = format!(r#","clientCountryCode":"{country}""#);
        self.event(0, user, at, "UserSessionCreatedEvent", id, &more)
    }

    fn born(&mut self, user: &str, at: Millis, year: &str) -> &mut Case {
        let more = format!(r#","birthYear":"{year}","birthCityPlace":"x""#);
        self.event(1, user, at, "ChangeBirthDateEvent", "c", &more)
    }

    fn lives(&mut self, user: &str, at: Millis, country: &str) -> &mut Case {
        let more = format!(r#","address":"x","residentCountryCode":"{country}","postalCode":"x""#);
        self.event(1, user, at, "ChangeAddressEvent", "c", &more)
    }

    fn money_of(
        &mut self,
        user: &str,
        at: Millis,
        id: &str,
        session: Option<&str>,
        kind: &str,
        old: bool,
    ) -> &mut Case {
        let session = session.map_or("null".to_owned(), |session| format!("\"{session}\""));
        let more = format!(
            r#","userSessionId":{session},"amount":12.50,"currency":"EUR","openingBalance":0,"closingBalance":1e2,
            "moneyType":"{kind}","paymentRelatedThing":"x","isOldMoneyEvent":{old},"unknown":[1]"#
        );
        self.event(2, user, at, "PaymentEvent", id, &more)
    }

    fn money(&mut self, at: Millis, id: &str, session: Option<&str>) -> &mut Case {
        self.money_of("u", at, id, session, "bet", false)
    }

    fn end(&mut self) -> &mut Case {
        self.event(0, "u", END, "UserSessionClosedEvent", "e", r#","reason":"x""#);
        self.event(1, "u", END, "OtherUserEvent", "e", r#","somethingUtil":"x""#);
        self.event(2, "u", END, "KindOfWalletEvent", "e", r#","somethingInteresting":"x""#)
    }

    /// The step of a wallet record.
    fn step(at: Millis, offset: i64) -> StepKey {
        StepKey {
            time: at * 1000,
            what: StepWhat::Record { rank: 2, offset },
        }
    }

    fn reply(&mut self, anchor: StepKey, asked_by: StepKey, answer: Answer) -> &mut Case {
        self.task.replies.push(Reply {
            anchor,
            asked_by,
            answer,
            deploy: 1,
        });
        self
    }

    fn audit(&self) -> Expected {
        audit(&self.task, &self.parameters)
    }

    /// (money id, country of the session, second of the step) of the outputs.
    fn outputs(&self) -> Vec<(String, Option<String>, Millis)> {
        let outputs = self.audit().outputs.into_iter();
        outputs
            .map(|o| (o.value.money.id, o.value.session_country, o.timestamp / 1000))
            .collect()
    }
}

fn out(id: &str, country: Option<&str>, at: Millis) -> (String, Option<String>, Millis) {
    (id.to_owned(), country.map(str::to_owned), at)
}

fn ca() -> Answer {
    Answer::Body(br#"{"clientCountryCode":"CA"}"#.to_vec())
}

#[test]
fn inputs_money_is_enriched_and_the_ignored_kinds_are_counted() {
    let mut case = Case::new();
    case.money(100, "a", None).end();
    let expected = case.audit();
    // The closing records are beyond the watermark.
    assert_eq!(
        (expected.outputs.len(), expected.waiting.len(), expected.watermark),
        (1, 3, (END - 20) * 1000)
    );
    let output = &expected.outputs[0];
    assert_eq!(
        (&output.key[..], output.timestamp, output.looked_up),
        (&b"u"[..], 100_000, false)
    );
    let money = &output.value.money;
    assert_eq!((money.amount, money.balance, money.time), (125_000, 1_000_000, 100_000));
    assert_eq!((&money.currency[..], &money.kind[..], money.old), ("EUR", "bet", false));
    case.event(
        2,
        "u",
        END + 100,
        "KindOfWalletEvent",
        "e",
        r#","somethingInteresting":"x""#,
    );
    case.event(0, "u", END + 100, "UserSessionClosedEvent", "e", r#","reason":"x""#);
    case.event(1, "u", END + 100, "OtherUserEvent", "e", r#","somethingUtil":"x""#);
    assert_eq!(case.audit().counters.ignored, 3);
}

#[test]
fn dedup_each_sighting_starts_the_time_again() {
    let mut case = Case::new();
    for at in [100, 159, 218, 278] {
        case.money(at, "a", None);
    }
    case.money_of("v", 279, "a", None, "bet", false).end();
    let expected = case.audit();
    // 218 + 60 is not less than 60 before 278; another user's id is another id.
    assert_eq!(
        case.outputs(),
        [out("a", None, 100), out("a", None, 278), out("a", None, 279)]
    );
    assert_eq!(expected.counters.duplicates, 2);
    assert_eq!(expected.users[&b"u"[..]].seen["a"], 338_000);
    assert!(expected.users[&b"u"[..]].alive(337_999).seen.contains_key("a"));
    assert!(!expected.users[&b"u"[..]].alive(338_000).seen.contains_key("a"));
}

#[test]
fn first_occurrence_is_by_user_and_type_decided_at_the_money_and_kept_for_ever() {
    let mut case = Case::new();
    case.money(100, "a", Some("s"))
        .money(101, "b", None)
        .money(102, "a", None);
    case.money_of("u", 103, "c", None, "win", false)
        .money_of("v", 104, "d", None, "bet", false);
    case.money(900_000, "e", None).session("u", 110, "s", "CA").end();
    let firsts: Vec<_> = case
        .audit()
        .outputs
        .into_iter()
        .map(|o| (o.value.money.id, o.value.first))
        .collect();
    let expected = [("b", false), ("c", true), ("d", true), ("a", true), ("e", false)];
    assert_eq!(firsts, expected.map(|(id, first)| (id.to_owned(), first)));
}

#[test]
fn user_is_the_merge_of_the_changes_up_to_the_money() {
    let mut case = Case::new();
    case.money(100, "a", None)
        .born("u", 101, "1980")
        .money(101, "b", None)
        .lives("u", 102, "DE");
    case.money(102, "c", Some("s"))
        .born("u", 103, "1990")
        .session("u", 104, "s", "CA")
        .money(104, "d", None)
        .end();
    let info = |year: &str, country: Option<&str>| {
        Some(UserInfo {
            birth_year: Some(year.to_owned()),
            country: country.map(str::to_owned),
            changes: None,
        })
    };
    let users: Vec<_> = case
        .audit()
        .outputs
        .into_iter()
        .map(|o| (o.value.money.id, o.value.user))
        .collect();
    let expected = [
        ("a", None),
        ("b", info("1980", None)),
        ("c", info("1980", Some("DE"))),
        ("d", info("1990", Some("DE"))),
    ];
    assert_eq!(users, expected.map(|(id, user)| (id.to_owned(), user)));
}

#[test]
fn session_known_at_once_until_its_ttl() {
    let mut case = Case::new();
    case.session("u", 100, "s", "CA")
        .money(100, "a", Some("s"))
        .money(86_499, "b", Some("s"));
    case.money(86_500, "c", Some("s"))
        .money_of("v", 200, "d", Some("s"), "bet", false)
        .end();
    // Of another user it is another session; "d" comes late, and asks.
    assert_eq!(
        case.outputs(),
        [out("a", Some("CA"), 100), out("b", Some("CA"), 86_499)]
    );
    let expected = case.audit();
    let users = &expected.users;
    assert_eq!((users[&b"u"[..]].asked.len(), users[&b"v"[..]].asked.len()), (1, 1));
    let asked = users[&b"u"[..]].asked.keys().next().unwrap();
    assert_eq!(asked.time, (86_500 + 3_600) * 1000, "after an hour of waiting");
}

#[test]
fn money_without_session_leaves_at_once_also_late_or_old() {
    let mut case = Case::new();
    case.money(100, "a", None)
        .money(50, "b", None)
        .money_of("u", 101, "c", None, "bet", true)
        .end();
    // "b" is late: it stands at the partition's watermark.
    assert_eq!(
        case.outputs(),
        [out("b", None, 80), out("a", None, 100), out("c", None, 101)]
    );
}

#[test]
fn late_and_old_money_is_asked_and_holds_nothing_back() {
    let mut case = Case::new();
    case.session("u", 90, "s", "CA")
        .money(100, "a", Some("s"))
        .money(79, "b", Some("s"));
    case.money_of("u", 101, "c", Some("s"), "bet", true)
        .money(102, "d", Some("s"))
        .end();
    assert_eq!(case.outputs(), [out("a", Some("CA"), 100), out("d", Some("CA"), 102)]);
    let (late, old, anchor) = (Case::step(80, 1), Case::step(101, 2), Case::step(102, 3));
    assert_eq!(
        case.audit().users[&b"u"[..]].asked.keys().collect::<Vec<_>>(),
        [&late, &old]
    );
    // A reply comes right behind its anchor; one that nobody waits for is dropped.
    case.reply(anchor.clone(), old.clone(), Answer::Absent)
        .reply(anchor.clone(), late.clone(), ca());
    case.reply(anchor.clone(), late.clone(), ca());
    assert_eq!(case.outputs()[2..], [out("c", None, 102), out("b", Some("CA"), 102)]);
    let expected = case.audit();
    assert!(expected.outputs[2].looked_up && !expected.outputs[1].looked_up);
    assert_eq!(expected.counters.sessions_unanswered, 0);
}

#[test]
fn no_answer_and_an_unreadable_one_are_counted() {
    let mut case = Case::new();
    case.money_of("u", 100, "a", Some("s"), "bet", true)
        .money_of("u", 101, "b", Some("s"), "bet", true)
        .end();
    let (a, b) = (Case::step(100, 0), Case::step(101, 1));
    case.reply(b.clone(), a, Answer::Unavailable)
        .reply(b.clone(), b, Answer::Body(b"{}".to_vec()));
    assert_eq!(case.outputs(), [out("a", None, 101), out("b", None, 101)]);
    assert_eq!(case.audit().counters.sessions_unanswered, 2);
}

#[test]
fn a_session_releases_all_that_wait_in_their_order() {
    let mut case = Case::new();
    case.money(102, "a", Some("s"))
        .money(101, "b", Some("s"))
        .money(102, "c", Some("t"));
    case.session("u", 110, "s", "CA").end();
    assert_eq!(case.outputs(), [out("b", Some("CA"), 110), out("a", Some("CA"), 110)]);
    let expected = case.audit();
    assert_eq!(
        expected.users[&b"u"[..]].asked.len(),
        1,
        "the other one has waited for an hour"
    );
    case.parameters.pending_ttl = Millis::MAX;
    assert_eq!(case.audit().users[&b"u"[..]].pending.len(), 1);
}

#[test]
fn pending_money_is_asked_after_its_ttl_and_a_session_at_that_time_comes_first() {
    for (session, known) in [(3_700, true), (3_701, false)] {
        let mut case = Case::new();
        case.money(100, "a", Some("s")).session("u", session, "s", "CA").end();
        let timer = StepKey {
            time: 3_700_000,
            what: StepWhat::SessionMissing {
                key: b"u".to_vec(),
                session: "s".to_owned(),
                place: Place {
                    time: 100_000,
                    rank: 2,
                    offset: 0,
                },
            },
        };
        case.reply(timer.clone(), timer.clone(), Answer::Absent);
        let country = known.then_some("CA");
        assert_eq!(
            case.outputs(),
            [out("a", country, 3_700)],
            "records come before timers of the same time"
        );
        assert_eq!(case.audit().steps.contains(&timer), !known);
    }
}

#[test]
fn the_same_millisecond_twice_gives_two_outputs_in_offset_order() {
    let mut case = Case::new();
    case.money(100, "b", None).money(100, "a", None).end();
    assert_eq!(case.outputs(), [out("b", None, 100), out("a", None, 100)]);
}

#[test]
fn money_without_session_of_many_users_is_spread_over_their_keys() {
    let mut case = Case::new();
    for user in 0..50 {
        case.money_of(&format!("user {user}"), 100 + user, "same id", None, "bet", false);
    }
    let expected = case.end().audit();
    assert_eq!(
        (
            expected.outputs.len(),
            expected.counters.duplicates,
            expected.users.len()
        ),
        (50, 0, 50)
    );
    assert!(expected.outputs.iter().all(|output| output.value.first));
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
fn a_duplicate_and_a_timer_close_together_keep_their_order() {
    let mut case = Case::new();
    case.parameters.pending_ttl = 30_000;
    case.money(100, "a", Some("s"))
        .money(130, "a", Some("s"))
        .money(131, "a", Some("s"))
        .end();
    let expected = case.audit();
    assert_eq!(
        (expected.counters.duplicates, expected.users[&b"u"[..]].asked.len()),
        (2, 1)
    );
    let times: Vec<_> = expected.steps.iter().map(|step| step.time / 1000).collect();
    assert_eq!(times, [100, 130, 130, 131]);
    assert!(matches!(expected.steps[2].what, StepWhat::SessionMissing { .. }));
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
    // What comes behind a heartbeat is late if it is below it.
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
    // All idle: heartbeats for every partition.
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

/// The generator's two formats say the same, and the plain model agrees with what the generator meant.
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
