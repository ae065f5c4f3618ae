//! One table of the file, read key by key.
//!
//! Rule: a key is known because the code asks for it. Keys that nothing has asked for are unknown, and are refused with
//! the nearest known key. A wrong value is a finding and is read as its default, so that reading always goes on.

use super::units::{parse_duration, parse_size, show_duration, show_size};
use super::{Finding, Severity};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;
use toml::{Table, Value};

/// The findings so far, and the keys that were asked for.
#[derive(Default)]
pub(super) struct Findings {
    list: RefCell<Vec<Finding>>,
    known: RefCell<BTreeSet<String>>,
}

impl Findings {
    pub fn add(&self, finding: Finding) {
        self.list.borrow_mut().push(finding);
    }

    pub fn has_error(&self) -> bool {
        self.list
            .borrow()
            .iter()
            .any(|finding| finding.level == Severity::Error)
    }

    /// The findings, and every key that was asked for (with `*` for names that the user chose).
    pub fn into_parts(self) -> (Vec<Finding>, BTreeSet<String>) {
        (self.list.into_inner(), self.known.into_inner())
    }
}

/// One table of the file.
pub(super) struct Section<'a> {
    findings: &'a Findings,
    /// Dotted path of the table; empty for the file itself.
    path: String,
    /// The same path, with `*` for a name that the user chose.
    pattern: String,
    table: Table,
    asked: Vec<&'static str>,
}

impl<'a> Section<'a> {
    pub fn root(table: Table, findings: &'a Findings) -> Self {
        Section {
            findings,
            path: String::new(),
            pattern: String::new(),
            table,
            asked: Vec::new(),
        }
    }

    /// Dotted path of a key of this table.
    pub fn key(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.into()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    pub fn findings(&self) -> &'a Findings {
        self.findings
    }

    pub fn error(&self, key: &str, value: impl Display, cure: impl Into<String>) {
        self.findings
            .add(Finding::error(self.key(key), value.to_string(), cure));
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.asked.push(key);
        let pattern = if self.pattern.is_empty() {
            key.to_string()
        } else {
            format!("{}.{key}", self.pattern)
        };
        self.findings.known.borrow_mut().insert(pattern);
        self.table.remove(key)
    }

    fn wrong(&self, key: &str, value: &Value, expected: &str) {
        self.error(key, value, format!("expected {expected}"));
    }

    fn missing(&self, key: &str, example: &str) {
        self.error(key, "", format!("is missing; set it, for example {example}"));
    }

