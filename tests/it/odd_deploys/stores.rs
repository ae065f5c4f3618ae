//! Stored values with other schemas: the new rules read them as theirs, the old ones can read them after going back,
//! and they are not rewritten for this.

use super::line::Line;
use pelton::deploy::api::{Back, DeployRequest};
use pelton::record::Partition;
use serde_json::{Value, json};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Settings for rules with one store of this schema. They put this datum, and send what they find.
fn keeping(schema: &str, datum: &[u8]) -> Value {
    json!({ "do": "keep", "with": hex(schema.as_bytes()), "and": hex(datum) })
}

fn record(fields: &str) -> String {
    format!(r#"{{"type": "record", "name": "Kept", "fields": [{fields}]}}"#)
}

fn back() -> DeployRequest {
    DeployRequest {
        back: Some(Back::Before),
        ..DeployRequest::default()
    }
}

/// What the events of this partition's only key have found since the last look: the datums, as bytes.
struct Found(usize);

impl Found {
    fn last(&mut self, line: &mut Line, ending: &str) -> Vec<u8> {
        line.put(Partition(0), ending);
        line.put(Partition(0), "look");
        line.through();
        let sent = line.sent().into_values().next().unwrap_or_default();
        assert!(sent.len() > self.0, "it found something");
        self.0 = sent.len();
        // Without the length byte.
        sent[sent.len() - 1][1..].to_vec()
    }
}

/// A change that both sides can read: (name, old schema, its datum, new schema, that datum as the new schema reads it,
/// the new schema's own datum, that datum as the old schema reads it).
type Both<'a> = (&'a str, &'a str, &'a [u8], &'a str, &'a [u8], &'a [u8], &'a [u8]);

#[test]
fn changes_with_a_way_back() {
    let a = r#"{"name": "a", "type": "int"}"#;
    let cases: [Both<'_>; 4] = [
        (
            "a field more, with a default",
            a,
            &[2],
            r#"{"name": "a", "type": "int"}, {"name": "b", "type": "string", "default": "x"}"#,
            &[2, 2, b'x'],
            &[4, 2, b'y'],
            &[4],
        ),
        (
            "a field less",
            r#"{"name": "a", "type": "int"}, {"name": "b", "type": "string", "default": "z"}"#,
            &[2, 2, b'y'],
            a,
            &[2],
            &[4],
            &[4, 2, b'z'],
        ),
        (
            "a union with null more",
            a,
            &[2],
            r#"{"name": "a", "type": "int"}, {"name": "b", "type": ["null", "string"], "default": null}"#,
            &[2, 0],
            &[4, 2, 2, b'y'],
            &[4],
        ),
        (
            "another name, and each knows the other's",
            r#"{"name": "a", "type": "int", "aliases": ["n"]}"#,
            &[2],
            r#"{"name": "n", "type": "int", "aliases": ["a"]}"#,
            &[2],
            &[4],
            &[4],
        ),
    ];
    for (what, old, old_datum, new, as_new, new_datum, as_old) in cases {
        let mut line = Line::of(keeping(&record(old), old_datum));
        line.keys = 1;
        let mut found = Found(0);
        line.put(Partition(0), "put");
        assert_eq!(found.last(&mut line, "look"), old_datum, "{what}");
        line.set(keeping(&record(new), new_datum))
            .unwrap_or_else(|why| panic!("{what}: {why}"));
        assert_eq!(found.last(&mut line, "look"), as_new, "{what}");
        line.put(Partition(0), "put");
        assert_eq!(found.last(&mut line, "look"), new_datum, "{what}");
        line.deploy(back()).unwrap_or_else(|why| panic!("{what}: {why}"));
        assert_eq!(found.last(&mut line, "look"), as_old, "{what}");
        // The state contains both schemas, whichever version writes last.
        line.restart();
        assert_eq!(found.last(&mut line, "look"), as_old, "{what}");
        assert_eq!(line.dead_letters().len(), 0, "{what}");
    }
}

