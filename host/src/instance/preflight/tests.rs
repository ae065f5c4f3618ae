use super::*;
use crate::error::Failure;
use crate::registry::folder::Folder;
use std::collections::HashMap;
use std::path::Path;

fn config(sets: &[&str]) -> Config {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/money-avro/folder.toml");
    let sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
    Config::load(&file, &sets).unwrap()
}

fn shown(findings: Vec<Finding>) -> Vec<String> {
    findings.iter().map(Finding::to_string).collect()
}

fn info(partitions: i32, config: &[(&str, &str)]) -> TopicInfo {
    let config = config
        .iter()
        .map(|(key, value)| (key.to_string(), value.to_string()))
        .collect();
    TopicInfo {
        partitions,
        id: "x".into(),
        config,
    }
}

/// A cluster without problems.
fn cluster(config: &Config) -> HashMap<String, TopicInfo> {
    let mut topics = HashMap::new();
    for topic in [
        "user-session-events",
        "user-events",
        "wallet-events",
        "money-enriched-events",
    ] {
        topics.insert(topic.to_string(), info(4, &[("cleanup.policy", "delete")]));
    }
    for owned in config.owned_topics(4) {
        let settings: Vec<(&str, &str)> = owned
            .required
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        topics.insert(owned.name.clone(), info(owned.partitions, &settings));
    }
    topics
}

fn look_at(config: &Config, cluster: &HashMap<String, TopicInfo>) -> Vec<String> {
    shown(topics(config, &|name| Ok(cluster.get(name).cloned())))
}

#[test]
fn a_good_cluster_has_no_findings() {
    let config = config(&[]);
    let mut cluster = cluster(&config);
    assert_eq!(look_at(&config, &cluster), [""; 0]);
    cluster.retain(|name, _| !name.starts_with("money-") || name.ends_with("events"));
    assert_eq!(
        look_at(&config, &cluster),
        [""; 0],
        "owned topics are created at the start"
    );
}

#[test]
fn each_trouble_of_a_cluster_has_its_cure() {
    let config = config(&["inputs.user.on_data_loss=skip"]);
    let mut cluster = cluster(&config);
    cluster.insert(
        "user-session-events".into(),
        info(4, &[("cleanup.policy", "compact,delete")]),
    );
    cluster.insert("user-events".into(), info(3, &[("cleanup.policy", "compact")]));
    cluster.remove("money-enriched-events");
    cluster.insert(
        "money-changelog".into(),
        info(2, &[("cleanup.policy", "delete"), ("retention.ms", "604800000")]),
    );
    let expected = [
        "error: inputs.session.topic = user-session-events: is compacted: records vanish, and a replay gives other results; set cleanup.policy=delete, or on_data_loss = \"skip\"",
        "warning: inputs.user.topic = user-events: is compacted: records vanish, and a replay gives other results; set cleanup.policy=delete",
        "error: inputs = user-session-events 4, user-events 3, wallet-events 4: must have the same number of partitions: a key's records of all inputs are joined by partition number",
        "error: outputs.enriched.topic = money-enriched-events: there is no such topic; create it, or correct the name",
        "error: money-changelog = 2 partitions: must have 4 partitions; it belongs to Pelton: was it made by hand, or did the inputs change?",
        "error: money-changelog.retention.ms = 604800000: must be -1: kafka-configs.sh --alter --topic money-changelog --add-config retention.ms=-1",
    ];
    assert_eq!(look_at(&config, &cluster), expected);
    cluster.remove("wallet-events");
    assert!(
        look_at(&config, &cluster)
            .iter()
            .any(|finding| finding.starts_with("error: inputs.wallet.topic = wallet-events: there is no"))
    );
}

#[test]
fn a_cluster_that_is_away_is_one_finding() {
    let away = |_: &str| Err(Failure::Retry("no broker answers".into()));
    let expected = ["error: kafka.bootstrap.servers = localhost:9092: no broker answers"];
    assert_eq!(shown(topics(&config(&[]), &away)), expected);
}

#[test]
fn the_contract_has_its_schemas_and_times() {
    let config = config(&[]);
    let Some(SchemaSource::Folder(path)) = &config.schemas else {
        panic!()
    };
    let folder = Folder::open(path).unwrap();
    assert_eq!(shown(schemas(&config, &folder)), [""; 0]);
    let other = self::config(&[
        "inputs.user.topic=other",
        "outputs.enriched.topic=another",
        "inputs.wallet.time=value.amount",
        "inputs.session.time=value.at",
    ]);
    let found = shown(schemas(&other, &folder));
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(found[0].starts_with(
        "error: inputs.session.time = value.at: schema 2: UserSessionCreatedEvent has no field at; it has id,"
    ));
    assert!(
        found[1].starts_with("warning: inputs.user.topic = other: no file ID-other.avsc"),
        "{found:#?}"
    );
    assert!(
        found[2].contains("KindOfWalletEvent has no field") || found[2].contains("amount must be a long"),
        "{found:#?}"
    );
    assert!(
        found[3].starts_with("error: outputs.enriched.topic = another: no file"),
        "{found:#?}"
    );
}

#[test]
fn the_rules_names_are_those_of_the_config() {
    let config = config(&[]);
    assert_eq!(
        names(&config, &["wallet", "session", "user"], &["enriched"], &["session"]),
        []
    );
    let expected = [
        "error: inputs.walet: the rules read \"walet\"; add a table [inputs.walet], or use rules that do not",
        "warning: inputs.session: the rules do not read it (they read: walet, user); remove it",
        "warning: inputs.wallet: the rules do not read it (they read: walet, user); remove it",
        "error: lookups.more: the rules ask \"more\"; add a table [lookups.more], or use rules that do not",
    ];
    assert_eq!(
        shown(names(&config, &["walet", "user"], &["enriched"], &["session", "more"])),
        expected
    );
}

#[test]
fn the_rules_file_must_be_webassembly() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rules.wasm");
    let config = config(&[&format!("rules.file={}", file.display())]);
    assert!(rules_file(&config)[0].cure.contains("can't be read"));
    std::fs::write(&file, "text").unwrap();
    assert!(rules_file(&config)[0].cure.contains("is not WebAssembly"));
    std::fs::write(&file, b"\0asm\x01\0\0\0").unwrap();
    assert_eq!(rules_file(&config), []);
}