    /// A table inside this one; empty if the file leaves it out.
    pub fn table(&mut self, key: &'static str) -> Section<'a> {
        let pattern = self.pattern_of(key);
        let table = match self.take(key) {
            Some(Value::Table(table)) => table,
            Some(value) => {
                self.wrong(key, &value, &format!("a table: [{}]", self.key(key)));
                Table::new()
            }
            None => Table::new(),
        };
        Section {
            findings: self.findings,
            path: self.key(key),
            pattern,
            table,
            asked: Vec::new(),
        }
    }

    /// The named tables inside this one, in the order of the file.
    pub fn tables(&mut self, key: &'static str) -> Vec<(String, Section<'a>)> {
        let outer = self.table(key);
        let mut all = Vec::new();
        for (name, value) in outer.table {
            let path = format!("{}.{name}", outer.path);
            match value {
                Value::Table(table) => {
                    let pattern = format!("{}.*", outer.pattern);
                    all.push((
                        name,
                        Section {
                            findings: self.findings,
                            path,
                            pattern,
                            table,
                            asked: Vec::new(),
                        },
                    ));
                }
                value => {
                    let cure = format!("expected a table with a name: [{}.NAME]", outer.path);
                    self.findings.add(Finding::error(path, value.to_string(), cure));
                }
            }
        }
        all
    }

    fn pattern_of(&self, key: &str) -> String {
        if self.pattern.is_empty() {
            key.into()
        } else {
            format!("{}.{key}", self.pattern)
        }
    }

    /// Whether the file has the key.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The table unchanged, for tables whose keys the user chooses.
    pub fn into_table(self) -> Table {
        self.table
    }

    /// A text. A whole number is accepted too: `instance = 1`.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        match self.take(key)? {
            Value::String(text) => Some(text),
            Value::Integer(number) => Some(number.to_string()),
            value => {
                self.wrong(key, &value, "text in quotes");
                None
            }
        }
    }

    /// A required text.
    pub fn required(&mut self, key: &'static str, example: &str) -> String {
        let was_there = self.has(key);
        let text = self.text(key);
        if !was_there || text.as_deref().is_some_and(|text| text.trim().is_empty()) {
            self.missing(key, example);
        }
        text.unwrap_or_default()
    }

    /// One of several words.
    pub fn choice<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)], default: T) -> T {
        let Some(text) = self.text(key) else { return default };
        if let Some((_, choice)) = words.iter().find(|(word, _)| *word == text) {
            return *choice;
        }
        let list: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        let near = nearest(&text, words.iter().map(|(word, _)| *word));
        let hint = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
        self.error(
            key,
            format!("{text:?}"),
            format!("expected {}{hint}", list.join(" or ")),
        );
        default
    }

    /// A whole number within a range.
    pub fn number(&mut self, key: &'static str, range: RangeInclusive<i64>, default: i64) -> i64 {
        match self.take(key) {
            None => default,
            Some(Value::Integer(number)) if range.contains(&number) => number,
            Some(value) => {
                self.wrong(
                    key,
                    &value,
                    &format!("a whole number from {} to {}", range.start(), range.end()),
                );
                default
            }
        }
    }

    /// A duration within a range.
    pub fn duration(&mut self, key: &'static str, range: RangeInclusive<Duration>, default: Duration) -> Duration {
        let Some(value) = self.take(key) else { return default };
        let parsed = match &value {
            Value::String(text) => parse_duration(text),
            Value::Integer(0) => Some(Duration::ZERO),
            _ => None,
        };
        parsed.filter(|duration| range.contains(duration)).unwrap_or_else(|| {
            let (from, to) = (show_duration(*range.start()), show_duration(*range.end()));
            self.wrong(
                key,
                &value,
                &format!("a duration with its unit (ms, s, m, h, d) from {from:?} to {to:?}"),
            );
            default
        })
    }

    /// A size in bytes within a range.
    pub fn size(&mut self, key: &'static str, range: RangeInclusive<u64>, default: u64) -> u64 {
        let Some(value) = self.take(key) else { return default };
        let parsed = match &value {
            Value::String(text) => parse_size(text),
            _ => None,
        };
        parsed.filter(|size| range.contains(size)).unwrap_or_else(|| {
            let (from, to) = (show_size(*range.start()), show_size(*range.end()));
            self.wrong(
                key,
                &value,
                &format!("a size with its unit (B, KiB, MiB, GiB) from {from:?} to {to:?}"),
            );
            default
        })
    }

    /// Ends the reading of this table. Keys that are left are unknown.
    pub fn finish(self) {
        for (key, value) in &self.table {
            let shown = if value.is_table() {
                String::new()
            } else {
                value.to_string()
            };
            let cure = match nearest(key, self.asked.iter().copied()) {
                Some(near) => format!("unknown key; did you mean {near}?"),
                None if self.asked.is_empty() => "unknown key; this table has no keys".into(),
                None => format!("unknown key; this table has {}", self.asked.join(", ")),
            };
            self.error(key, shown, cure);
        }
    }
}

/// The most similar word, if one is similar enough.
fn nearest<'w>(word: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    // Words with a typing error score above 0.7: `topc` and `topic` have 0.94. Unrelated words have about 0.4.
    let scored = words
        .map(|known| (strsim::jaro_winkler(word, known), known))
        .filter(|(score, _)| *score > 0.7);
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
}
