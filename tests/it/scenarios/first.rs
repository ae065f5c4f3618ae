//! Rule 3, first occurrence: it is true for the first money event with its (user, moneyType) that is not a duplicate.
//! It is kept forever.

use pelton_tests::stage::{DAY, HOUR, MINUTE, SECOND, always, money};

#[test]
fn the_first_of_each_type_and_user() {
    always(|stage| {
        stage.put(money("u1", "m1", 0).kind("BET"));
        stage.put(money("u1", "m2", 1).kind("BET"));
        stage.put(money("u1", "m3", 2).kind("WIN"));
        stage.put(money("u2", "m4", 3).kind("BET"));
        stage.put(money("u1", "m5", 4).kind("WIN").transaction());
        stage.flow_to(HOUR);
        assert_eq!(stage.enriched(), ["m1 first", "m2", "m3 first", "m4 first", "m5"]);
    });
}

/// The task's order counts: event time, not arrival.
#[test]
fn first_is_by_event_time() {
    always(|stage| {
        stage.user("u1").money("later", 15 * SECOND);
        stage.user("u1").money("earlier", 5 * SECOND);
        stage.flow_to(HOUR);
        assert_eq!(stage.enriched(), ["earlier first", "later"]);
    });
}

#[test]
fn it_is_kept_for_ever() {
    always(|stage| {
        stage.user("u1").money("m1", 0);
        stage.flow_to(DAY);
        stage.user("u1").money("m2", 30 * DAY);
        stage.flow_to(31 * DAY);
        assert_eq!(stage.enriched(), ["m1 first", "m2"]);
    });
}

/// It is decided at the money event, even if the output comes later.
#[test]
fn money_that_waits_was_first_when_it_came() {
    always(|stage| {
        stage.put(money("u1", "waits", 0).session("s1"));
        stage.user("u1").money("at-once", SECOND);
        stage.user("u1").session("s1", "DE", MINUTE);
        stage.flow_to(HOUR);
        assert_eq!(stage.enriched(), ["at-once", "waits first session DE"]);
    });
}

#[test]
fn asked_money_was_first_when_it_came() {
    always(|stage| {
        stage.put(money("u1", "old", 0).session("s1").old());
        stage.user("u1").money("at-once", SECOND);
        stage.flow_to(MINUTE);
        assert_eq!(stage.enriched(), ["at-once"]);
        stage.reply_country("s1", "FI");
        assert_eq!(stage.enriched(), ["at-once", "old first session FI"]);
    });
}

/// A duplicate with another type is dropped, and is not the first of that type.
#[test]
fn a_duplicate_is_never_the_first() {
    always(|stage| {
        stage.put(money("u1", "m1", 0).kind("A"));
        stage.put(money("u1", "m1", 1).kind("B"));
        stage.put(money("u1", "m2", 2).kind("B"));
        stage.flow_to(HOUR);
        assert_eq!(stage.enriched(), ["m1 first", "m2 first"]);
    });
}

/// Two events of one user in the same millisecond: both come out, in the order of their offsets, and one of them is the
/// first.
#[test]
fn two_in_the_same_millisecond() {
    always(|stage| {
        stage.user("u1").money("m1", 7);
        stage.user("u1").money("m2", 7);
        stage.flow_to(HOUR);
        assert_eq!(stage.enriched(), ["m1 first", "m2"]);
        assert!(stage.outputs().iter().all(|output| output.timestamp == 7));
    });
}
