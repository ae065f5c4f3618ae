//! `pelton rules deploy` to a running process.

use super::process::words;
use super::*;
use pelton_tests::rig::Record;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::process::Output;

/// A user of this partition.
pub fn user_of(partition: i32) -> String {
    let mut ids = (0..).map(|number| format!("00000000-0000-0000-0000-{number:012}"));
    ids.find(|id| pelton::record::murmur2::partition(id.as_bytes(), PARTITIONS).0 == partition)
        .expect("one of many")
}

/// Money without a session at this second. The id decides whether it is a duplicate.
fn money(id: u32, second: i64) -> Record {
    money_of(1, id, second)
}

/// The same for any partition.
pub(super) fn money_of(partition: i32, id: u32, second: i64) -> Record {
    let user = user_of(partition);
    let event = json!({
        "type": "PaymentEvent", "id": format!("00000000-0000-0000-{partition:04}-{id:012}"), "userId": user,
        "processedAt": time(second), "amount": 1.5, "currency": "EUR", "openingBalance": 1, "closingBalance": 2.5,
        "moneyType": "bet", "paymentRelatedThing": "", "isOldMoneyEvent": false,
    });
    Record::json(user, &event).at(partition)
}

pub fn time(second: i64) -> String {
    let mut text = vec![];
    pelton_demo::traffic::iso(&mut text, second * 1000);
    String::from_utf8(text).unwrap()
}

/// Makes everything before this second minus 20 final in partition 1.
fn tick(stage: &mut Stage, second: i64) {
    tick_of(1, stage, second);
}

/// The same for any partition.
pub(super) fn tick_of(partition: i32, stage: &mut Stage, second: i64) {
    let user = user_of(partition);
    for (rank, (kind, field)) in [
        ("UserSessionClosedEvent", "reason"),
        ("OtherUserEvent", "somethingUtil"),
        ("KindOfWalletEvent", "somethingInteresting"),
    ]
    .into_iter()
    .enumerate()
    {
        let event = json!({ "type": kind, "id": "0", "userId": user, "processedAt": time(second), field: "" });
        stage.put(rank, vec![Record::json(user.as_str(), &event).at(partition)]);
    }
}

