//! Reads a [`Config`] from the tables of the file, with every default.
//!
//! Rule: each default is written here once, and in `examples/*/pelton.toml` for readers. A test compares the two.

use super::finding::Finding;
use super::overlay::{fill, flatten_kafka, set};
use super::pipeline::{
    Config, Format, InputConfig, LogFormat, LookupConfig, OnDataLoss, OutputConfig, StartAt, TimeSource,
};
use super::section::{Findings, Section};
use super::tables::{CENTURY, FORMATS, SECOND, epoch, kafka, lookup, rules, schemas, state, topics};
use crate::record::Millis;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const MILLISECOND: Duration = Duration::from_millis(1);

/// Reads a file's text. Relative paths start from `folder`.
pub(super) fn config(
    text: &str,
    folder: &Path,
    sets: &[String],
    env: &dyn Fn(&str) -> Option<String>,
) -> (Option<Config>, Vec<Finding>) {
    let (config, findings, _) = config_and_keys(text, folder, sets, env);
    (config, findings)
}

/// Like [`config`], and also returns all keys that exist.
pub(super) fn config_and_keys(
    text: &str,
    folder: &Path,
    sets: &[String],
    env: &dyn Fn(&str) -> Option<String>,
) -> (Option<Config>, Vec<Finding>, std::collections::BTreeSet<String>) {
    let mut table: toml::Table = match toml::from_str(text) {
        Ok(table) => table,
        Err(error) => {
            // Without the line itself, which may have a password.
            let place = error.span().map_or_else(String::new, |span| place(text, span.start));
            let cure = format!("is not TOML{place}: {}", error.message());
            return (None, vec![Finding::error("(file)", "", cure)], Default::default());
        }
    };
    let mut early = Vec::new();
    flatten_kafka(&mut table);
    for assignment in sets {
        set(&mut table, assignment, &mut early);
    }
    flatten_kafka(&mut table);
    let mut value = toml::Value::Table(table);
    fill("", &mut value, env, &mut early);
    let toml::Value::Table(table) = value else {
        unreachable!("`fill` keeps the shape")
    };
    let findings = Findings::default();
    early.into_iter().for_each(|finding| findings.add(finding));
    let config = read(Section::root(table, &findings), folder);
    let config = (!findings.has_error()).then_some(config);
    let (mut findings, known) = findings.into_parts();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    (config, findings, known)
}

/// Where in a text this byte is, for people.
fn place(text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    format!(" at line {line}, column {column}")
}

fn read(mut root: Section, folder: &Path) -> Config {
    let name = root.required("name", "name = \"money\"");
    topic_part(&root, "name", &name);
    let instance = root.text("instance").unwrap_or_else(|| "0".into());
    topic_part(&root, "instance", &instance);
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as i64);
    let workers = root.number("workers", 1..=1024, cores) as usize;
    let http = address(&mut root);
    let log = root.choice(
        "log",
        &[("human", LogFormat::Human), ("json", LogFormat::Json)],
        LogFormat::Human,
    );
    let kafka = kafka(root.table("kafka"));
    let schemas = schemas(root.table("schemas"), folder);
    let defaults = Defaults::read(root.table("defaults"));
    let inputs: Vec<InputConfig> = root
        .tables("inputs")
        .into_iter()
        .map(|(name, at)| input(name, at, &defaults))
        .collect();
    if inputs.is_empty() {
        root.error(
            "inputs",
            "",
            "there are no inputs; add a table [inputs.NAME] with its topic for each stream that the rules read",
        );
    }
    let outputs: Vec<OutputConfig> = root
        .tables("outputs")
        .into_iter()
        .map(|(name, at)| output(name, at, &defaults))
        .collect();
    let lookups: Vec<LookupConfig> = root
        .tables("lookups")
        .into_iter()
        .map(|(name, at)| lookup(name, at))
        .collect();
    let config = Config {
        rules: rules(root.table("rules"), folder),
        state: state(root.table("state"), folder),
        epoch: epoch(root.table("epoch")),
        topics: topics(root.table("topics")),
        name,
        instance,
        workers,
        kafka,
        schemas,
        inputs,
        outputs,
        lookups,
        http,
        log,
    };
    check(&root, &config);
    root.finish();
    config
}

/// Refuses what the name of a topic can't contain. Names of pipelines and instances become parts of topics and ids.
fn topic_part(at: &Section, key: &str, text: &str) {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    // A topic has at most 249 characters; `-dead-letters` has 13.
    if !text.is_empty() && (text.len() > 200 || !text.chars().all(good) || text == "." || text == "..") {
        at.error(
            key,
            format!("{text:?}"),
            "expected up to 200 letters, digits, '.', '_' and '-', as in a topic's name",
        );
    }
}

