//! `pelton rules deploy` to a running process.

use super::process::words;
use super::*;
use pelton_tests::rig::Record;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::process::Output;

/// A user of partition 1.
fn user() -> String {
    let mut ids = (0..).map(|number| format!("00000000-0000-0000-0000-{number:012}"));
    ids.find(|id| pelton::murmur2::partition(id.as_bytes(), PARTITIONS) == 1)
        .expect("one of many")
}

/// Money without a session at this second; the id says whether it is a duplicate.
fn money(id: u32, second: i64) -> Record {
    let event = json!({
        "type": "PaymentEvent", "id": format!("00000000-0000-0000-0001-{id:012}"), "userId": user(),
        "processedAt": time(second), "amount": 1.5, "currency": "EUR", "openingBalance": 1, "closingBalance": 2.5,
        "moneyType": "bet", "paymentRelatedThing": "", "isOldMoneyEvent": false,
    });
    Record::json(user(), &event).at(1)
}

fn time(second: i64) -> String {
    let mut text = vec![];
    pelton_demo::traffic::iso(&mut text, second * 1000);
    String::from_utf8(text).unwrap()
}

/// Lets everything before this second, and 20 more, become final.
fn tick(stage: &mut Stage, second: i64) {
    for (rank, (kind, field)) in [
        ("UserSessionClosedEvent", "reason"),
        ("OtherUserEvent", "somethingUtil"),
        ("KindOfWalletEvent", "somethingInteresting"),
    ]
    .into_iter()
    .enumerate()
    {
        let event = json!({ "type": kind, "id": "0", "userId": user(), "processedAt": time(second), field: "" });
        stage.put(rank, vec![Record::json(user(), &event).at(1)]);
    }
}

fn told(output: &Output) -> (Option<i32>, String) {
    let text = [&output.stdout[..], &output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn rules_are_deployed_to_the_running_process_and_survive_a_restart() {
    let mut stage = Stage::new(Rig::shared(), Source::None);
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let http = format!("http={address}");
    let sets = ["state.dir=data", http.as_str()];
    let url = format!("http://{address}");
    let status = || {
        let (code, text) = told(&words(&["rules", "status", "--json", "--to", &url]));
        (code == Some(0)).then(|| serde_json::from_str::<Value>(&text).unwrap())
    };
    let mut tail = stage.tail();
    let process = stage.run(&sets);

    // The second one is a duplicate: a minute has not passed.
    stage.put(2, vec![money(1, 1_000), money(1, 1_010), money(2, 1_011)]);
    tick(&mut stage, 1_100);
    tail.until(2, PATIENCE, || {});
    let first = status().expect("it answers")["version"].clone();

    let settings = stage.path("settings.json");
    std::fs::write(
        &settings,
        r#"{ "dedup_ttl": "5s", "session_ttl": "1d", "pending_ttl": "1h" }"#,
    )
    .unwrap();
    let settings = settings.display().to_string();
    let deploy =
        |file: &str, settings: &str| told(&words(&["rules", "deploy", file, "--settings", settings, "--to", &url]));
    let (code, text) = deploy(env!("GUEST_ENRICH_WASM"), &settings);
    assert_eq!(code, Some(0), "{text}");
    let second = status().expect("it answers")["version"].clone();
    assert!(second != first && text.contains(second.as_str().unwrap()), "{text}");
    eventually("the task runs the new rules", || {
        status().is_some_and(|now| now["tasks"]["1"] == second)
    });

    // Ten seconds are enough now.
    stage.put(2, vec![money(3, 1_200), money(3, 1_210)]);
    tick(&mut stage, 1_300);
    tail.until(4, PATIENCE, || {});

    // Refused: the new ones run on.
    let nonsense = stage.path("nonsense.json");
    std::fs::write(&nonsense, r#"{ "dedup_ttl": "soon" }"#).unwrap();
    for (file, settings) in [
        (env!("GUEST_ODD_WASM"), settings.as_str()),
        (env!("GUEST_ENRICH_WASM"), nonsense.to_str().unwrap()),
        (settings.as_str(), settings.as_str()),
    ] {
        let (code, text) = deploy(file, settings);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("the old rules run on"), "{text}");
    }
    assert_eq!(status().expect("it answers")["version"], second);
    stage.put(2, vec![money(4, 1_400), money(4, 1_410)]);
    tick(&mut stage, 1_500);
    tail.until(6, PATIENCE, || {});

    process.stop();
    let process = stage.run(&sets);
    eventually("it answers again", || status().is_some());
    assert_eq!(status().expect("it answers")["version"], second);
    stage.put(2, vec![money(5, 1_600), money(5, 1_610)]);
    tick(&mut stage, 1_700);
    tail.until(8, PATIENCE, || {});
    process.stop();
    tail.follow(Duration::from_millis(200));
    assert_eq!(tail.records.len(), 8);
}
