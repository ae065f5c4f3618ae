//! Rule 5, session: it is known from its creation until `session_ttl` (1 day) after that. Money whose session is not
//! known waits for `pending_ttl` (1 hour), then the service is asked.

use pelton_tests::stage::{DAY, HOUR, MINUTE, SECOND, Stream, always, always_with, money};

#[test]
fn money_of_a_known_session_is_enriched_at_once() {
    always(|stage| {
        stage.user("u1").session("s1", "DE", 0);
        stage.put(money("u1", "m1", 1).session("s1"));
        stage.flow_to(2);
        assert_eq!(stage.enriched(), ["m1 first session DE"]);
        assert_eq!(stage.outputs()[0].timestamp, 1);
    });
}

/// A session comes before money of the same time.
#[test]
fn a_session_of_the_same_millisecond_is_known() {
    always(|stage| {
        stage.put(money("u1", "m1", 5).session("s1"));
        stage.user("u1").session("s1", "DE", 5);
        stage.flow_to(HOUR);
        assert_eq!(stage.enriched(), ["m1 first session DE"]);
        stage.counted([("pending", 0)]);
    });
}

/// Money without `userSessionId`: `sessionInfo` is null, and it comes out at once, even if it is late or old.
#[test]
fn money_without_a_session_never_waits() {
    always(|stage| {
        stage.user("u1").session("s1", "DE", 0);
        for user in 1..=20 {
            stage.user(&format!("u{user}")).money(&format!("m{user}"), SECOND);
        }
        stage.flow_to(MINUTE);
        stage.user("u1").money("late", 2 * SECOND);
        stage.put(money("u1", "old", MINUTE).old());
        stage.flow_to(2 * MINUTE);
        let mut expected: Vec<String> = (1..=20).map(|user| format!("m{user} first")).collect();
        expected.extend(["late".to_owned(), "old".to_owned()]);
        assert_eq!(stage.enriched(), expected);
        assert!(
            stage
                .outputs()
                .iter()
                .all(|output| output.value.session_country.is_none())
        );
        stage.counted([("pending", 0), ("asked", 0)]);
    });
}

/// It is known until `session_ttl` after its creation. Then its state is gone.
#[test]
fn a_session_is_known_for_a_day() {
    always(|stage| {
        stage.user("u1").session("s1", "DE", 0);
        stage.put(money("u1", "m1", DAY - 1).session("s1"));
        stage.flow_to(DAY - 1);
        assert_eq!(stage.stores("u1"), ["sessions"]);
        stage.put(money("u1", "m2", DAY).session("s1"));
        stage.flow_to(DAY + 1);
        assert_eq!(stage.enriched(), ["m1 first session DE"]);
        stage.counted([("pending", 1)]);
        assert!(
            !stage.stores("u1").contains(&"sessions".to_owned()),
            "{:?}",
            stage.stores("u1")
        );
    });
}

/// The effective time of its creation counts: a session that comes late is known for a day from then on.
#[test]
fn a_late_session_is_known_from_when_it_came() {
    always(|stage| {
        stage.flow_to(HOUR);
        stage.user("u1").session("s1", "DE", 0);
        stage.put(money("u1", "m1", HOUR + DAY - 1).session("s1"));
        stage.put(money("u1", "m2", HOUR + DAY).session("s1"));
        stage.flow_to(2 * DAY);
        assert_eq!(stage.enriched(), ["m1 first session DE"]);
    });
}

/// A session is found by its id, for each user separately.
#[test]
fn the_session_of_another_user_is_not_found() {
    always(|stage| {
        stage.user("u2").session("s1", "DE", 0);
        stage.user("u1").session("s2", "FR", 0);
        stage.put(money("u1", "m1", 1).session("s1"));
        stage.put(money("u1", "m2", 1).session("s2"));
        stage.flow_to(MINUTE);
        assert_eq!(stage.enriched(), ["m2 session FR"]);
    });
}

/// A new session releases all money that waits for it, in order, and nothing else.
#[test]
fn a_session_releases_what_waits_in_order() {
    always(|stage| {
        stage.put(money("u1", "m3", 3 * SECOND).session("s1"));
        stage.put(money("u1", "m1", SECOND).session("s1"));
        stage.put(money("u1", "other", SECOND).session("s2"));
        stage.put(money("u1", "m2", SECOND).session("s1"));
        stage.put(money("u2", "foreign", SECOND).session("s1"));
        stage.user("u1").session("s1", "MT", 10 * SECOND);
        stage.flow_to(MINUTE);
        assert_eq!(
            stage.enriched(),
            ["m1 first session MT", "m2 session MT", "m3 session MT"]
        );
        assert!(stage.outputs().iter().all(|output| output.timestamp == 10 * SECOND));
        // Their timers are gone. Those of the two others are still set.
        assert_eq!(stage.status()[0].state.timers, 2);
    });
}

#[test]
fn a_session_just_before_the_end_releases() {
    always(|stage| {
        stage.put(money("u1", "m1", 0).session("s1"));
        stage.user("u1").session("s1", "MT", HOUR - 1);
        stage.flow_to(DAY);
        assert_eq!(stage.enriched(), ["m1 first session MT"]);
        stage.counted([("asked", 0)]);
    });
}

