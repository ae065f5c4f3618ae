//! From the tables of the file to a [`Config`], with every default.
//!
//! Rule: each default stands here once, and in `examples/*/pelton.toml` for the reader; a test holds them equal.

use super::overlay::{fill, flatten_kafka, set};
use super::section::{Findings, Section};
use super::*;
use std::collections::BTreeMap;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
/// Longer is a typing error.
const CENTURY: Duration = Duration::from_secs(36_500 * 86_400);
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

const FORMATS: [(&str, Format); 2] = [("json", Format::Json), ("avro", Format::Avro)];

/// Reads a file's text; `folder`: what relative paths start from.
pub(super) fn config(
    text: &str,
    folder: &Path,
    sets: &[String],
    env: &dyn Fn(&str) -> Option<String>,
) -> (Option<Config>, Vec<Finding>) {
    let (config, findings, _) = config_and_keys(text, folder, sets, env);
    (config, findings)
}

/// As [`config`], and all keys that there are.
pub(super) fn config_and_keys(
    text: &str,
    folder: &Path,
    sets: &[String],
    env: &dyn Fn(&str) -> Option<String>,
) -> (Option<Config>, Vec<Finding>, std::collections::BTreeSet<String>) {
    let mut table: toml::Table = match toml::from_str(text) {
        Ok(table) => table,
        Err(error) => {
            let cure = format!("is not TOML: {}", error.to_string().trim_end());
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
    let inputs: Vec<Input> = root
        .tables("inputs")
        .into_iter()
        .map(|(name, at)| input(name, at, &defaults))
        .collect();
    if inputs.is_empty() {
        root.error(
            "inputs",
            "",
            "there are none; add a table [inputs.NAME] with its topic for each stream that the rules read",
        );
    }
    let outputs: Vec<Output> = root
        .tables("outputs")
        .into_iter()
        .map(|(name, at)| output(name, at, &defaults))
        .collect();
    let lookups: Vec<Lookup> = root
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

/// Refuses what a topic's name can't hold; names of pipelines and instances become parts of topics and ids.
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
                let cure = "whoever reaches this address may deploy rules; use 127.0.0.1, or guard it by a firewall";
                root.findings().add(Finding::warning("http", text, cure));
            }
            Some(address)
        }
        Err(_) => {
            root.error(
                "http",
                format!("{text:?}"),
                "expected ADDRESS:PORT, such as \"127.0.0.1:9464\", or \"off\"",
            );
            None
        }
    }
}

fn kafka(at: Section) -> Vec<(String, String)> {
    let mut properties = Vec::new();
    let findings = at.findings();
    let table = at.into_table();
    if table
        .get("bootstrap.servers")
        .is_none_or(|servers| servers.as_str().is_some_and(|text| text.trim().is_empty()))
    {
        let cure = "is missing; give it, such as bootstrap.servers = \"localhost:9092\"";
        findings.add(Finding::error("kafka.bootstrap.servers", "", cure));
    }
    for (key, value) in table {
        match value {
            toml::Value::String(text) => properties.push((key, text)),
            toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) => {
                properties.push((key, value.to_string()));
            }
            value => findings.add(Finding::error(
                format!("kafka.{key}"),
                value.to_string(),
                "expected text, a number, true or false",
            )),
        }
    }
    properties
}

fn schemas(mut at: Section, folder: &Path) -> Option<SchemaSource> {
    let (registry, files) = (at.text("registry"), at.text("folder"));
    let source = match (registry, files) {
        (Some(url), Some(_)) => {
            at.error(
                "folder",
                "",
                format!("there is {} too; give one of them", at.key("registry")),
            );
            Some(SchemaSource::Registry(url))
        }
        (Some(url), None) => {
            web_address(&at, "registry", &url);
            Some(SchemaSource::Registry(url))
        }
        (None, Some(path)) => Some(SchemaSource::Folder(folder.join(path))),
        (None, None) => None,
    };
    at.finish();
    source
}

