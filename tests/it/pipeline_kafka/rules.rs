//! `pelton rules` through Kafka alone, with two processes: a shadow, its findings and its promotion; pruned components;
//! and rules that are withdrawn automatically.

use super::deploys::{doubles, json, money_of, tick_of, time, user_of};
use super::process::words;
use super::*;
use pelton_tests::rig::Record;
use serde_json::Value;
use std::path::Path;

/// Runs `pelton rules ... --config FILE --json`. Returns its output if it succeeded, and otherwise the reason.
fn rules(file: &Path, what: &[&str]) -> Result<Value, String> {
    let file = file.display().to_string();
    let output = words(&[&["rules"], what, &["--config", &file, "--json"]].concat());
    match output.status.code() {
        Some(0) => Ok(json(&output)),
        code => Err(format!("{code:?}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

fn both(stage: &Stage, sets: &[&str]) -> [Process; 2] {
    let mut a = stage.run(&[sets, &["instance=a"]].concat());
    a.says("open task=3", PATIENCE);
    let mut b = stage.run_in("log-b", &[sets, &["instance=b"]].concat());
    b.says("open task=", PATIENCE);
    [a, b]
}

#[test]
fn a_shadow_on_two_processes_names_what_differs_and_is_promoted_and_old_components_are_pruned() {
    let mut stage = Stage::new(Rig::shared(), Source::None);
    let file = stage.file();
    // What ran within the journal's retention is still needed.
    let text = std::fs::read_to_string(&file).unwrap() + "[topics]\njournal_retention = \"1m\"\n";
    std::fs::write(&file, text).unwrap();
    let mut tail = stage.tail();
    let [mut a, mut b] = both(&stage, &["workers=1", "kafka.session.timeout.ms=6000"]);
    let ticks = |stage: &mut Stage, second| (0..PARTITIONS).for_each(|of| tick_of(of, stage, second));
    let live = |number: u64| {
        eventually("all tasks have taken it over", || {
            let status = rules(&file, &["status"]).expect("it is told");
            (0..PARTITIONS).all(|task| status["taken"][task.to_string()] == number)
        });
    };

    doubles(&mut stage, 1_000..1_005);
    ticks(&mut stage, 1_050);
    tail.until(4 * 5, PATIENCE, || (a.lives(), b.lives()).0);
    let deployed = rules(&file, &["deploy", env!("GUEST_COUNTED_WASM")]).expect("it fits");
    assert_eq!(deployed["number"], 2);
    live(2);
    assert_eq!(rules(&file, &["rollback"]).expect("there is one before")["number"], 3);
    live(3);
    let since = Instant::now();
    let none = Value::Array(vec![]);
    assert_eq!(
        rules(&file, &["prune", "--dry-run"]).expect("it is told")["pruned"],
        none
    );

    // One user has a country. The shadow also uses it as the country of the session if there is none.
    let shadow = ["deploy", env!("GUEST_RESIDENT_WASM"), "--shadow", "2h"];
    assert_eq!(rules(&file, &shadow).expect("it begins")["number"], 1);
    let diff = || rules(&file, &["diff"]).expect("it is told");
    eventually("it runs in all tasks", || {
        diff()["tasks"].as_object().is_some_and(|tasks| tasks.len() == 4)
    });
    stage.put(1, vec![address(1, 1_060)]);
    for of in 0..PARTITIONS {
        let seconds = if of == 1 { 1_105..1_106 } else { 1_100..1_110 };
        stage.put(2, seconds.map(|second| money_of(of, second as u32, second)).collect());
    }
    let offset = stage.records[2][1].len() - 1;
    ticks(&mut stage, 1_200);
    tail.until(4 * 5 + 31, PATIENCE, || (a.lives(), b.lives()).0);
    let counted = |seen: &Value| {
        let outputs = &seen["total"]["outputs"];
        ["same", "different", "missing", "extra"].map(|how| outputs[how].as_u64().unwrap_or(99))
    };
    eventually("everything is compared", || {
        counted(&diff())[..2].iter().sum::<u64>() == 31
    });
    let seen = diff();
    assert_eq!(counted(&seen), [30, 1, 0, 0], "{seen:#}");
    let named: Vec<&Value> = seen["tasks"]
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(|(_, report)| report["differences"].as_array().into_iter().flatten())
        .collect();
    let [named] = named[..] else {
        panic!("one difference: {seen:#}")
    };
    let words = ["kind", "how", "name"].map(|what| named[what].as_str().unwrap_or_default());
    assert_eq!(words, ["output", "different", "enriched"], "{named:#}");
    let input = ["topic", "partition", "offset", "time"].map(|what| named["input"][what].to_string());
    let topic = Value::from(stage.inputs[2].as_str()).to_string();
    assert_eq!(
        input,
        [topic, "1".into(), offset.to_string(), "1105000".into()],
        "{named:#}"
    );
    let field = named["fields"][0]["path"].as_str().unwrap_or_default();
    assert!(field.starts_with("sessionInfo"), "{named:#}");

    assert_eq!(rules(&file, &["promote"]).expect("it takes over")["number"], 4);
    live(4);
    doubles(&mut stage, 1_300..1_305);
    ticks(&mut stage, 1_400);
    tail.until(4 * 10 + 31, PATIENCE, || (a.lives(), b.lives()).0);
    let at_home = |read: &&pelton_tests::rig::Read| read.text().contains("\"clientCountryCode\":\"SE\"");
    assert_eq!(
        tail.records.iter().filter(at_home).count(),
        5,
        "it makes the outputs now"
    );

    // The running version and the one before stay. The other one is no longer needed when the journal of its time is
    // gone.
    let prune = |words: &[&str]| -> Vec<u64> {
        let said = rules(&file, &[&["prune"], words].concat()).expect("it is told");
        let gone = said["pruned"].as_array().expect("a list").iter();
        let deploys = gone.flat_map(|one| one["deploys"].as_array().expect("a list"));
        deploys.filter_map(Value::as_u64).collect()
    };
    let patience = Duration::from_secs(62).saturating_sub(since.elapsed());
    tail.follow(patience);
    eventually("it is not needed", || prune(&["--dry-run"]) == [2]);
    assert_eq!(prune(&["--deploy", "2"]), [0; 0], "it is to be kept");
    assert_eq!(prune(&[]), [2]);
    assert_eq!(prune(&[]), [0; 0], "once");
    let why = rules(&file, &["rollback", "--deploy", "2"]).expect_err("it is gone");
    assert!(why.contains("pruned"), "{why}");
    // The rest keeps running, also after a restart of a process.
    a.kill();
    let mut a = stage.run(&["workers=1", "kafka.session.timeout.ms=6000", "instance=a"]);
    assert_eq!(
        rules(&file, &["rollback"]).expect("the version before is there")["number"],
        5
    );
    live(5);
    doubles(&mut stage, 1_500..1_505);
    ticks(&mut stage, 1_600);
    tail.until(4 * 15 + 31, PATIENCE, || (a.lives(), b.lives()).0);
    a.stop();
    b.stop();
    tail.follow(Duration::from_millis(300));
    assert_eq!(tail.records.len(), 4 * 15 + 31);
}

/// The user of this partition lives in Sweden from this second on.
fn address(partition: i32, second: i64) -> Record {
    let user = user_of(partition);
    let event = serde_json::json!({
        "type": "ChangeAddressEvent", "id": "00000000-0000-0000-0000-000000000000", "userId": user, "processedAt": time(second),
        "address": "", "residentCountryCode": "SE", "postalCode": "",
    });
    Record::json(user, &event).at(partition)
}

/// A pipeline of the odd guest: bytes in, bytes out.
fn odd(stage: &Stage, name: &str) -> [String; 2] {
    let topics = ["in", "out"].map(|topic| format!("{name}-{topic}"));
    for (id, topic) in topics.iter().enumerate() {
        stage.rig.create(topic, PARTITIONS, &[("retention.ms", "-1")]).unwrap();
        std::fs::write(stage.path(&format!("{}-{topic}.avsc", id + 1)), r#""bytes""#).unwrap();
    }
    let [input, output] = &topics;
    let text = format!(
        r#"name = "{name}"
http = "off"
workers = 1
[kafka]
bootstrap.servers = "{brokers}"
session.timeout.ms = 6000
[schemas]
folder = "."
[inputs.in]
topic = "{input}"
format = "avro"
time = "timestamp"
out_of_orderness = "0s"
idle_after = "1h"
[outputs.out]
topic = "{output}"
format = "avro"
[lookups.service]
url = "http://127.0.0.1:9/{{id}}"
[rules]
file = "{rules}"
time_limit = "10s"
fault_budget = 5
budget_window = 1000
[rules.settings]
do = "echo"
"#,
        brokers = stage.rig.brokers(),
        rules = env!("GUEST_ODD_WASM"),
    );
    std::fs::write(stage.file(), text).unwrap();
    topics
}

#[test]
fn rules_that_trap_go_back_by_themselves_on_both_processes() {
    let stage = Stage::new(Rig::shared(), Source::None);
    let name = format!("{}-odd", stage.name);
    let [input, output] = odd(&stage, &name);
    let file = stage.file();
    let [mut a, mut b] = both(&stage, &[]);
    let mut tail = Tail::new(stage.rig, &output);
    let mut letters = Tail::wait_for(stage.rig, &format!("{name}-dead-letters"));
    let mut second = 1_000_000;
    // Adds this many events in each partition. The last one only makes the others final.
    let mut put = |value: &str, count: i64| {
        let mut all = vec![];
        for partition in 0..PARTITIONS {
            let at = |number| second + number * 1000;
            let one = |number, value: &str| {
                let datum = [&[value.len() as u8 * 2], value.as_bytes()].concat();
                Record::avro(format!("key-{partition}"), 1, &datum)
                    .at(partition)
                    .time(at(number))
            };
            all.extend((0..count).map(|number| one(number, value)));
            all.push(one(count, "last"));
        }
        second += (count + 1) * 1000;
        stage.rig.produce(&input, &all).unwrap();
    };
    put("good", 10);
    // An event sends what the previous one has stored. So the first one of a key sends nothing.
    tail.until(4 * 9, PATIENCE, || (a.lives(), b.lives()).0);
    assert_eq!(
        rules(&file, &["set", "do=panic-on-poison"]).expect("it fits")["number"],
        2
    );
    put("good", 10);
    tail.until(4 * 20, PATIENCE, || (a.lives(), b.lives()).0);
    put("poison", 50);
    let deploys = |status: &Value| status["deploys"].as_array().cloned().unwrap_or_default();
    eventually("it goes back", || {
        let status = rules(&file, &["status"]).expect("it is told");
        deploys(&status).last().is_some_and(|last| last["state"] == "withdrawn")
    });
    // Every event comes exactly once, as an output or in the dead letters.
    let due = 4 * (9 + 1 + 10 + 1 + 50);
    let begun = Instant::now();
    while tail.records.len() + letters.records.len() < due {
        assert!(
            begun.elapsed() < PATIENCE,
            "{} and {}",
            tail.records.len(),
            letters.records.len()
        );
        a.lives();
        b.lives();
        tail.follow(Duration::from_millis(20));
        letters.follow(Duration::from_millis(20));
    }
    put("poison", 10);
    tail.until(due + 4 * 11 - letters.records.len(), PATIENCE, || {
        (a.lives(), b.lives()).0
    });
    let status = rules(&file, &["status"]).expect("it is told");
    let last = deploys(&status).pop().expect("two");
    let why = last["why"].as_str().unwrap_or_default();
    assert!(why.contains("rules.fault_budget") && why.contains("poison"), "{last}");
    assert!(
        (0..PARTITIONS).all(|task| status["taken"][task.to_string()] == 1),
        "{status}"
    );
    a.stop();
    b.stop();
    tail.follow(Duration::from_millis(300));
    letters.follow(Duration::from_millis(300));
    assert_eq!(tail.records.len() + letters.records.len(), due + 4 * 11);
    // A process refuses at most five, and the epoch that exceeds the budget is done again.
    assert!(letters.records.len() <= 10, "{} dead letters", letters.records.len());
}
