//! Tests the auditor with examples that were worked out by hand: each of the rules, and cases that have gone wrong
//! elsewhere. Times are seconds, and the out-of-orderness is 20 s.

mod records;
mod sessions;

use super::*;
use pelton_demo::traffic;

/// An ignored record at this time closes every partition, so that everything before `END - 20` is final.
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

    /// The outputs: (money id, country of the session, second of the step).
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
    // The closing records are after the watermark.
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
    // 218 + 60 is not less than 60 before 278. The same id of another user is a different id.
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
