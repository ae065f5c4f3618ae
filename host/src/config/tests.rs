//! Checks that the example files, which are the documentation, have every key and the true defaults.

use super::read::{config, config_and_keys};
use super::*;
use std::collections::BTreeSet;
use std::time::Duration;

const JSON: &str = include_str!("../../../examples/money-json/pelton.toml");
const AVRO: &str = include_str!("../../../examples/money-avro/pelton.toml");
const FOLDER: &str = include_str!("../../../examples/money-avro/folder.toml");

const MINIMAL: &str = r#"
name = "money"
[kafka]
bootstrap.servers = "localhost:9092"
[defaults]
time = "value.processedAt"
out_of_orderness = "20s"
[inputs]
session.topic = "user-session-events"
user.topic = "user-events"
wallet.topic = "wallet-events"
[outputs]
enriched.topic = "money-enriched-events"
[lookups]
session.url = "http://localhost:8080/sessions/{userSessionId}"
[rules]
file = "../../target/wasm32-unknown-unknown/guest/guest_enrich.wasm"
settings = { dedup_ttl = "1m", session_ttl = "1d", pending_ttl = "1h" }
"#;

fn no_env(_: &str) -> Option<String> {
    None
}

fn read_with(text: &str, sets: &[&str]) -> (Option<Config>, Vec<String>) {
    let sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
    let (config, findings) = config(text, Path::new("at"), &sets, &no_env);
    (config, findings.iter().map(Finding::to_string).collect())
}

fn good(text: &str, sets: &[&str]) -> Config {
    let (config, findings) = read_with(text, sets);
    config.unwrap_or_else(|| panic!("{findings:#?}"))
}

fn bad(text: &str, sets: &[&str]) -> Vec<String> {
    let (config, findings) = read_with(text, sets);
    assert!(config.is_none(), "{config:?}");
    findings
}

#[test]
fn the_annotated_defaults_are_the_defaults() {
    assert_eq!(good(JSON, &[]), good(MINIMAL, &[]));
    let settings = ["rules.settings={dedup_ttl='1m',session_ttl='1d',pending_ttl='1h'}"];
    let (registry, folder) = (good(AVRO, &[]), good(FOLDER, &settings));
    assert_eq!(
        registry.schemas,
        Some(SchemaSource::Registry("http://localhost:8081/apis/ccompat/v7".into()))
    );
    assert_eq!(folder.schemas, Some(SchemaSource::Folder("at/../schemas".into())));
    assert_eq!(
        Config {
            schemas: None,
            ..registry
        },
        Config {
            schemas: None,
            ..folder
        }
    );
}

#[test]
fn the_annotated_files_name_every_key() {
    for text in [JSON, AVRO] {
        let (_, _, known) = config_and_keys(text, Path::new(""), &[], &no_env);
        assert!(known.len() > 50, "{known:?}");
        let mentioned: BTreeSet<String> = mentioned(text);
        let left_out: Vec<_> = known.iter().filter(|key| !mentioned.contains(*key)).collect();
        assert!(left_out.is_empty(), "{left_out:?}");
    }
}

/// Every key in the file, in use or in a comment, as a pattern. A comment may list the keys of a table.
fn mentioned(text: &str) -> BTreeSet<String> {
    let mut table = String::new();
    let mut keys = BTreeSet::new();
    for line in text.lines() {
        let plain = line.trim_start_matches("# ");
        if let Some(name) = plain
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
            .map(|(name, _)| name)
        {
            let parts: Vec<&str> = name.split('.').collect();
            table = match parts[..] {
                [group @ ("inputs" | "outputs" | "lookups"), _] => format!("{group}.*"),
                _ => name.into(),
            };
            keys.insert(parts[0].into());
            keys.insert(table.clone());
        } else if line.starts_with('#') && !line.contains(" = ") {
            let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            keys.extend(words.map(|word| format!("{table}.{word}")));
        } else if let Some((key, _)) = plain.split_once(" = ") {
            keys.insert(if table.is_empty() {
                key.into()
            } else {
                format!("{table}.{key}")
            });
        }
    }
    keys
}