/// A record comes before a timer of the same time.
#[test]
fn a_session_at_the_end_releases() {
    always(|stage| {
        stage.put(money("u1", "m1", 0).session("s1"));
        stage.user("u1").session("s1", "MT", HOUR);
        stage.flow_to(DAY);
        assert_eq!(stage.enriched(), ["m1 first session MT"]);
        stage.counted([("asked", 0)]);
    });
}

/// After `pending_ttl` without the session, the service is asked. A session no longer releases the money.
#[test]
fn after_an_hour_the_service_is_asked() {
    always(|stage| {
        stage.put(money("u1", "m1", 0).session("s1"));
        stage.flow_to(HOUR);
        assert_eq!(stage.questions(), []);
        stage.flow_to(HOUR + 1);
        let questions = stage.questions();
        assert_eq!(questions.len(), 1);
        assert!(questions[0].request.ends_with(b"/sessions/s1"));
        stage.user("u1").session("s1", "MT", HOUR + 2);
        stage.flow_to(2 * HOUR);
        assert_eq!(stage.enriched(), [""; 0]);
        stage.reply_country("s1", "CA");
        assert_eq!(stage.enriched(), ["m1 first session CA"]);
        stage.counted([("pending", 1), ("asked", 1)]);
    });
}

/// Late money asks the service even if its session is known, and doesn't hold anything else back.
#[test]
fn late_money_asks() {
    always(|stage| {
        stage.user("u1").session("s1", "DE", 0);
        stage.flow_to(MINUTE);
        stage.put(money("u1", "late", SECOND).session("s1"));
        stage.put(money("u1", "next", 2 * MINUTE).session("s1"));
        stage.flow_to(3 * MINUTE);
        assert_eq!(stage.enriched(), ["next session DE"]);
        stage.reply_country("s1", "CA");
        assert_eq!(stage.enriched(), ["next session DE", "late first session CA"]);
        // The reply comes right after the last step.
        assert_eq!(stage.outputs()[1].value.money.time, pelton_tests::stage::START + SECOND);
    });
}

#[test]
fn money_at_the_watermark_is_not_late() {
    always(|stage| {
        stage.flow_to(MINUTE);
        stage.put(money("u1", "just", MINUTE).session("s1"));
        stage.put(money("u1", "late", MINUTE - 1).session("s2"));
        stage.flow_to(2 * MINUTE);
        stage.counted([("pending", 1), ("asked", 1)]);
    });
}

#[test]
fn old_money_asks() {
    always(|stage| {
        stage.user("u1").session("s1", "DE", 0);
        stage.put(money("u1", "old", SECOND).session("s1").old());
        stage.user("u1").money("next", 2 * SECOND);
        stage.flow_to(MINUTE);
        assert_eq!(stage.enriched(), ["next"]);
        stage.reply_country("s1", "CA");
        assert_eq!(stage.enriched(), ["next", "old first session CA"]);
    });
}

/// Disorder of up to 20 s: everything within that is processed in order, and nothing is late.
#[test]
fn disorder_within_the_allowance() {
    always(|stage| {
        stage.put(money("u1", "m4", 40 * SECOND).session("s1"));
        stage.put(money("u1", "m2", 20 * SECOND).session("s1"));
        stage.put(money("u1", "m3", 30 * SECOND).session("s1"));
        stage.flow(Stream::User, HOUR);
        stage.user("u1").session("s1", "DE", 45 * SECOND);
        stage.user("u1").session("s0", "FR", 25 * SECOND);
        stage.put(money("u1", "m1", 20 * SECOND).session("s0"));
        stage.flow_to(HOUR);
        assert_eq!(
            stage.enriched(),
            ["m1 session FR", "m2 first session DE", "m3 session DE", "m4 session DE"]
        );
        stage.counted([("asked", 0)]);
    });
}

/// Money of several users waits for sessions with the same id. Each waits for its own.
#[test]
fn sessions_belong_to_users() {
    always_with(
        |setup| setup.topics.partitions = 3,
        |stage| {
            for user in ["a", "b", "c", "d", "e"] {
                stage.put(money(user, &format!("{user}1"), 0).session("s"));
            }
            for (user, country) in [("a", "CA"), ("c", "SE"), ("e", "FI")] {
                stage.user(user).session("s", country, SECOND);
            }
            stage.flow_to(MINUTE);
            let mut lines = stage.enriched();
            lines.sort();
            assert_eq!(
                lines,
                ["a1 first session CA", "c1 first session SE", "e1 first session FI"]
            );
        },
    );
}

#[test]
fn the_times_are_settings() {
    always_with(
        |setup| setup.settings(&[("session_ttl", "10s"), ("pending_ttl", "5s")]),
        |stage| {
            stage.user("u1").session("s1", "DE", 0);
            stage.put(money("u1", "known", 10 * SECOND - 1).session("s1"));
            stage.put(money("u1", "unknown", 10 * SECOND).session("s1"));
            stage.flow_to(15 * SECOND);
            assert_eq!(stage.enriched(), ["known first session DE"]);
            assert_eq!(stage.questions().len(), 0);
            stage.flow_to(15 * SECOND + 1);
            assert_eq!(stage.questions().len(), 1);
        },
    );
}
