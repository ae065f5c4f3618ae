//! Shows people how expected lines differ from actual ones.
//!
//! Rule: lines are compared by their meaning (JSON by value, times by length), and shown as they are written.

use super::error::Result;
use super::json::{Fields, canonical, items};
use super::{parse_time, show_time};
use serde_json::value::RawValue;
use similar::{Algorithm, DiffOp, capture_diff_slices};
use std::collections::BTreeSet;

/// How many lines are shown before and after a difference.
const CONTEXT: usize = 2;

/// Splits a line into words and JSON values, or says what is wrong with it.
pub fn words(line: &str) -> Result<Vec<&str>> {
    let mut words = vec![];
    let mut rest = line.trim();
    while !rest.is_empty() {
        let end = match rest.as_bytes()[0] {
            b'{' | b'[' | b'"' => {
                let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
                match stream.next() {
                    Some(Ok(_)) => stream.byte_offset(),
                    Some(Err(why)) => return Err(format!("{rest}: no JSON: {why}").into()),
                    None => rest.len(),
                }
            }
            _ => rest.find(char::is_whitespace).unwrap_or(rest.len()),
        };
        words.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    Ok(words)
}

/// A word as it is, if a file may contain it so; otherwise in quotes.
pub(super) fn word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:@+~\\".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => super::json::quoted(text),
    }
}

/// A word without its quotes.
pub(super) fn unquoted(word: &str) -> String {
    serde_json::from_str(word)
        .ok()
        .filter(|_| word.starts_with('"'))
        .unwrap_or_else(|| word.to_owned())
}

/// The canonical form of a line's meaning.
pub(super) fn meaning(line: &str) -> String {
    let Ok(words) = words(line) else { return line.to_owned() };
    let mut meant = vec![];
    for (index, text) in words.iter().enumerate() {
        meant.push(match parse_time(text) {
            // The first word is a key or a name, never a time.
            Some(time) if index > 0 => show_time(time),
            _ if index == 0 => word(&unquoted(text)),
            _ => canonical(text),
        });
    }
    meant.join(" ")
}

/// How the actual lines differ from the expected ones, or `None` if they don't. Expected lines begin with `-`, actual
/// ones with `+`. If two of them are similar, the fields that differ follow.
pub fn differences(expected: &[String], came: &[String]) -> Option<String> {
    let meant = |lines: &[String]| lines.iter().map(|line| meaning(line)).collect::<Vec<_>>();
    let (old, new) = (meant(expected), meant(came));
    if old == new {
        return None;
    }
    let mut text = String::new();
    let ops = capture_diff_slices(Algorithm::Myers, &old, &new);
    for (at, op) in ops.iter().enumerate() {
        let (old, new) = (op.old_range(), op.new_range());
        match op {
            DiffOp::Equal { len, .. } => {
                let head = if at == 0 { 0 } else { CONTEXT.min(*len) };
                let tail = if at + 1 == ops.len() {
                    0
                } else {
                    CONTEXT.min(*len - head)
                };
                let skipped = len - head - tail;
                let lines = &came[new];
                lines[..head].iter().for_each(|line| text += &format!("    {line}\n"));
                if skipped > 0 {
                    text += &format!("    ({skipped} as expected)\n");
                }
                lines[len - tail..]
                    .iter()
                    .for_each(|line| text += &format!("    {line}\n"));
            }
            _ => {
                let (old, new) = (&expected[old], &came[new]);
                for index in 0..old.len().max(new.len()) {
                    let (old, new) = (old.get(index), new.get(index));
                    old.iter().for_each(|line| text += &format!("  - {line}\n"));
                    new.iter().for_each(|line| text += &format!("  + {line}\n"));
                    if let (Some(old), Some(new)) = (old, new) {
                        fields_of(old, new)
                            .iter()
                            .for_each(|line| text += &format!("      {line}\n"));
                    }
                }
            }
        }
    }
    Some(text)
}

/// The fields in which the objects of two lines differ. Empty if anything else in the lines differs too.
fn fields_of(old: &str, new: &str) -> Vec<String> {
    let (Ok(old), Ok(new)) = (words(old), words(new)) else {
        return vec![];
    };
    let mut lines = vec![];
    for (old, new) in old.iter().zip(&new) {
        if old.starts_with('{') && new.starts_with('{') {
            compare("", old, new, &mut lines);
        }
    }
    lines
}

fn compare(path: &str, old: &str, new: &str, lines: &mut Vec<String>) {
    let (one, other) = (canonical(old), canonical(new));
    if one == other {
        return;
    }
    let objects = old.starts_with('{') && new.starts_with('{');
    let arrays = old.starts_with('[') && new.starts_with('[');
    if !(objects || arrays) {
        let at = if path.is_empty() { "the value" } else { path };
        return lines.push(match (old, new) {
            ("null", _) => format!("{at} is {other}, and is not expected"),
            (_, "null") => format!("{at} is missing; expected {one}"),
            _ => format!("{at} is {other}; expected {one}"),
        });
    }
    if objects {
        let fields = |text| serde_json::from_str::<Fields>(text).unwrap_or_default();
        let (old, new) = (fields(old), fields(new));
        let dot = if path.is_empty() { "" } else { "." };
        for name in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
            let of = |fields: &Fields| {
                fields
                    .get(name)
                    .map_or("null".to_owned(), |value| value.get().to_owned())
            };
            compare(&format!("{path}{dot}{name}"), &of(&old), &of(&new), lines);
        }
    } else {
        let (old, new) = (items(old), items(new));
        for index in 0..old.len().max(new.len()) {
            let of = |items: &[Box<RawValue>]| items.get(index).map_or("null".to_owned(), |item| item.get().to_owned());
            compare(&format!("{path}[{index}]"), &of(&old), &of(&new), lines);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(expected: &[&str], came: &[&str]) -> Option<String> {
        let lines = |lines: &[&str]| lines.iter().map(ToString::to_string).collect::<Vec<_>>();
        differences(&lines(expected), &lines(came))
    }

    #[test]
    fn what_means_the_same_is_no_difference() {
        assert_eq!(
            diff(&[r#""u1"  60s {"a": 1.0, "b": null}"#], &[r#"u1 1m {"a":1}"#]),
            None
        );
        assert!(diff(&["1m 60s"], &["60s 60s"]).is_some(), "a key is no time");
    }

    #[test]
    fn the_fields_that_differ_are_named() {
        let text = diff(
            &[
                "a 1s {}",
                "b 1s {}",
                "c 1s {}",
                r#"u1 1s {"money": {"id": "m1", "x": [1, 2]}, "gone": 1}"#,
                "u2 2s {}",
            ],
            &[
                "a 1s {}",
                "b 1s {}",
                "c 1s {}",
                r#"u1 1s {"money":{"id":"m2","x":[1,3]},"new":"y"}"#,
                "u2 2s {}",
                "u3 3s {}",
            ],
        );
        let expected = r#"    (1 as expected)
    b 1s {}
    c 1s {}
  - u1 1s {"money": {"id": "m1", "x": [1, 2]}, "gone": 1}
  + u1 1s {"money":{"id":"m2","x":[1,3]},"new":"y"}
      gone is missing; expected 1
      money.id is "m2"; expected "m1"
      money.x[1] is 3; expected 2
      new is "y", and is not expected
    u2 2s {}
  + u3 3s {}
"#;
        assert_eq!(text.as_deref(), Some(expected));
    }
}