#[test]
fn the_order_of_the_file_is_the_rank() {
    let names = |config: Config| config.inputs.into_iter().map(|input| input.name).collect::<Vec<_>>();
    assert_eq!(names(good(JSON, &[])), ["session", "user", "wallet"]);
    let turned = MINIMAL.replace("session.topic = \"user-session-events\"\n", "");
    let turned = turned.replace(
        "[outputs]",
        "[inputs.session]\ntopic = \"user-session-events\"\n[outputs]",
    );
    assert_eq!(names(good(&turned, &[])), ["user", "wallet", "session"]);
}

#[test]
fn everything_wrong_is_found_at_once() {
    let text = r#"
nmae = "money"
http = "here"
[kafka]
group.id = "x"
[kafak]
[defaults]
time = "processedAt"
[inputs.wallet]
topc = "wallet events"
idle_after = "5"
[inputs.user]
topic = "user-events"
format = "avor"
start = "latest"
[inputs.session]
topic = "user-events"
format = "avro"
[lookups.session]
url = "http://localhost/{user"
retries = -1
[rules]
memory_limit = "1 potato"
[epoch]
interval = "8s"
"#;
    let expected = [
        r#"error: name: is missing; set it, for example name = "money""#,
        r#"error: http = "here": expected ADDRESS:PORT, for example "127.0.0.1:9464", or "off""#,
        "error: kafka.bootstrap.servers: is missing; set it, for example bootstrap.servers = \"localhost:9092\"",
        "error: kafka.group.id = x: can't be set; remove it: it is the name of the pipeline",
        r#"error: defaults.time = "processedAt": expected "value.FIELD" (a top-level field of the value) or "timestamp" (of the Kafka record)"#,
        r#"error: inputs.wallet.topic: is missing; set it, for example topic = "wallet-events""#,
        r#"error: inputs.wallet.idle_after = "5": expected a duration with its unit (ms, s, m, h, d) from "100ms" to "36500d""#,
        r#"error: inputs.wallet.topc = "wallet events": unknown key; did you mean topic?"#,
        r#"error: inputs.user.format = "avor": expected "json" or "avro"; did you mean "avro"?"#,
        r#"error: lookups.session.url = http://localhost/{user: expected placeholders {field} of letters, digits and '_', each with its closing brace"#,
        "error: lookups.session.retries = -1: expected a whole number from 0 to 100",
        r#"error: rules.file: is missing; set it, for example file = "rules.wasm""#,
        r#"error: rules.memory_limit = "1 potato": expected a size with its unit (B, KiB, MiB, GiB) from "1MiB" to "4GiB""#,
        "error: epoch.interval = 8s: expected at most half of epoch.transaction_timeout",
        r#"error: inputs.session.format = "avro": Avro needs schemas; set schemas.registry (a URL) or schemas.folder (of ID-TOPIC.avsc files)"#,
        r#"error: inputs.session.topic = "user-events": is also the topic of inputs.user; each needs its own"#,
        r#"error: nmae = "money": unknown key; did you mean name?"#,
        "error: kafak: unknown key; did you mean kafka?",
    ];
    assert_eq!(bad(text, &[]), expected);
}

#[test]
fn a_set_overrides_any_key() {
    let sets = [
        "inputs.wallet.topic=other",
        "epoch.interval=20ms",
        "kafka.bootstrap.servers=there:9092",
        "kafka.security.protocol=ssl",
        "kafka.some.version=1.0",
        "rules.settings.dedup_ttl=2m",
        "rules.settings.rates=[1, 2.5]",
        "rules.settings.rates.0=7",
        "workers=3",
        "instance=1",
        "lookups.session.headers.Authorization=Bearer x=y",
        "inputs.late.topic=late-events",
    ];
    let config = good(MINIMAL, &sets);
    assert_eq!(config.inputs[2].topic, "other");
    assert_eq!(config.inputs[3].topic, "late-events");
    assert_eq!(config.epoch.interval, Duration::from_millis(20));
    let kafka: Vec<(&str, &str)> = config
        .kafka
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    let expected = [
        ("bootstrap.servers", "there:9092"),
        ("security.protocol", "ssl"),
        ("some.version", "1.0"),
    ];
    assert_eq!(kafka, expected);
    assert_eq!(config.rules.settings["dedup_ttl"], "2m");
    assert_eq!(config.rules.settings["rates"], serde_json::json!([7, 2.5]));
    assert_eq!((config.workers, config.instance.as_str()), (3, "1"));
    assert_eq!(
        config.lookups[0].headers,
        [("Authorization".into(), "Bearer x=y".into())]
    );
}

