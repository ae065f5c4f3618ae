//! Tests of the money rules as a component, in the pipeline of the examples: the scenario files, and scenarios in Rust.

use pelton_testkit::{Answer, Pipeline, Value, build, json};

fn money() -> Pipeline {
    Pipeline::new("../examples/money-avro/folder.toml", build(".", "guest"))
}

fn payment() -> Value {
    json!({
        "type": "PaymentEvent", "userId": "u1", "amount": 1, "currency": "EUR", "openingBalance": 0, "closingBalance": 1,
        "moneyType": "bet", "paymentRelatedThing": "p", "isOldMoneyEvent": false,
    })
}

#[test]
fn the_files_hold() {
    money().files("scenarios");
}

/// All waiting money is released in order of arrival, even if the process crashes in the middle.
#[test]
fn a_session_releases_all_that_waits() {
    money().always(|s| {
        s.base("wallet", payment());
        for number in 0..50 {
            s.send(
                "wallet",
                "u1",
                number,
                json!({ "id": format!("m{number}"), "userSessionId": "s1" }),
            );
        }
        s.advance_to("1m");
        assert_eq!(s.outputs("enriched"), [Value::Null; 0]);
        s.expect_count("pending", 50);
        s.crash();
        let opened =
            json!({ "type": "UserSessionCreatedEvent", "id": "s1", "userId": "u1", "clientCountryCode": "DE" });
        s.send("session", "u1", "2m", opened);
        s.advance_to("3m");
        let ids: Vec<Value> = s
            .outputs("enriched")
            .iter()
            .map(|value| value["money"]["id"].clone())
            .collect();
        let expected: Vec<Value> = (0..50).map(|number| format!("m{number}").into()).collect();
        assert_eq!(ids, expected);
        s.expect_timers([]);
        s.expect_state("pending", []);
    });
}

/// Each session is asked for once, and a reply affects only the money of its session.
#[test]
fn replies_find_their_money() {
    money().set("rules.settings.pending_ttl=10s").always(|s| {
        s.base("wallet", payment());
        for session in ["a", "b", "c"] {
            s.send("wallet", "u1", "0s", json!({ "id": session, "userSessionId": session }));
        }
        s.advance_to("1m");
        s.expect_questions(["a", "b", "c"].map(|of| match of {
            "a" => "session http://localhost:8080/sessions/a",
            "b" => "session http://localhost:8080/sessions/b",
            _ => "session http://localhost:8080/sessions/c",
        }));
        s.reply("session", "/b", json!({ "clientCountryCode": "FR" }));
        s.expect(
            "enriched",
            &["money.id", "sessionInfo.clientCountryCode"],
            [r#"u1 10s "b" "FR""#],
        );
        s.restart();
        s.answer("session", "", Answer::Unavailable);
        s.expect(
            "enriched",
            &["money.id", "sessionInfo"],
            [
                r#"u1 10s "b" {"clientCountryCode":"FR"}"#,
                r#"u1 10s "a" null"#,
                r#"u1 10s "c" null"#,
            ],
        );
        s.expect_questions([]);
    });
}

/// Unreadable input goes to the dead letters, without disturbing the order.
#[test]
fn what_can_not_be_read_is_refused() {
    money().always(|s| {
        s.base("wallet", payment());
        s.send("wallet", "u1", "1s", json!({ "id": "m1" }));
        s.send_bytes("wallet", b"u1", "1s", b"no Avro".to_vec());
        s.send("wallet", "u1", "2s", json!({ "id": "m2" }));
        s.advance_to("1m");
        assert_eq!(s.outputs("enriched").len(), 2);
        s.expect_dead_letters([r#"u1 wallet "the value begins with byte 110, not with 0 and a schema id""#]);
    });
}

/// The rules announce every read.
#[test]
fn nothing_is_read_unnamed() {
    let mut s = money().scenario();
    s.base("wallet", payment());
    for number in 0..10 {
        s.send(
            "wallet",
            "u1",
            number,
            json!({ "id": format!("m{number}"), "userSessionId": "s1" }),
        );
    }
    let opened = json!({ "type": "UserSessionCreatedEvent", "id": "s1", "userId": "u1", "clientCountryCode": "DE" });
    s.send("session", "u1", "1m", opened);
    s.advance_to("1h");
    assert_eq!(s.outputs("enriched").len(), 10);
    let missed: Vec<_> = s.misses().into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(missed, []);
}
