//! Tests each change of a schema in each direction.

use super::*;
use crate::deploy::protocol::{ControlRecord, Decision, Deploy};

/// A record with these fields. Fields with a `=` have a default.
fn schema(fields: &[&str]) -> String {
    let field = |field: &&str| match field.strip_prefix('=') {
        Some(name) => format!(r#"{{"name":"{name}","type":"long","default":0}}"#),
        None => format!(r#"{{"name":"{field}","type":"long"}}"#),
    };
    let fields: Vec<String> = fields.iter().map(field).collect();
    format!(r#"{{"type":"record","name":"V","fields":[{}]}}"#, fields.join(","))
}

fn store(fields: &[&str]) -> Declarations {
    Declarations {
        stores: vec![DeclaredStore {
            name: "s".into(),
            map: false,
            schema: schema(fields),
        }],
        ..Declarations::default()
    }
}

/// The control state after these versions, all committed in order.
fn after(versions: &[Declarations]) -> Control {
    let mut control = Control::new(0);
    for (index, declared) in versions.iter().enumerate() {
        let number = index as u64 + 1;
        control.apply(ControlRecord::Deploy(Deploy {
            number,
            nonce: [0; 16],
            version: [number as u8; 32],
            component: [0; 32],
            bytes: 0,
            settings: "{}".into(),
            at: None,
            one_way: false,
            drop_timers: false,
            author: String::new(),
            written: 0,
            declared: declared.clone().into(),
        }));
        control.apply(ControlRecord::Decision {
            number,
            decision: Decision::Commit(0),
        });
    }
    control
}

/// The errors, and the notes.
fn found(versions: &[Declarations], new: &Declarations, one_way: bool) -> (Vec<String>, Vec<String>) {
    let (errors, notes): (Vec<DeployFinding>, Vec<DeployFinding>) = check(&after(versions), new, one_way)
        .into_iter()
        .partition(|finding| finding.error);
    let text = |list: Vec<DeployFinding>| list.iter().map(ToString::to_string).collect();
    (text(errors), text(notes))
}

#[test]
fn a_store_is_read_in_both_directions() {
    let none = (vec![], vec![]);
    assert_eq!(found(&[store(&["a"])], &store(&["a"]), false), none);
    assert_eq!(found(&[store(&["a"])], &store(&["a", "=b"]), false), none);
    // Old values lack the field.
    let (errors, _) = found(&[store(&["a"])], &store(&["a", "b"]), true);
    assert!(
        errors[0].contains("store 's'") && errors[0].contains("default"),
        "{errors:?}"
    );
    // After a rollback, new values lack the field.
    let (errors, _) = found(&[store(&["a", "b"])], &store(&["a"]), false);
    assert!(errors[0].contains("--one-way"), "{errors:?}");
    let (errors, notes) = found(&[store(&["a", "b"])], &store(&["a"]), true);
    assert!(
        errors.is_empty() && notes[0].contains("no way back"),
        "{errors:?} {notes:?}"
    );
}

/// There may still be values of every version, so compatibility with the last one is not enough.
#[test]
fn a_store_holds_values_of_all_versions() {
    let versions = [store(&["a"]), store(&["a", "=b"])];
    let (errors, _) = found(&versions, &store(&["a", "b"]), true);
    assert!(errors[0].contains("an earlier version"), "{errors:?}");
}

#[test]
fn a_store_keeps_its_shape() {
    let mut map = store(&["a"]);
    map.stores[0].map = true;
    let (errors, _) = found(&[store(&["a"])], &map, true);
    assert!(errors[0].contains("another name"), "{errors:?}");
}

#[test]
fn what_is_gone_is_said() {
    let old = Declarations {
        outputs: vec![("out".into(), schema(&["a"]))],
        lookups: vec![("ask".into(), schema(&["a"]))],
        timers: vec!["tick".into()],
        ..store(&["a"])
    };
    let (errors, notes) = found(&[old], &Declarations::default(), false);
    assert!(errors.is_empty(), "{errors:?}");
    for what in ["store 's'", "output 'out'", "lookup 'ask'", "timer 'tick'"] {
        assert!(notes.iter().any(|note| note.contains(what)), "{what}: {notes:?}");
    }
}

/// Readers of an output use the current schema, and replies come with the current schema.
#[test]
fn outputs_and_replies_have_one_direction_each() {
    let output = |fields: &[&str]| Declarations {
        outputs: vec![("out".into(), schema(fields))],
        ..Declarations::default()
    };
    assert!(found(&[output(&["a"])], &output(&["a", "b"]), false).0.is_empty());
    assert_eq!(found(&[output(&["a", "b"])], &output(&["a"]), false).0.len(), 1);
    assert!(found(&[output(&["a", "b"])], &output(&["a"]), true).0.is_empty());
    let lookup = |fields: &[&str]| Declarations {
        lookups: vec![("ask".into(), schema(fields))],
        ..Declarations::default()
    };
    assert!(found(&[lookup(&["a", "b"])], &lookup(&["a"]), false).0.is_empty());
    assert_eq!(found(&[lookup(&["a"])], &lookup(&["a", "b"]), true).0.len(), 1);
}
