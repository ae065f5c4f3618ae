//! The tables that depend on no other table, each read from its keys, with its defaults.

use super::finding::Finding;
use super::pipeline::{Budget, EpochConfig, Format, LookupConfig, RulesFile, SchemaSource, StateConfig, TopicsConfig};
use super::section::Section;
use super::{properties, units};
use std::path::Path;
use std::time::Duration;

const MILLISECOND: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);
/// Longer durations are typing errors.
pub(super) const CENTURY: Duration = Duration::from_secs(36_500 * 86_400);
pub(super) const FORMATS: [(&str, Format); 2] = [("json", Format::Json), ("avro", Format::Avro)];
const DAY: Duration = Duration::from_secs(86_400);
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

pub(super) fn kafka(at: Section) -> Vec<(String, String)> {
    let mut properties = Vec::new();
    let findings = at.findings();
    let table = at.into_table();
    if table
        .get("bootstrap.servers")
        .is_none_or(|servers| servers.as_str().is_some_and(|text| text.trim().is_empty()))
    {
        let cure = "is missing; set it, for example bootstrap.servers = \"localhost:9092\"";
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
    for (key, why) in properties::refused(&properties) {
        let value = properties
            .iter()
            .find(|(given, _)| *given == key)
            .map_or("", |(_, value)| value);
        findings.add(Finding::error(
            format!("kafka.{key}"),
            value,
            format!("can't be set; remove it: {why}"),
        ));
    }
    properties
}

pub(super) fn schemas(mut at: Section, folder: &Path) -> Option<SchemaSource> {
    let (registry, files) = (at.text("registry"), at.text("folder"));
    let source = match (registry, files) {
        (Some(url), Some(_)) => {
            at.error(
                "folder",
                "",
                format!("there is {}, too; set only one of them", at.key("registry")),
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

/// Refuses a text that is not an HTTP URL.
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

pub(super) fn lookup(name: String, mut at: Section) -> LookupConfig {
    let url = at.required("url", "url = \"http://localhost:8080/sessions/{userSessionId}\"");
    if !url.is_empty() {
        match without_places(&url) {
            Some(plain) => web_address(&at, "url", &plain),
            None => at.error(
                "url",
                &url,
                "expected placeholders {field} of letters, digits and '_', each with its closing brace",
            ),
        }
    }
    let headers = headers(at.table("headers"));
    let lookup = LookupConfig {
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

/// The URL with `x` in place of each placeholder. `None` if a brace is not closed, or a placeholder has no name.
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
                "expected the name and the value of an HTTP header",
            )),
        }
    }
    headers
}

pub(super) fn rules(mut at: Section, folder: &Path) -> RulesFile {
    let file = at.required("file", "file = \"rules.wasm\"");
    let settings = json(toml::Value::Table(at.table("settings").into_table()));
    let rules = RulesFile {
        file: folder.join(file),
        settings,
        memory_limit: at.size("memory_limit", MIB..=4 * GIB, 64 * MIB) as usize,
        time_limit: at.duration("time_limit", MILLISECOND..=600 * SECOND, 100 * MILLISECOND),
        batch: at.number("batch", 1..=65_536, 256) as usize,
        deploy_limit: at.duration("deploy_limit", SECOND..=86_400 * SECOND, 300 * SECOND),
        budget: Budget {
            faults: at.number("fault_budget", 0..=1_000_000, 20) as usize,
            time: at.duration("time_budget", Duration::ZERO..=86_400 * SECOND, 5 * SECOND),
            window: at.number("budget_window", 1..=1_000_000_000, 10_000) as u64,
        },
    };
    at.finish();
    rules
}

/// The rules' settings in the form that the rules get. Dates become text.
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

pub(super) fn state(mut at: Section, folder: &Path) -> StateConfig {
    let state = StateConfig {
        dir: at.text("dir").map(|dir| folder.join(dir)),
        flush_bytes: at.size("flush_bytes", MIB..=1024 * GIB, 256 * MIB),
        compress: at.choice("compression", &[("none", false), ("producer", true)], false),
    };
    at.finish();
    state
}

pub(super) fn epoch(mut at: Section) -> EpochConfig {
    let epoch = EpochConfig {
        interval: at.duration("interval", MILLISECOND..=60 * SECOND, 50 * MILLISECOND),
        bytes: at.size("bytes", 64 * KIB..=GIB, 16 * MIB) as usize,
        buffer_bytes: at.size("buffer_bytes", 64 * KIB..=64 * GIB, 32 * MIB) as usize,
        transaction_timeout: at.duration("transaction_timeout", SECOND..=900 * SECOND, 10 * SECOND),
    };
    // Only half of it, because the open epoch may have to wait for the one that is being committed.
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

pub(super) fn topics(mut at: Section) -> TopicsConfig {
    let topics = TopicsConfig {
        journal_retention: at.duration("journal_retention", 60 * SECOND..=CENTURY, 7 * DAY),
        dead_letter_retention: at.duration("dead_letter_retention", 60 * SECOND..=CENTURY, 30 * DAY),
    };
    at.finish();
    topics
}
