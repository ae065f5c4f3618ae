//! The errors that the kit catches, and its messages. The odd guest makes them, as its settings say.

use pelton_testkit::{Pipeline, Scenario, build, json};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tempfile::TempDir;

fn odd(what: &str) -> (TempDir, Pipeline) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pelton.toml");
    let text = r#"
name = "odd"
kafka."bootstrap.servers" = "nowhere"
schemas.registry = "http://nowhere" # not asked
defaults.format = "avro"
inputs.in.topic = "in"
outputs.out.topic = "out"
lookups.service.url = "http://localhost/{id}"
rules.file = "none"
"#;
    std::fs::write(&file, text).expect("a file");
    let pipeline = Pipeline::new(file, build("../tests/guests", "guest"));
    (folder, pipeline.set(&format!("rules.settings.do={what}")))
}

/// The message of the panic.
fn caught(run: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("it is caught");
    panic.downcast::<String>().map_or_else(|_| String::new(), |text| *text)
}

/// Two records of a key, which may be in one batch.
fn two(s: &mut Scenario) {
    s.send("in", "k", "1s", json!("a"));
    s.send("in", "k", "2s", json!("b"));
    s.advance_to("1m");
}

#[test]
fn rules_that_depend_on_their_batch() {
    let (_folder, odd) = odd("by-batch");
    let text = caught(|| odd.always(two));
    assert!(
        text.contains("the rules are not deterministic: expect out differs"),
        "{text}"
    );
    assert!(text.ends_with("  + k 2s \"a\"\n"), "{text}");
}

#[test]
fn rules_that_remember() {
    let (_folder, odd) = odd("remember");
    let one_by_one = |s: &mut Scenario| {
        s.send("in", "k", "1s", json!("a"));
        s.advance_to("2s");
        s.send("in", "l", "2s", json!("b"));
        s.advance_to("1m");
    };
    let text = caught(|| odd.always(one_by_one));
    assert!(text.contains("the rules are not deterministic"), "{text}");
}

#[test]
fn what_is_not_as_expected() {
    let (_folder, odd) = odd("echo");
    let mut s = odd.scenario();
    s.send("in", "k", "1s", json!("a"));
    s.advance_to("2s");
    s.send("in", "k", "2s", json!("b"));
    s.advance_to("1m");
    s.expect("out", &[], ["k 2s \"a\""]);
    s.expect_state("values", ["k \"b\""]);
    s.expect_state("entries", []);
    let text = caught(|| s.expect("out", &[], ["k 2s \"b\"", "k 3s \"c\""]));
    assert_eq!(
        text,
        "out (- expected, + came)\n  - k 2s \"b\"\n  + k 2s \"a\"\n  - k 3s \"c\"\n"
    );
    assert!(caught(|| s.send("on", "k", "1s", json!(1))).contains("there is no input 'on'"));
    assert!(caught(|| s.advance_to("1s")).contains("does not go back"));
}

/// The same in the middle of a run: what was stored stays, and refused rules change nothing.
#[test]
fn rules_are_swapped() {
    let (_folder, odd) = odd("echo");
    odd.always(|s| {
        s.send("in", "k", "1s", json!("a"));
        s.advance_to("2s");
        let refused = s.try_swap(None, Some(json!({ "do": "refuse-settings" })));
        assert!(refused.expect_err("refused").to_string().contains("no odds today"));
        s.try_swap(None, Some(json!({ "do": "panic-on-poison" })))
            .expect("accepted");
        s.crash();
        s.send("in", "k", "3s", json!("poison"));
        s.send("in", "k", "4s", json!("b"));
        s.advance_to("1m");
        s.expect("out", &[], ["k 4s \"a\""]);
        assert_eq!(s.engine().dead_letters().expect("letters").len(), 1);
    });
}
