//! Changes to the file before it is read: environment variables and `--set KEY=VALUE`.
//!
//! Rule: an override wins over the file, may name any key by its dotted path, and is checked like the file.

use super::Finding;
use thiserror::Error;
use toml::{Table, Value};

/// Why a file can't be changed as wanted, and what to do.
#[derive(Debug, Error)]
enum OverlayError {
    #[error("{name} is a list of {len}; give an index below {len}")]
    NoItem { name: String, len: usize },
    #[error("{0} is a value, not a table, and has no keys")]
    NotATable(String),
    #[error("${{ has no closing brace; write $${{ for the text ${{")]
    NoBrace,
    #[error("the environment variable {0} is not set; set it, or write ${{{0}:-default}}")]
    NotSet(String),
}

/// Flattens the `[kafka]` table, so that `bootstrap.servers` is the same key in quotes or nested.
pub(super) fn flatten_kafka(root: &mut Table) {
    if let Some(Value::Table(kafka)) = root.get_mut("kafka") {
        let mut flat = Table::new();
        flatten("", std::mem::take(kafka), &mut flat);
        *kafka = flat;
    }
}

fn flatten(prefix: &str, table: Table, into: &mut Table) {
    for (key, value) in table {
        let path = format!("{prefix}{key}");
        match value {
            Value::Table(inner) => flatten(&format!("{path}."), inner, into),
            value => _ = into.insert(path, value),
        }
    }
}

/// Applies one `key=value`.
pub(super) fn set(root: &mut Table, assignment: &str, findings: &mut Vec<Finding>) {
    let Some((key, text)) = assignment.split_once('=') else {
        findings.push(Finding::error(
            assignment,
            "",
            "--set needs KEY=VALUE, for example --set epoch.interval=20ms",
        ));
        return;
    };
    let (key, text) = (key.trim(), text.trim());
    let path: Vec<&str> = match key.strip_prefix("kafka.") {
        Some(property) => vec!["kafka", property],
        None => key.split('.').collect(),
    };
    if path.iter().any(|part| part.is_empty()) {
        findings.push(Finding::error(
            key,
            text,
            "--set needs a dotted path, for example inputs.wallet.topic",
        ));
        return;
    }
    let value = value_of(text, key.starts_with("rules.settings."));
    if let Err(cure) = put(root, &path, value) {
        findings.push(Finding::error(key, text, cure.to_string()));
    }
}

/// Reads a value as TOML, or else as text. Outside the rules' own settings, floats and dates stay text: `1.0` may be a version.
fn value_of(text: &str, all: bool) -> Value {
    let parsed = toml::from_str::<Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value"));
    match parsed {
        Some(Value::Float(_) | Value::Datetime(_)) if !all => Value::String(text.into()),
        Some(value) => value,
        None => Value::String(text.into()),
    }
}

fn put(table: &mut Table, path: &[&str], value: Value) -> Result<(), OverlayError> {
    // A path is never empty: `split` yields at least one part.
    let (first, rest) = (path[0], &path[1..]);
    if rest.is_empty() {
        table.insert(first.into(), value);
        return Ok(());
    }
    let below = table.entry(first).or_insert_with(|| Value::Table(Table::new()));
    put_below(below, first, rest, value)
}

fn put_below(at: &mut Value, name: &str, rest: &[&str], value: Value) -> Result<(), OverlayError> {
    match at {
        Value::Table(table) => put(table, rest, value),
        Value::Array(items) => {
            let len = items.len();
            let item = rest[0].parse().ok().and_then(|index: usize| items.get_mut(index));
            let Some(item) = item else {
                return Err(OverlayError::NoItem { name: name.into(), len });
            };
            if rest.len() == 1 {
                *item = value;
                return Ok(());
            }
            put_below(item, rest[0], &rest[1..], value)
        }
        _ => Err(OverlayError::NotATable(name.into())),
    }
}

/// Replaces `${NAME}` and `${NAME:-default}` in every text. `$${` stands for `${`.
pub(super) fn fill(at: &str, value: &mut Value, env: &dyn Fn(&str) -> Option<String>, findings: &mut Vec<Finding>) {
    match value {
        Value::String(text) if text.contains("${") => match filled(text, env) {
            Ok(new) => *text = new,
            Err(cure) => findings.push(Finding::error(at, text.clone(), cure.to_string())),
        },
        Value::Table(table) => {
            for (key, value) in table.iter_mut() {
                let path = if at.is_empty() {
                    key.clone()
                } else {
                    format!("{at}.{key}")
                };
                fill(&path, value, env, findings);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                fill(&format!("{at}.{index}"), item, env, findings);
            }
        }
        _ => {}
    }
}

fn filled(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, OverlayError> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        if rest[..start].ends_with('$') {
            out.push_str(&rest[..start - 1]);
            out.push_str("${");
            rest = &rest[start + 2..];
            continue;
        }
        out.push_str(&rest[..start]);
        let Some(len) = rest[start..].find('}') else {
            return Err(OverlayError::NoBrace);
        };
        let inside = &rest[start + 2..start + len];
        let (name, default) = inside
            .split_once(":-")
            .map_or((inside, None), |(name, default)| (name, Some(default)));
        // As in a shell, `:-` also replaces an empty value.
        let value = env(name).filter(|value| default.is_none() || !value.is_empty());
        match (value, default) {
            (Some(value), _) => out.push_str(&value),
            (None, Some(default)) => out.push_str(default),
            (None, None) => return Err(OverlayError::NotSet(name.into())),
        }
        rest = &rest[start + len + 1..];
    }
    out.push_str(rest);
    Ok(out)
}
