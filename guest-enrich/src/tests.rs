//! Tests of what the pipeline promises. The kit runs each scenario with its inputs cut in three ways.

mod sessions;

use crate::Enrich;
use crate::schema::*;
use pelton_sdk::NoAnswer;
use pelton_sdk::avro::{Decimal, decode_all};
use pelton_sdk::testkit::{Input, Kit, Sent, datum};

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const USER: &str = "user";

fn kit() -> Kit<Enrich> {
    let mut kit = Kit::new("{}");
    kit.service::<SessionRequest<'static>>("session", 5, |request| match request.user_session_id {
        "none" => Err(NoAnswer::Absent),
        "broken" => Err(NoAnswer::Unreadable),
        "down" => Err(NoAnswer::Unavailable),
        id => Ok(datum::<SessionInfo<'static>>(&SessionInfo {
            client_country_code: &id[..1],
        })),
    });
    kit
}

fn payment<'p>(id: &'p str, session: Option<&'p str>, money_type: &'p str) -> PaymentEvent<'p> {
    PaymentEvent {
        id,
        user_id: USER,
        user_session_id: session,
        processed_at: 7,
        amount: Decimal::new(12_5000).unwrap(),
        currency: "EUR",
        opening_balance: Decimal::new(1).unwrap(),
        closing_balance: Decimal::new(-5).unwrap(),
        money_type,
        payment_related_thing: "p",
        is_old_money_event: false,
    }
}

fn pay(kit: &mut Kit<Enrich>, time: i64, id: &str, session: Option<&str>) {
    kit.event::<WalletEvent<'static>>("wallet", USER, time, &WalletEvent::Payment(payment(id, session, "bet")));
}

fn session(kit: &mut Kit<Enrich>, time: i64, id: &str, country: &str) {
    let created = UserSessionCreatedEvent {
        id,
        user_id: USER,
        processed_at: time,
        client_country_code: country,
    };
    kit.event::<UserSessionEvent<'static>>("session", USER, time, &UserSessionEvent::Created(created));
}

fn born(kit: &mut Kit<Enrich>, time: i64, year: &str) {
    let change = ChangeBirthDateEvent {
        id: "b",
        user_id: USER,
        processed_at: time,
        birth_year: year,
        birth_city_place: "c",
    };
    kit.event::<UserEvent<'static>>("user", USER, time, &UserEvent::ChangeBirthDate(change));
}

fn moved(kit: &mut Kit<Enrich>, time: i64, country: &str) {
    let change = ChangeAddressEvent {
        id: "m",
        user_id: USER,
        processed_at: time,
        address: "a",
        resident_country_code: country,
        postal_code: "p",
    };
    kit.event::<UserEvent<'static>>("user", USER, time, &UserEvent::ChangeAddress(change));
}

/// Time, id, country of the session, birth year and country of the user, first of its type.
type Out = (
    i64,
    String,
    Option<String>,
    Option<(Option<String>, Option<String>)>,
    bool,
);

fn outs(kit: &mut Kit<Enrich>, to: i64) -> Vec<Out> {
    kit.run_to(to);
    let sent = kit.sent("enriched", |value| {
        let value = decode_all::<MoneyEnriched<'static>>(value).unwrap();
        let user = value.user_info.map(|user| {
            (
                user.birth_year.map(str::to_owned),
                user.resident_country_code.map(str::to_owned),
            )
        });
        let session = value.session_info.map(|session| session.client_country_code.to_owned());
        (value.money.id.to_owned(), session, user, value.first_occurrence)
    });
    let out = |sent: Sent<_>| {
        assert_eq!((&sent.key[..], sent.headers), (USER.as_bytes(), vec![]));
        let (id, session, user, first) = sent.value.unwrap();
        (sent.time, id, session, user, first)
    };
    sent.into_iter().map(out).collect()
}

