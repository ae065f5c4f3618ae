//! Tests which session an output names: a known one, one that comes later, or one that the service knows.

use super::*;

/// The time, the id, and the session's country.
fn sessions(kit: &mut Kit<Enrich>, to: i64) -> Vec<(i64, String, Option<String>)> {
    outs(kit, to).into_iter().map(|out| (out.0, out.1, out.2)).collect()
}

fn joined(time: i64, id: &str, country: Option<&str>) -> (i64, String, Option<String>) {
    (time, id.into(), country.map(str::to_owned))
}

#[test]
fn money_without_a_session_goes_at_once_also_late_or_old() {
    let mut kit = kit();
    let mut old = payment("1", None, "bet");
    old.is_old_money_event = true;
    kit.event::<WalletEvent<'static>>("wallet", USER, 1, &WalletEvent::Payment(old));
    kit.late::<WalletEvent<'static>>("wallet", USER, 2, &WalletEvent::Payment(payment("2", None, "bet")));
    assert_eq!(sessions(&mut kit, 10), [joined(1, "1", None), joined(2, "2", None)]);
    assert_eq!(kit.count("asked"), 0);
}

#[test]
fn late_and_old_money_asks_the_service_also_when_the_session_is_known() {
    let mut kit = kit();
    session(&mut kit, 1, "x", "DE");
    let mut old = payment("1", Some("x"), "bet");
    old.is_old_money_event = true;
    kit.event::<WalletEvent<'static>>("wallet", USER, 2, &WalletEvent::Payment(old));
    kit.late::<WalletEvent<'static>>("wallet", USER, 3, &WalletEvent::Payment(payment("2", Some("x"), "bet")));
    pay(&mut kit, 4, "3", Some("x")); // is not held back
    assert_eq!(
        sessions(&mut kit, 20),
        [
            joined(4, "3", Some("DE")),
            joined(7, "1", Some("x")),
            joined(8, "2", Some("x"))
        ]
    );
    assert_eq!(
        (kit.count("asked"), kit.count("pending"), kit.entries("asked", 20)),
        (2, 0, 0)
    );
}

#[test]
fn no_session_is_null_and_no_answer_is_counted() {
    let mut kit = kit();
    for (time, id) in [(1, "none"), (2, "broken"), (3, "down")] {
        kit.late::<WalletEvent<'static>>(
            "wallet",
            USER,
            time,
            &WalletEvent::Payment(payment(id, Some(id), "bet")),
        );
    }
    assert_eq!(
        sessions(&mut kit, 20),
        [
            joined(6, "none", None),
            joined(7, "broken", None),
            joined(8, "down", None)
        ]
    );
    assert_eq!(kit.count("sessions_unanswered"), 2);
}

#[test]
fn a_session_is_known_for_a_day() {
    let mut kit = kit();
    session(&mut kit, 0, "x", "DE");
    pay(&mut kit, 0, "1", Some("x"));
    pay(&mut kit, DAY - 1, "2", Some("x"));
    pay(&mut kit, DAY, "3", Some("x"));
    let expected = [
        joined(0, "1", Some("DE")),
        joined(DAY - 1, "2", Some("DE")),
        joined(DAY + HOUR + 5, "3", Some("x")),
    ];
    assert_eq!(sessions(&mut kit, 2 * DAY), expected);
    assert_eq!(kit.entries("sessions", DAY), 0);
}

#[test]
fn a_session_releases_what_waits_for_it_in_order() {
    let mut kit = kit();
    for (time, id, wants) in [
        (1, "1", "x"),
        (1, "2", "x"),
        (2, "3", "y"),
        (3, "4", "x"),
        (3, "5", "x\0"),
    ] {
        pay(&mut kit, time, id, Some(wants));
    }
    assert_eq!(sessions(&mut kit, 4), []);
    assert_eq!((kit.count("pending"), kit.timers()), (5, 5));
    session(&mut kit, HOUR, "x", "DE"); // at the last moment of the first ones: records come before timers
    let released = ["1", "2", "4"].map(|id| joined(HOUR, id, Some("DE")));
    assert_eq!(sessions(&mut kit, HOUR + 1), released);
    assert_eq!((kit.entries("pending", HOUR + 1), kit.timers()), (2, 2));
    assert_eq!(kit.count("asked"), 0);
}

#[test]
fn after_an_hour_the_service_is_asked() {
    let mut kit = kit();
    pay(&mut kit, 10, "1", Some("x"));
    pay(&mut kit, 10, "2", Some("none"));
    session(&mut kit, HOUR + 11, "x", "DE"); // too late for the first
    assert_eq!(sessions(&mut kit, HOUR + 14), []);
    assert_eq!(
        sessions(&mut kit, HOUR + 15),
        [joined(HOUR + 15, "1", Some("x")), joined(HOUR + 15, "2", None)]
    );
    assert_eq!((kit.count("pending"), kit.count("asked"), kit.timers()), (2, 2, 0));
}

#[test]
fn a_session_of_another_user_is_another() {
    let mut kit = kit();
    session(&mut kit, 0, "x", "DE");
    kit.event::<WalletEvent<'static>>(
        "wallet",
        "other",
        1,
        &WalletEvent::Payment(payment("1", Some("x"), "bet")),
    );
    kit.run_to(2);
    assert_eq!(kit.sent("enriched", |_| ()).len(), 0);
}

#[test]
fn thousands_wait_for_one_session() {
    let mut kit = kit();
    let ids: Vec<String> = (0..3000).map(|id| format!("{id:04}")).collect();
    for id in &ids {
        pay(&mut kit, 1, id, Some("x"));
    }
    session(&mut kit, 2, "x", "DE");
    let out: Vec<String> = outs(&mut kit, 3).into_iter().map(|out| out.1).collect();
    assert_eq!(out, ids);
    assert_eq!(kit.entries("pending", 3), 0);
}