/// Refuses what is no URL for HTTP.
fn web_address(at: &Section, key: &str, text: &str) {
    match reqwest::Url::parse(text) {
        Ok(url) if url.scheme() == "http" && url.has_host() => {}
        Ok(url) if url.scheme() == "https" && url.has_host() => {
            if !cfg!(feature = "kafka") {
                at.error(
                    key,
                    text,
                    "this build has no TLS; use http://, or build with the feature `kafka`",
                );
            }
        }
        _ => at.error(key, text, "expected a URL that starts with http:// or https://"),
    }
}

/// What every input or output takes that does not say otherwise.
struct Defaults {
    format: Format,
    input: Input,
}

impl Defaults {
    fn read(mut at: Section) -> Self {
        let format = at.choice("format", &FORMATS, Format::Json);
        let plain = Input {
            name: String::new(),
            topic: String::new(),
            format,
            time: TimeSource::Timestamp,
            out_of_orderness: 5_000,
            max_ahead: 3_600_000,
            idle_after: 30 * SECOND,
            start: Start::Earliest,
            on_data_loss: OnDataLoss::Stop,
        };
        let input = common(&mut at, plain);
        at.finish();
        Defaults { format, input }
    }
}

/// The keys that `[defaults]` and `[inputs.*]` share, without the format.
fn common(at: &mut Section, otherwise: Input) -> Input {
    let millis = |duration: Duration| duration.as_millis() as Millis;
    let back = |millis: Millis| Duration::from_millis(millis as u64);
    let time = at.text("time").map(|text| match text.as_str() {
        "timestamp" => TimeSource::Timestamp,
        text => match text.strip_prefix("value.") {
            Some(field) if !field.is_empty() && !field.contains('.') => TimeSource::Field(field.into()),
            _ => {
                let cure =
                    "expected \"value.FIELD\" (a field at top level of the value) or \"timestamp\" (the record's own)";
                at.error("time", format!("{text:?}"), cure);
                TimeSource::Timestamp
            }
        },
    });
    Input {
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
            &[("earliest", Start::Earliest), ("latest", Start::Latest)],
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

fn input(name: String, mut at: Section, defaults: &Defaults) -> Input {
    let topic = at.required("topic", "topic = \"wallet-events\"");
    topic_part(&at, "topic", &topic);
    let format = at.choice("format", &FORMATS, defaults.format);
    let input = common(
        &mut at,
        Input {
            name,
            topic,
            format,
            ..defaults.input.clone()
        },
    );
    at.finish();
    input
}

fn output(name: String, mut at: Section, defaults: &Defaults) -> Output {
    let topic = at.required("topic", "topic = \"money-enriched-events\"");
    topic_part(&at, "topic", &topic);
    let format = at.choice("format", &FORMATS, defaults.format);
    at.finish();
    Output { name, topic, format }
}

fn lookup(name: String, mut at: Section) -> Lookup {
    let url = at.required("url", "url = \"http://localhost:8080/sessions/{userSessionId}\"");
    if !url.is_empty() {
        match without_places(&url) {
            Some(plain) => web_address(&at, "url", &plain),
            None => at.error(
                "url",
                &url,
                "expected places as {field}, of letters, digits and '_', each closed",
            ),
        }
    }
    let headers = headers(at.table("headers"));
    let lookup = Lookup {
        name,
        url,
        headers,
        format: at.choice("format", &FORMATS, Format::Json),
        timeout: at.duration("timeout", MILLISECOND..=600 * SECOND, 2 * SECOND),
        retries: at.number("retries", 0..=100, 3) as u32,
        backoff: at.duration("backoff", MILLISECOND..=30 * SECOND, 100 * MILLISECOND),
        in_flight: at.number("in_flight", 1..=10_000, 32) as usize,
        breaker_failures: at.number("breaker_failures", 1..=1_000_000, 20) as u32,
        breaker_pause: at.duration("breaker_pause", MILLISECOND..=DAY, 5 * SECOND),
        body_limit: at.size("body_limit", 1..=16 * MIB, 256 * KIB) as usize,
    };
    at.finish();
    lookup
}

/// The URL with `x` at its places. None: a brace is not closed, or a place has no name.
fn without_places(url: &str) -> Option<String> {
    let mut plain = String::new();
    let mut rest = url;
    while let Some(start) = rest.find(['{', '}']) {
        let name = rest[start..].strip_prefix('{')?;
        let end = name.find('}')?;
        let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if end == 0 || !name[..end].chars().all(good) {
            return None;
        }
        plain.push_str(&rest[..start]);
        plain.push('x');
        rest = &name[end + 1..];
    }
    Some(plain + rest)
}

fn headers(at: Section) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    let path = at.key("");
    let findings = at.findings();
    for (name, value) in at.into_table() {
        let known = reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_ok();
        match value {
            toml::Value::String(text) if known && reqwest::header::HeaderValue::from_str(&text).is_ok() => {
                headers.push((name, text))
            }
            value => findings.add(Finding::error(
                format!("{path}{name}"),
                value.to_string(),
                "expected the name and the text of an HTTP header",
            )),
        }
    }
    headers
}

fn rules(mut at: Section, folder: &Path) -> RulesFile {
    let file = at.required("file", "file = \"rules.wasm\"");
    let settings = json(toml::Value::Table(at.table("settings").into_table()));
    let rules = RulesFile {
        file: folder.join(file),
        settings,
        memory_limit: at.size("memory_limit", MIB..=4 * GIB, 64 * MIB) as usize,
        time_limit: at.duration("time_limit", MILLISECOND..=600 * SECOND, 100 * MILLISECOND),
        batch: at.number("batch", 1..=65_536, 256) as usize,
    };
    at.finish();
    rules
}

/// The rules' settings as the rules get them. Dates become text.
fn json(value: toml::Value) -> serde_json::Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json).collect(),
        toml::Value::Table(table) => table.into_iter().map(|(key, value)| (key, json(value))).collect(),
    }
}