#[test]
fn payments_and_transactions_are_money_as_they_came() {
    let mut kit = kit();
    let paid = payment("1", None, "bet");
    kit.event::<WalletEvent<'static>>("wallet", USER, 1, &WalletEvent::Payment(paid));
    let transaction = TransactionEvent {
        id: "2",
        user_id: USER,
        user_session_id: None,
        processed_at: 8,
        amount: Decimal::new(-1).unwrap(),
        currency: "CAD",
        opening_balance: Decimal::new(2).unwrap(),
        closing_balance: Decimal::new(3).unwrap(),
        money_type: "win",
        transaction_related_thing: "t",
        is_old_money_event: true,
    };
    kit.event::<WalletEvent<'static>>("wallet", USER, 2, &WalletEvent::Transaction(transaction));
    kit.run_to(10);
    let sent = kit.sent("enriched", <[u8]>::to_vec);
    let money = [
        Money {
            id: "1",
            user_id: USER,
            user_session_id: None,
            processed_at: 7,
            amount: paid.amount,
            currency: "EUR",
            closing_balance: paid.closing_balance,
            money_type: "bet",
            is_old_money_event: false,
        },
        Money {
            id: "2",
            user_id: USER,
            user_session_id: None,
            processed_at: 8,
            amount: transaction.amount,
            currency: "CAD",
            closing_balance: transaction.closing_balance,
            money_type: "win",
            is_old_money_event: true,
        },
    ];
    for (sent, money) in sent.iter().zip(money) {
        let enriched = MoneyEnriched {
            money,
            user_info: None,
            session_info: None,
            first_occurrence: true,
        };
        assert_eq!(
            sent.value.as_deref(),
            Some(&datum::<MoneyEnriched<'static>>(&enriched)[..])
        );
    }
    assert_eq!(sent.len(), 2);
}

#[test]
fn other_events_are_ignored_and_counted() {
    let mut kit = kit();
    let kind = KindOfWalletEvent {
        id: "k",
        user_id: USER,
        processed_at: 1,
        something_interesting: "x",
    };
    let other = OtherUserEvent {
        id: "o",
        user_id: USER,
        processed_at: 1,
        something_util: "x",
    };
    let closed = UserSessionClosedEvent {
        id: "s",
        user_id: USER,
        processed_at: 1,
        reason: "x",
    };
    kit.event::<WalletEvent<'static>>("wallet", USER, 1, &WalletEvent::KindOfWallet(kind));
    kit.event::<UserEvent<'static>>("user", USER, 1, &UserEvent::OtherUser(other));
    kit.event::<UserSessionEvent<'static>>("session", USER, 1, &UserSessionEvent::Closed(closed));
    assert_eq!(outs(&mut kit, 10), []);
    assert_eq!(kit.count("ignored"), 3);
    assert_eq!(
        ["seen", "types", "user", "sessions", "pending", "asked"].map(|store| kit.entries(store, 10)),
        [0; 6]
    );
}

#[test]
fn a_duplicate_is_dropped_and_starts_the_time_again() {
    let mut kit = kit();
    for time in [0, MINUTE - 1, 2 * MINUTE - 2, 3 * MINUTE - 2] {
        pay(&mut kit, time, "1", None);
    }
    pay(&mut kit, 5, "2", None);
    let ids: Vec<_> = outs(&mut kit, HOUR).into_iter().map(|out| (out.0, out.1)).collect();
    assert_eq!(ids, [(0, "1".into()), (5, "2".into()), (3 * MINUTE - 2, "1".into())]);
    assert_eq!(kit.count("duplicates"), 2);
}

#[test]
fn an_id_is_a_duplicate_for_its_own_user_only() {
    let mut kit = kit();
    let event = WalletEvent::Payment(payment("1", None, "bet"));
    kit.event::<WalletEvent<'static>>("wallet", "a", 1, &event);
    kit.event::<WalletEvent<'static>>("wallet", "b", 1, &event);
    kit.run_to(10);
    assert_eq!(kit.sent("enriched", |_| ()).len(), 2);
    assert_eq!(kit.count("duplicates"), 0);
}

#[test]
fn the_first_of_its_type_is_told_and_kept_for_ever() {
    let mut kit = kit();
    let mut pay = |time, id, kind| {
        let event = WalletEvent::Payment(payment(id, Some("x"), kind));
        kit.event::<WalletEvent<'static>>("wallet", USER, time, &event);
    };
    pay(1, "1", "bet");
    pay(1, "1", "win"); // a duplicate is the first of nothing
    pay(2, "2", "bet");
    pay(3, "3", "win");
    pay(2000 * DAY, "4", "bet");
    let firsts: Vec<_> = outs(&mut kit, 3000 * DAY)
        .into_iter()
        .map(|out| (out.1, out.4))
        .collect();
    // It is decided at the event, although the output comes an hour later.
    assert_eq!(
        firsts,
        [
            ("1".into(), true),
            ("2".into(), false),
            ("3".into(), true),
            ("4".into(), false)
        ]
    );
}

#[test]
fn the_user_is_the_merge_of_the_changes_up_to_the_money() {
    let mut kit = kit();
    pay(&mut kit, 1, "1", None);
    pay(&mut kit, 2, "2", None);
    born(&mut kit, 2, "1980"); // at the same time: before the money
    pay(&mut kit, 3, "3", Some("late"));
    moved(&mut kit, 4, "CA");
    pay(&mut kit, 5, "4", None);
    born(&mut kit, 6, "1990");
    pay(&mut kit, 7, "5", None);
    session(&mut kit, 8, "late", "DE"); // releases 3 as it was at 3
    let users: Vec<_> = outs(&mut kit, 10).into_iter().map(|out| (out.1, out.3)).collect();
    let info = |year: &str, country: Option<&str>| Some((Some(year.to_owned()), country.map(str::to_owned)));
    assert_eq!(
        users,
        [
            ("1".into(), None),
            ("2".into(), info("1980", None)),
            ("4".into(), info("1980", Some("CA"))),
            ("5".into(), info("1990", Some("CA"))),
            ("3".into(), info("1980", None)),
        ]
    );
}

#[test]
fn what_cannot_be_read_is_rejected_and_what_is_expected_is_prefetched() {
    let mut kit = kit();
    kit.input(Input {
        stream: "wallet".into(),
        key: USER.into(),
        time: 1,
        late: false,
        value: Some(vec![6]),
        headers: vec![],
    });
    kit.input(Input {
        stream: "user".into(),
        key: USER.into(),
        time: 2,
        late: false,
        value: None,
        headers: vec![],
    });
    born(&mut kit, 3, "1980");
    session(&mut kit, 4, "x", "DE");
    pay(&mut kit, 5, "1", Some("x"));
    pay(&mut kit, 6, "2", Some("y"));
    session(&mut kit, 7, "y", "DE");
    pay(&mut kit, 8, "3", Some("z"));
    assert_eq!(outs(&mut kit, DAY).len(), 3);
    assert_eq!(kit.rejected().len(), 2);
    assert_eq!(kit.misses(), 0);
}

#[test]
fn the_settings_count() {
    let mut kit = Kit::<Enrich>::new(r#"{"dedup_ttl": "10s", "session_ttl": "20s", "pending_ttl": "30s"}"#);
    session(&mut kit, 0, "x", "DE");
    pay(&mut kit, 0, "1", None);
    pay(&mut kit, 10 * SECOND, "1", None);
    pay(&mut kit, 20 * SECOND, "2", Some("x"));
    assert_eq!(outs(&mut kit, 50 * SECOND - 1).len(), 2);
    assert_eq!(outs(&mut kit, 50 * SECOND).len(), 1); // no service: unavailable at once
    assert_eq!(kit.count("sessions_unanswered"), 1);
}

/// The settings show in outputs, but not in the state.
#[test]
fn a_label_stands_in_front_of_the_money_types() {
    let mut kit = Kit::<Enrich>::new(r#"{"label": "v2-"}"#);
    pay(&mut kit, 0, "1", None);
    pay(&mut kit, 0, "2", None);
    kit.run_to(SECOND);
    let kinds = kit.sent("enriched", |value| {
        let value = decode_all::<MoneyEnriched<'static>>(value).unwrap();
        (value.money.money_type.to_owned(), value.first_occurrence)
    });
    let kinds: Vec<_> = kinds.into_iter().map(|sent| sent.value.unwrap()).collect();
    assert!(kinds.iter().all(|(kind, _)| kind.starts_with("v2-")), "{kinds:?}");
    assert_eq!(kinds.iter().filter(|(_, first)| *first).count(), 1);
}