/// A change: its name, the old field and a datum of it, the new field, that datum as the new rules read it, and one of
/// their own.
type Change<'a> = (&'a str, &'a str, &'a [u8], &'a str, &'a [u8], &'a [u8]);

#[test]
fn changes_without_a_way_back() {
    let cases: [Change; 3] = [
        (
            "wider",
            r#"{"name": "a", "type": "int"}"#,
            &[2],
            r#"{"name": "a", "type": "double"}"#,
            &[0, 0, 0, 0, 0, 0, 0xf0, 0x3f],
            &[0; 8],
        ),
        (
            "null is a value, too",
            r#"{"name": "a", "type": "string"}"#,
            &[2, b'x'],
            r#"{"name": "a", "type": ["null", "string"]}"#,
            &[2, 2, b'x'],
            &[0],
        ),
        (
            "another name",
            r#"{"name": "a", "type": "int"}"#,
            &[2],
            r#"{"name": "n", "type": "int", "aliases": ["a"]}"#,
            &[2],
            &[4],
        ),
    ];
    for (what, old, old_datum, new, as_new, new_datum) in cases {
        let mut line = Line::of(keeping(&record(old), old_datum));
        line.keys = 1;
        let mut found = Found(0);
        line.put(Partition(0), "put");
        assert_eq!(found.last(&mut line, "look"), old_datum, "{what}");
        let request = DeployRequest {
            settings: Some(keeping(&record(new), new_datum)),
            ..DeployRequest::default()
        };
        let why = line.deploy(request.clone()).expect_err(what);
        assert!(
            why.contains("store 'values'") && why.contains("--one-way"),
            "{what}: {why}"
        );
        assert_eq!(found.last(&mut line, "look"), old_datum, "{what}: the old ones run on");
        let one_way = DeployRequest {
            one_way: true,
            ..request
        };
        line.deploy(one_way).unwrap_or_else(|why| panic!("{what}: {why}"));
        assert_eq!(found.last(&mut line, "look"), as_new, "{what}");
        line.put(Partition(0), "put");
        assert_eq!(found.last(&mut line, "look"), new_datum, "{what}");
        let why = line.deploy(back()).expect_err(what);
        assert!(why.contains("store 'values'"), "{what}: {why}");
        assert_eq!(found.last(&mut line, "look"), new_datum, "{what}");
    }
    // A schema that can't be read at all is refused in both directions.
    let mut line = Line::of(keeping(&record(r#"{"name": "a", "type": "string"}"#), &[2, b'x']));
    let request = DeployRequest {
        settings: Some(keeping(&record(r#"{"name": "a", "type": "int"}"#), &[2])),
        one_way: true,
        ..DeployRequest::default()
    };
    let why = line.deploy(request).expect_err("text is no number");
    assert!(why.contains("could not be read"), "{why}");
    line.flow(5, "put");
    line.through();
}

/// A deploy with another schema doesn't rewrite rows, neither when it takes over nor afterwards.
#[test]
fn no_pass_over_the_data() {
    let datum = [&[2, 80][..], &[b'x'; 40]].concat();
    let text = r#"{"name": "a", "type": "int"}, {"name": "s", "type": "string"}"#;
    let mut line = Line::of(keeping(&record(text), &datum));
    line.keys = 1_000;
    line.flow(1_001, "put");
    line.through();
    let state = line
        .running()
        .statuses()
        .iter()
        .map(|status| status.state.bytes)
        .sum::<usize>();
    assert!(state > 100_000, "{state}");
    let before = line.changelogs();
    let more = format!(r#"{text}, {{"name": "b", "type": "string", "default": ""}}"#);
    line.set(keeping(&record(&more), &[&datum[..], &[0]].concat()))
        .expect("accepted");
    line.flow(20, "put");
    line.through();
    assert!(
        line.running()
            .statuses()
            .iter()
            .all(|status| status.rules.deployed == 2)
    );
    let written = line.written_behind(&before);
    assert!(
        (1_000..20_000).contains(&written),
        "{written} bytes for 40 of 2000 rows"
    );
}
