//! Rule 2, dedup: money is dropped if its (user, id) was seen less than `dedup_ttl` (1 minute) before.

use pelton_tests::stage::{HOUR, MINUTE, SECOND, always, always_with, money};

#[test]
fn a_duplicate_within_the_ttl_is_dropped() {
    always(|stage| {
        stage.user("u1").money("m1", 0);
        stage.user("u1").money("m1", MINUTE - 1);
        stage.flow_to(HOUR);
        assert_eq!(stage.enriched(), ["m1 first"]);
        stage.counted([("duplicates", 1)]);
    });
}

#[test]
fn after_the_ttl_it_is_money_again() {
    always(|stage| {
        stage.user("u1").money("m1", 0);
        stage.user("u1").money("m1", MINUTE);
        stage.flow_to(HOUR);
        assert_eq!(stage.enriched(), ["m1 first", "m1"]);
        stage.counted([("duplicates", 0)]);
    });
}

/// Each sighting starts the minute again, whether it is dropped or not.
#[test]
fn each_sighting_starts_the_time_again() {
    always(|stage| {
        for at in [0, 50, 100, 150] {
            stage.user("u1").money("m1", at * SECOND);
        }
        stage.user("u1").money("m1", 210 * SECOND);
        stage.flow_to(HOUR);
        // The last one comes 60 s after the last dropped one.
        assert_eq!(stage.enriched(), ["m1 first", "m1"]);
        stage.counted([("duplicates", 3)]);
    });
}

#[test]
fn another_user_with_the_same_id_is_no_duplicate() {
    always(|stage| {
        stage.user("u1").money("m1", 0);
        stage.user("u2").money("m1", 0);
        stage.flow_to(HOUR);
        assert_eq!(stage.enriched(), ["m1 first", "m1 first"]);
    });
}

#[test]
fn payment_and_transaction_of_one_id_are_duplicates() {
    always(|stage| {
        stage.put(money("u1", "m1", 0));
        stage.put(money("u1", "m1", 1).transaction().kind("OTHER"));
        stage.flow_to(HOUR);
        assert_eq!(stage.enriched(), ["m1 first"]);
    });
}

#[test]
fn in_one_millisecond_the_first_in_the_log_counts() {
    always(|stage| {
        stage.put(money("u1", "m1", 5).kind("A"));
        stage.put(money("u1", "m1", 5).kind("B"));
        stage.flow_to(HOUR);
        let outputs = stage.outputs();
        assert_eq!(outputs.len(), 1);
        assert_eq!(outputs[0].value.money.kind, "A");
    });
}

/// Effective time counts. Late money is a duplicate of money seen before the time of the watermark.
#[test]
fn late_money_counts_from_its_effective_time() {
    always(|stage| {
        stage.user("u1").money("m1", 0);
        stage.flow_to(MINUTE - 1);
        // Its own time is 2 minutes earlier, but the watermark's counts: 59.999 s after the first one.
        stage.user("u1").money("m1", 1);
        stage.flow_to(HOUR);
        assert_eq!(stage.enriched(), ["m1 first"]);
        stage.user("u1").money("m1", 1);
        stage.flow_to(2 * HOUR);
        assert_eq!(stage.enriched(), ["m1 first", "m1"]);
    });
}

/// Pending money counts as seen. Its duplicate does not wait.
#[test]
fn a_duplicate_of_money_that_waits_is_dropped() {
    always(|stage| {
        stage.put(money("u1", "m1", 0).session("s1"));
        stage.put(money("u1", "m1", SECOND).session("s1"));
        stage.user("u1").session("s1", "DE", 2 * SECOND);
        stage.flow_to(HOUR);
        assert_eq!(stage.enriched(), ["m1 first session DE"]);
        stage.counted([("duplicates", 1), ("pending", 1)]);
    });
}

/// The duplicate and the timer of the money that it repeats are in one batch. So is the same money after the minute.
#[test]
fn a_duplicate_and_a_timer_in_one_batch() {
    always_with(
        |setup| setup.settings(&[("pending_ttl", "30s"), ("dedup_ttl", "1m")]),
        |stage| {
            stage.put(money("u1", "m1", 0).session("s1"));
            stage.put(money("u1", "m1", 29 * SECOND).session("s1"));
            stage.put(money("u1", "m1", 31 * SECOND).session("s1"));
            // A minute after the last sighting it is new money, with its own timer and its own question.
            stage.put(money("u1", "m1", 91 * SECOND).session("s1"));
            stage.flow_to(HOUR);
            stage.counted([("duplicates", 2)]);
            assert_eq!(stage.questions().len(), 2);
            stage.reply_country("s1", "SE");
            assert_eq!(stage.enriched(), ["m1 first session SE", "m1 session SE"]);
        },
    );
}

#[test]
fn the_ttl_is_a_setting() {
    always_with(
        |setup| setup.settings(&[("dedup_ttl", "10s")]),
        |stage| {
            for at in [0, 9_999, 19_998, 29_998] {
                stage.user("u1").money("m1", at);
            }
            stage.flow_to(HOUR);
            assert_eq!(stage.enriched(), ["m1 first", "m1"]);
        },
    );
}

/// Seen ids are forgotten in the end, so state does not grow with the number of money events.
#[test]
fn what_was_seen_is_gone_after_the_ttl() {
    always(|stage| {
        stage.user("u1").money("m1", 0);
        stage.flow_to(MINUTE - 1);
        assert_eq!(stage.stores("u1"), ["seen", "types"]);
        stage.flow_to(HOUR);
        assert_eq!(stage.stores("u1"), ["types"]);
    });
}
