//! Where two values differ, field by field.
//!
//! Rule: numbers keep their digits: values are compared as the texts that one writer has made of them.

use crate::shadow::Field;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};

/// Fields of one difference that are told.
const FIELDS: usize = 10;

/// Characters of a value that are told.
const VALUE: usize = 200;

type Object = BTreeMap<String, Box<RawValue>>;

/// The fields in which two values in JSON differ, under this path.
pub fn differing(path: &str, live: &str, shadow: &str, into: &mut Vec<Field>) {
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

fn one(path: &str, live: Option<&RawValue>, shadow: Option<&RawValue>, into: &mut Vec<Field>) {
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

/// A field, as much of it as is told.
pub fn field(path: &str, live: Option<&str>, shadow: Option<&str>) -> Field {
    Field {
        path: path.to_owned(),
        live: live.map(short),
        shadow: shadow.map(short),
    }
}

/// As much of a text as is told.
pub fn short(text: &str) -> String {
    match text.char_indices().nth(VALUE) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(live: &str, shadow: &str) -> Vec<String> {
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
            told(live, shadow),
            [
                "gone: 1 -",
                "money.amount: 1.00000000000000000001 1.00000000000000000002",
                "money.tags[1]: \"b\" \"c\"",
                "money.tags[2]: - \"d\"",
                "new: - {\"x\":1}",
            ]
        );
        assert_eq!(told("1", "2"), [": 1 2"]);
        assert!(told(live, live).is_empty());
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