fn address(root: &mut Section) -> Option<std::net::SocketAddr> {
    let text = root.text("http").unwrap_or_else(|| "127.0.0.1:9464".into());
    if text == "off" {
        return None;
    }
    match text.parse::<std::net::SocketAddr>() {
        Ok(address) => {
            if !address.ip().is_loopback() {
                let cure =
                    "anyone who can reach this address may deploy rules; use 127.0.0.1, or protect it with a firewall";
                root.findings().add(Finding::warning("http", text, cure));
            }
            Some(address)
        }
        Err(_) => {
            root.error(
                "http",
                format!("{text:?}"),
                "expected ADDRESS:PORT, for example \"127.0.0.1:9464\", or \"off\"",
            );
            None
        }
    }
}

/// Defaults for every input or output that does not set the key itself.
struct Defaults {
    format: Format,
    input: InputConfig,
}

impl Defaults {
    fn read(mut at: Section) -> Self {
        let format = at.choice("format", &FORMATS, Format::Json);
        let plain = InputConfig {
            name: String::new(),
            topic: String::new(),
            format,
            time: TimeSource::Timestamp,
            out_of_orderness: 5_000,
            max_ahead: 3_600_000,
            idle_after: 30 * SECOND,
            start: StartAt::Earliest,
            on_data_loss: OnDataLoss::Stop,
        };
        let input = common(&mut at, plain);
        at.finish();
        Defaults { format, input }
    }
}

/// The keys that `[defaults]` and `[inputs.*]` share, without the format.
fn common(at: &mut Section, otherwise: InputConfig) -> InputConfig {
    let millis = |duration: Duration| duration.as_millis() as Millis;
    let back = |millis: Millis| Duration::from_millis(millis as u64);
    let time = at.text("time").map(|text| match text.as_str() {
        "timestamp" => TimeSource::Timestamp,
        text => match text.strip_prefix("value.") {
            Some(field) if !field.is_empty() && !field.contains('.') => TimeSource::Field(field.into()),
            _ => {
                let cure =
                    "expected \"value.FIELD\" (a top-level field of the value) or \"timestamp\" (of the Kafka record)";
                at.error("time", format!("{text:?}"), cure);
                TimeSource::Timestamp
            }
        },
    });
    InputConfig {
        time: time.unwrap_or(otherwise.time),
        out_of_orderness: millis(at.duration(
            "out_of_orderness",
            Duration::ZERO..=CENTURY,
            back(otherwise.out_of_orderness),
        )),
        max_ahead: millis(at.duration("max_ahead", SECOND..=CENTURY, back(otherwise.max_ahead))),
        idle_after: at.duration("idle_after", 100 * MILLISECOND..=CENTURY, otherwise.idle_after),
        start: at.choice(
            "start",
            &[("earliest", StartAt::Earliest), ("latest", StartAt::Latest)],
            otherwise.start,
        ),
        on_data_loss: at.choice(
            "on_data_loss",
            &[("stop", OnDataLoss::Stop), ("skip", OnDataLoss::Skip)],
            otherwise.on_data_loss,
        ),
        ..otherwise
    }
}

fn input(name: String, mut at: Section, defaults: &Defaults) -> InputConfig {
    let topic = at.required("topic", "topic = \"wallet-events\"");
    topic_part(&at, "topic", &topic);
    let format = at.choice("format", &FORMATS, defaults.format);
    let input = common(
        &mut at,
        InputConfig {
            name,
            topic,
            format,
            ..defaults.input.clone()
        },
    );
    at.finish();
    input
}

fn output(name: String, mut at: Section, defaults: &Defaults) -> OutputConfig {
    let topic = at.required("topic", "topic = \"money-enriched-events\"");
    topic_part(&at, "topic", &topic);
    let format = at.choice("format", &FORMATS, defaults.format);
    at.finish();
    OutputConfig { name, topic, format }
}

/// Checks that involve several keys.
fn check(root: &Section, config: &Config) {
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    for owned in config.owned_topics(1) {
        taken.insert(owned.name, "Pelton itself".into());
    }
    let inputs = config
        .inputs
        .iter()
        .map(|input| (format!("inputs.{}", input.name), &input.topic, input.format));
    let outputs = config
        .outputs
        .iter()
        .map(|output| (format!("outputs.{}", output.name), &output.topic, output.format));
    for (path, topic, format) in inputs.chain(outputs) {
        if format == Format::Avro && config.schemas.is_none() {
            let cure = "Avro needs schemas; set schemas.registry (a URL) or schemas.folder (of ID-TOPIC.avsc files)";
            root.error(&format!("{path}.format"), "\"avro\"", cure);
        }
        match taken.get(topic) {
            // Two outputs may share a topic.
            Some(other) if !(path.starts_with("outputs.") && other.starts_with("outputs.")) => {
                root.error(
                    &format!("{path}.topic"),
                    format!("{topic:?}"),
                    format!("is also the topic of {other}; each needs its own"),
                );
            }
            _ if topic.is_empty() => {}
            _ => _ = taken.insert(topic.clone(), path),
        }
    }
    for lookup in &config.lookups {
        if lookup.format == Format::Avro && config.schemas.is_none() {
            let cure = "Avro needs schemas; set schemas.registry (a URL) or schemas.folder (of ID-TOPIC.avsc files)";
            root.error(&format!("lookups.{}.format", lookup.name), "\"avro\"", cure);
        }
    }
}