#[test]
fn a_wrong_set_is_a_finding() {
    let sets = [
        "workers",
        "inputs.wallet.topc=x",
        "name.x=y",
        "workers=many",
        "a..b=1",
        "rules.settings.list=[1]",
        "rules.settings.list.1=2",
    ];
    let expected = [
        "error: workers: --set needs KEY=VALUE, for example --set epoch.interval=20ms",
        "error: name.x = y: name is a value, not a table, and has no keys",
        "error: a..b = 1: --set needs a dotted path, for example inputs.wallet.topic",
        "error: rules.settings.list.1 = 2: list is a list of 1; give an index below 1",
        r#"error: workers = "many": expected a whole number from 1 to 1024"#,
        r#"error: inputs.wallet.topc = "x": unknown key; did you mean topic?"#,
    ];
    assert_eq!(bad(MINIMAL, &sets), expected);
}

#[test]
fn environment_variables_are_filled_in() {
    let env = |name: &str| match name {
        "HOST" => Some("there".to_string()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    let filled = |value: &str| {
        let sets = [format!("kafka.x='{value}'")];
        let (config, findings) = config(MINIMAL, Path::new(""), &sets, &env);
        config
            .map(|config| config.kafka[1].1.clone())
            .ok_or_else(|| findings[0].to_string())
    };
    assert_eq!(
        filled("${HOST}:9092,${PORT:-1}${HOST:-x}").unwrap(),
        "there:9092,1there"
    );
    assert_eq!(filled("[${EMPTY}][${EMPTY:-default}]").unwrap(), "[][default]");
    assert_eq!(filled("$${HOST} $HOST $").unwrap(), "${HOST} $HOST $");
    let expected = "error: kafka.x = ${NOT}: the environment variable NOT is not set; set it, or write ${NOT:-default}";
    assert_eq!(filled("${NOT}").unwrap_err(), expected);
    assert!(filled("${NOT").unwrap_err().contains("has no closing brace"));
}

#[test]
fn kafka_properties_may_be_quoted_or_nested() {
    let quoted = MINIMAL.replace(
        "bootstrap.servers =",
        "\"retry.backoff.ms\" = 5\nssl = { key.location = \"k\" }\n\"bootstrap.servers\" =",
    );
    let nested = MINIMAL.replace(
        "bootstrap.servers =",
        "retry.backoff.ms = 5\nssl.key.location = 'k'\nbootstrap.servers =",
    );
    assert_eq!(good(&quoted, &[]).kafka, good(&nested, &[]).kafka);
    assert_eq!(good(&quoted, &[]).kafka.len(), 3);
}

#[test]
fn an_open_address_is_a_warning() {
    let (config, findings) = read_with(MINIMAL, &["http=0.0.0.0:9464"]);
    assert_eq!(config.unwrap().http.unwrap().port(), 9464);
    assert!(
        findings[0].starts_with("warning: http = 0.0.0.0:9464: anyone"),
        "{findings:?}"
    );
    assert_eq!(good(MINIMAL, &["http=off"]).http, None);
}

#[test]
fn what_is_no_file_and_no_toml_is_said() {
    let (none, findings) = Config::examine(Path::new("not/there.toml"), &[]);
    assert!(
        none.is_none() && findings[0].to_string().contains("not/there.toml: can't be read"),
        "{findings:?}"
    );
    let why = &bad("name = \"a\"\nsasl.password = \"s3cret\nmore = 1", &[])[0];
    assert!(
        why.contains("is not TOML at line 2, column 24: ") && !why.contains("s3cret"),
        "{why}"
    );
}

#[test]
fn topics_that_collide_are_refused() {
    assert!(bad(MINIMAL, &["outputs.enriched.topic=wallet-events"])[0].contains("is also the topic of inputs.wallet;"));
    assert!(bad(MINIMAL, &["inputs.user.topic=money-journal"])[0].contains("is also the topic of Pelton itself;"));
    let two = good(MINIMAL, &["outputs.more.topic=money-enriched-events"]);
    assert_eq!(two.outputs.len(), 2);
}
