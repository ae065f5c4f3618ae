//! Finds the fields in which two values differ.
//!
//! Rule: numbers keep their digits, because values are compared as JSON texts from the same writer.

use crate::shadow::FieldDifference;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};

/// Maximum number of reported fields of a difference.
const FIELDS: usize = 10;

/// Maximum number of reported characters of a value.
const VALUE: usize = 200;

type Object = BTreeMap<String, Box<RawValue>>;

/// Collects the fields in which two JSON values differ, below this path.
pub fn differing(path: &str, live: &str, shadow: &str, into: &mut Vec<FieldDifference>) {
    if live == shadow || into.len() >= FIELDS {
        return;
    }
    let object = |text: &str| serde_json::from_str::<Object>(text).ok();
    if let (Some(live), Some(shadow)) = (object(live), object(shadow)) {
        let names: BTreeSet<&String> = live.keys().chain(shadow.keys()).collect();
        let dot = if path.is_empty() { "" } else { "." };
        for name in names {
            one(
                &format!("{path}{dot}{name}"),
                live.get(name).map(AsRef::as_ref),
                shadow.get(name).map(AsRef::as_ref),
                into,
            );
        }
        return;
    }
    let list = |text: &str| serde_json::from_str::<Vec<Box<RawValue>>>(text).ok();
    if let (Some(live), Some(shadow)) = (list(live), list(shadow)) {
        for index in 0..live.len().max(shadow.len()) {
            one(
                &format!("{path}[{index}]"),
                live.get(index).map(AsRef::as_ref),
                shadow.get(index).map(AsRef::as_ref),
                into,
            );
        }
        return;
    }
    into.push(field(path, Some(live), Some(shadow)));
}

fn one(path: &str, live: Option<&RawValue>, shadow: Option<&RawValue>, into: &mut Vec<FieldDifference>) {
    match (live, shadow) {
        (Some(live), Some(shadow)) => differing(path, live.get(), shadow.get(), into),
        (live, shadow) if into.len() < FIELDS => {
            into.push(field(
                path,
                live.map(|live| live.get()),
                shadow.map(|shadow| shadow.get()),
            ));
        }
        _ => {}
    }
}

/// A field, with its values shortened.
pub fn field(path: &str, live: Option<&str>, shadow: Option<&str>) -> FieldDifference {
    FieldDifference {
        path: path.to_owned(),
        live: live.map(short),
        shadow: shadow.map(short),
    }
}

/// The beginning of a text, up to the limit.
pub fn short(text: &str) -> String {
    match text.char_indices().nth(VALUE) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(live: &str, shadow: &str) -> Vec<String> {
        let mut fields = vec![];
        differing("", live, shadow, &mut fields);
        let show = |text: Option<String>| text.unwrap_or("-".into());
        fields
            .into_iter()
            .map(|field| format!("{}: {} {}", field.path, show(field.live), show(field.shadow)))
            .collect()
    }

    #[test]
    fn fields_that_differ() {
        let live = r#"{"money":{"id":"m1","amount":1.00000000000000000001,"tags":["a","b"]},"gone":1}"#;
        let shadow = r#"{"money":{"id":"m1","amount":1.00000000000000000002,"tags":["a","c","d"]},"new":{"x":1}}"#;
        assert_eq!(
            described(live, shadow),
            [
                "gone: 1 -",
                "money.amount: 1.00000000000000000001 1.00000000000000000002",
                "money.tags[1]: \"b\" \"c\"",
                "money.tags[2]: - \"d\"",
                "new: - {\"x\":1}",
            ]
        );
        assert_eq!(described("1", "2"), [": 1 2"]);
        assert!(described(live, live).is_empty());
    }

    #[test]
    fn long_values_are_cut() {
        let long = "x".repeat(1000);
        assert_eq!(
            field("", Some(&long), None).live.map(|text| text.len()),
            Some(VALUE + 3)
        );
    }
}
