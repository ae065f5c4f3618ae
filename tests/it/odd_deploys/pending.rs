//! Timers and lookups that are pending when a version takes over that doesn't know them.

use super::line::{Line, doing};
use pelton::deploy::api::DeployRequest;
use serde_json::{Value, json};

/// The deploy is refused by name, and nothing changes. With `drop_timers`, each of them goes to the dead letters once.
fn unknown(first: Value, next: Value, name: &str) {
    let mut line = Line::of(first);
    let old = line.version();
    line.flow(9, "old");
    line.through();
    let why = line.set(next.clone()).expect_err("refused");
    assert!(
        why.contains(name) && why.contains("are pending") && why.contains("--drop-timers"),
        "{why}"
    );
    line.flow(9, "old still");
    line.check(name);
    assert_eq!((line.version(), line.dead_letters().len()), (old, 0));
    let request = DeployRequest {
        settings: Some(next),
        drop_timers: true,
        ..DeployRequest::default()
    };
    let new = line.deploy(request).expect("accepted").version;
    line.flow(9, "new");
    line.check(name);
    assert_eq!(line.version(), new);
    let letters = line.dead_letters();
    let dropped = letters
        .values()
        .filter(|why| why.contains(&format!("don't declare {name}")));
    assert_eq!((dropped.count(), letters.len()), (6, 6), "one of each key: {letters:?}");
    line.restart();
    line.flow(700, "long behind all of them");
    line.check(name);
    assert_eq!(line.dead_letters().len(), 6);
}

#[test]
fn timers() {
    unknown(json!({ "do": "time", "with": "old" }), doing("echo"), "'old'");
}

#[test]
fn lookups() {
    unknown(doing("ask"), doing("no-lookup"), "'service'");
}