fn state(mut at: Section, folder: &Path) -> State {
    let state = State {
        dir: at.text("dir").map(|dir| folder.join(dir)),
        flush_bytes: at.size("flush_bytes", MIB..=1024 * GIB, 256 * MIB),
    };
    at.finish();
    state
}

fn epoch(mut at: Section) -> Epoch {
    let epoch = Epoch {
        interval: at.duration("interval", MILLISECOND..=60 * SECOND, 50 * MILLISECOND),
        bytes: at.size("bytes", 64 * KIB..=GIB, 16 * MIB) as usize,
        buffer_bytes: at.size("buffer_bytes", 64 * KIB..=64 * GIB, 32 * MIB) as usize,
        transaction_timeout: at.duration("transaction_timeout", SECOND..=900 * SECOND, 10 * SECOND),
    };
    // Half of it: the open epoch may wait for the one that is being committed.
    if epoch.interval * 2 > epoch.transaction_timeout {
        let value = units::show_duration(epoch.interval);
        at.error(
            "interval",
            value,
            format!("expected at most half of {}", at.key("transaction_timeout")),
        );
    }
    at.finish();
    epoch
}

fn topics(mut at: Section) -> Topics {
    let topics = Topics {
        journal_retention: at.duration("journal_retention", 60 * SECOND..=CENTURY, 7 * DAY),
        dead_letter_retention: at.duration("dead_letter_retention", 60 * SECOND..=CENTURY, 30 * DAY),
    };
    at.finish();
    topics
}

/// What no single key shows.
fn check(root: &Section, config: &Config) {
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    for owned in config.owned_topics(1) {
        taken.insert(owned.name, "Pelton's own".into());
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
            let cure = "Avro needs schemas: give schemas.registry (a URL) or schemas.folder (of ID-TOPIC.avsc files)";
            root.error(&format!("{path}.format"), "\"avro\"", cure);
        }
        match taken.get(topic) {
            // Two outputs may share a topic.
            Some(other) if !(path.starts_with("outputs.") && other.starts_with("outputs.")) => {
                root.error(
                    &format!("{path}.topic"),
                    format!("{topic:?}"),
                    format!("is the topic of {other} too; each needs its own"),
                );
            }
            _ if topic.is_empty() => {}
            _ => _ = taken.insert(topic.clone(), path),
        }
    }
    for lookup in &config.lookups {
        if lookup.format == Format::Avro && config.schemas.is_none() {
            let cure = "Avro needs schemas: give schemas.registry (a URL) or schemas.folder (of ID-TOPIC.avsc files)";
            root.error(&format!("lookups.{}.format", lookup.name), "\"avro\"", cure);
        }
    }
}
