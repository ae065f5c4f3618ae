//! Rule 4, user: `userInfo` has the merged changes of the user up to the money event.

use pelton_tests::stage::{DAY, HOUR, MINUTE, SECOND, always, money};

#[test]
fn null_when_there_was_no_change() {
    always(|stage| {
        stage.user("u2").address("CA", 0);
        stage.user("u1").money("m1", SECOND);
        stage.flow_to(HOUR);
        assert_eq!(stage.enriched(), ["m1 first"]);
        assert_eq!(stage.outputs()[0].value.user, None);
    });
}

/// Each change sets its own field, and keeps the other one.
#[test]
fn changes_are_merged() {
    always(|stage| {
        stage.user("u1").birth_date("2000", 0);
        stage.user("u1").money("m1", 1);
        stage.user("u1").address("CA", 2);
        stage.user("u1").money("m2", 3);
        stage.user("u1").birth_date("2001", 4);
        stage.user("u1").money("m3", 5);
        stage.user("u1").address("SE", 6);
        stage.user("u1").money("m4", 7);
        stage.flow_to(HOUR);
        assert_eq!(
            stage.enriched(),
            [
                "m1 first user 2000/-",
                "m2 user 2000/CA",
                "m3 user 2001/CA",
                "m4 user 2001/SE"
            ]
        );
        stage.counted([("user_changes", 4)]);
    });
}

/// Event time counts: a later change does not count, even if it arrives first.
#[test]
fn only_changes_up_to_the_money_count() {
    always(|stage| {
        stage.user("u1").address("CA", 10 * SECOND);
        stage.user("u1").money("before", 9 * SECOND);
        stage.user("u1").money("after", 11 * SECOND);
        stage.flow_to(HOUR);
        assert_eq!(stage.enriched(), ["before first", "after user -/CA"]);
    });
}

/// A user change comes before money of the same time, whichever arrives first.
#[test]
fn at_the_same_time_the_change_counts() {
    always(|stage| {
        stage.user("u1").money("m1", 5);
        stage.user("u1").birth_date("1999", 5);
        stage.user("u2").birth_date("1998", 5);
        stage.user("u2").money("m2", 5);
        stage.flow_to(HOUR);
        assert_eq!(stage.enriched(), ["m1 first user 1999/-", "m2 first user 1998/-"]);
    });
}

/// It is decided at the money event, even if the output comes later.
#[test]
fn money_that_waits_keeps_the_user_of_its_time() {
    always(|stage| {
        stage.user("u1").birth_date("2000", 0);
        stage.put(money("u1", "waits", 1).session("s1"));
        stage.put(money("u1", "asks", 2).session("s2").old());
        stage.user("u1").birth_date("2001", SECOND);
        stage.user("u1").session("s1", "DE", MINUTE);
        stage.flow_to(HOUR);
        stage.reply_country("s2", "CA");
        assert_eq!(
            stage.enriched(),
            ["waits first user 2000/- session DE", "asks user 2000/- session CA"]
        );
    });
}

#[test]
fn a_user_is_never_forgotten() {
    always(|stage| {
        stage.user("u1").address("NO", 0);
        stage.flow_to(DAY);
        stage.user("u1").money("m1", 30 * DAY);
        stage.flow_to(31 * DAY);
        assert_eq!(stage.enriched(), ["m1 first user -/NO"]);
    });
}

/// A late change counts from its effective time on, not before.
#[test]
fn a_late_change_counts_from_when_it_came() {
    always(|stage| {
        stage.user("u1").money("m1", 10 * SECOND);
        stage.flow_to(MINUTE);
        stage.user("u1").address("CA", 0);
        stage.user("u1").money("m2", MINUTE + 1);
        stage.flow_to(HOUR);
        assert_eq!(stage.enriched(), ["m1 first", "m2 user -/CA"]);
    });
}

/// `OtherUserEvent`, `KindOfWalletEvent` and `UserSessionClosedEvent` are read and ignored.
#[test]
fn other_events_are_ignored() {
    use pelton_tests::stage::{kind_of_wallet, other_user, session_closed};
    always(|stage| {
        stage.put(other_user("u1", 0));
        stage.put(kind_of_wallet("u1", 0));
        stage.user("u1").session("s1", "DE", 0);
        stage.put(session_closed("u1", "s1", 1));
        stage.put(money("u1", "m1", 2).session("s1"));
        stage.flow_to(HOUR);
        assert_eq!(stage.enriched(), ["m1 first session DE"]);
        // Only these three. The events that move event time are not final yet.
        stage.counted([("ignored", 3)]);
        assert_eq!(stage.dead_letters(), []);
    });
}