/// The output of a command with `--json`, which must have succeeded.
pub fn json(output: &Output) -> Value {
    let (code, text) = told(output);
    assert_eq!(code, Some(0), "{text}");
    serde_json::from_str(text.lines().last().unwrap_or_default()).unwrap_or_else(|why| panic!("{why}: {text}"))
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
    // There is no state.dir: what was deployed is on the control topic.
    let sets = [http.as_str()];
    let url = format!("http://{address}");
    let status = || {
        let (code, text) = told(&words(&["rules", "status", "--json", "--to", &url]));
        (code == Some(0)).then(|| serde_json::from_str::<Value>(&text).unwrap())
    };
    let mut tail = stage.tail();
    let process = stage.run(&sets);

    // The second one is a duplicate, because less than a minute has passed.
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

    // Ten seconds are enough now.
    stage.put(2, vec![money(3, 1_200), money(3, 1_210)]);
    tick(&mut stage, 1_300);
    tail.until(4, PATIENCE, || {});
    eventually("the task runs the new rules", || {
        status().is_some_and(|now| now["tasks"]["1"] == second && now["taken"]["1"] == 2)
    });

    // It is refused, and the new rules keep running.
    let nonsense = stage.path("nonsense.json");
    std::fs::write(&nonsense, r#"{ "dedup_ttl": "soon" }"#).unwrap();
    for (file, settings) in [
        (env!("GUEST_ODD_WASM"), settings.as_str()),
        (env!("GUEST_ENRICH_WASM"), nonsense.to_str().unwrap()),
        (settings.as_str(), settings.as_str()),
    ] {
        let (code, text) = deploy(file, settings);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("the old rules keep running"), "{text}");
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

/// Money in all partitions at these seconds, each with a double ten seconds later. The id is the second of the first
/// one.
pub fn doubles(stage: &mut Stage, seconds: std::ops::Range<i64>) {
    let both = |partition: i32, second: i64| [second, second + 10].map(|at| money_of(partition, second as u32, at));
    let all = (0..PARTITIONS).flat_map(|partition| seconds.clone().flat_map(move |second| both(partition, second)));
    stage.put(2, all.collect());
}

/// Two processes are each killed in the middle of a deploy. All tasks take it over at the same time, exact to the
/// millisecond.
#[test]
fn a_deploy_over_two_processes_of_which_one_is_killed() {
    let mut stage = Stage::new(Rig::shared(), Source::None);
    let sets = ["workers=1", "kafka.session.timeout.ms=6000"];
    let mut tail = stage.tail();
    let mut a = stage.run(&[&sets[..], &["instance=a"]].concat());
    a.says("open task=3", PATIENCE);
    let mut b = stage.run_in("log-b", &[&sets[..], &["instance=b"]].concat());
    b.says("open task=", PATIENCE);
    let file = stage.file().display().to_string();
    let rules = |words_of: &[&str]| words(&[&["rules"], words_of, &["--config", &file, "--json"]].concat());
    let json = |output| json(&output);
    let ticks = |stage: &mut Stage, second| (0..PARTITIONS).for_each(|of| tick_of(of, stage, second));

    doubles(&mut stage, 1_000..1_050);
    ticks(&mut stage, 1_045);
    tail.until(4 * 20, PATIENCE, || (a.lives(), b.lives()).0);
    // b dies, and nobody has noticed yet. Its tasks answer when a has taken them over.
    b.kill();
    let first = json(rules(&["set", "dedup_ttl=5s"]));
    let at = first["at"].as_i64().expect("it is committed") / 1000;
    doubles(&mut stage, 1_100..1_120);
    let mut b = stage.run_in("log-b", &[&sets[..], &["instance=b"]].concat());
    ticks(&mut stage, 1_200);
    let after = |at: i64, range: std::ops::Range<i64>| range.filter(|second| *second >= at).count();
    let count = 4 * (50 + after(at + 1, 1_000..1_050) + 40);
    tail.until(count, PATIENCE, || (a.lives(), b.lives()).0);

    // Now it is killed as soon as there is something to answer.
    let back = std::thread::scope(|scope| {
        let deploying = scope.spawn(|| rules(&["rollback"]));
        eventually("a deploy", || {
            let status = json(rules(&["status"]));
            status["deploys"].as_array().is_some_and(|deploys| deploys.len() == 3)
        });
        b.kill();
        json(deploying.join().expect("no panic"))
    });
    let back_at = back["at"].as_i64().expect("it is committed") / 1000;
    assert!(back_at >= 1_100, "{back}");
    doubles(&mut stage, 1_300..1_320);
    ticks(&mut stage, 1_400);
    tail.until(count + 4 * 20, PATIENCE, || a.lives());
    let b = stage.run_in("log-b", &[&sets[..], &["instance=b"]].concat());
    doubles(&mut stage, 1_500..1_510);
    ticks(&mut stage, 1_600);
    tail.until(count + 4 * 30, PATIENCE, || a.lives());
    let status = json(rules(&["status"]));
    assert!(
        (0..PARTITIONS).all(|task| status["taken"][task.to_string()] == 3),
        "{status}"
    );
    a.stop();
    b.stop();
    tail.follow(Duration::from_millis(300));
    assert_eq!(tail.records.len(), count + 4 * 30);
    let mut seen = std::collections::BTreeMap::<String, usize>::new();
    for record in &tail.records {
        let value: Value = serde_json::from_slice(record.value.as_ref().expect("a value")).expect("JSON");
        *seen
            .entry(value["money"]["id"].as_str().expect("an id").to_owned())
            .or_default() += 1;
    }
    let seconds = (1_000..1_050)
        .chain(1_100..1_120)
        .chain(1_300..1_320)
        .chain(1_500..1_510);
    for (partition, second) in seconds.flat_map(|second| (0..PARTITIONS).map(move |of| (of, second))) {
        let id = format!("00000000-0000-0000-{partition:04}-{second:012}");
        let short = second > at && second < 1_300;
        assert_eq!(
            seen.get(&id),
            Some(&if short { 2 } else { 1 }),
            "{id}, deployed at {at}"
        );
    }
}
