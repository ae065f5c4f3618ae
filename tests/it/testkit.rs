//! `pelton test`: its output for rules that are broken, for rules that are not deterministic, and for wrong files.
//!
//! Rule: the command itself runs on files, and the tests assert what a rule author reads.

use pelton_tests::stage::{Format, Setup};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The exit code, standard output, and standard error.
fn pelton(args: &[&str]) -> (u8, String, String) {
    let (mut out, mut err) = (vec![], vec![]);
    let args = std::iter::once("pelton")
        .chain(args.iter().copied())
        .map(OsString::from);
    let code = pelton_cli::main(args, &mut out, &mut err);
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (code, text(out), text(err))
}

/// A folder with the odd guest's pipeline and a scenario.
fn odd(what: &str, scenario: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let pipeline = format!(
        r#"
name = "odd"
kafka."bootstrap.servers" = "nowhere"
schemas.registry = "http://nowhere" # not asked
defaults.format = "avro"
inputs.in.topic = "in"
outputs.out.topic = "out"
lookups.service.url = "http://localhost/{{id}}"
rules.file = {:?}
rules.settings.do = "{what}"
"#,
        env!("GUEST_ODD_WASM")
    );
    fs::write(folder.path().join("pelton.toml"), pipeline).expect("a file");
    let file = folder.path().join("a.scenario");
    fs::write(&file, scenario).expect("a file");
    (folder, file)
}

fn played(what: &str, scenario: &str) -> (u8, String) {
    let (folder, _) = odd(what, scenario);
    let path = folder.path().display().to_string();
    let (code, out, err) = pelton(&["test", &path]);
    assert_eq!(err, "");
    (code, out.replace(&path, "."))
}

fn money(file: &Path, more: &[&str]) -> (u8, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let pipeline = root.join("examples/money-avro/folder.toml").display().to_string();
    let path = file.display().to_string();
    let args = [
        "test",
        &path,
        "--pipeline",
        &pipeline,
        "--rules",
        env!("GUEST_ENRICH_WASM"),
    ];
    let (code, out, err) = pelton(&[&args, more].concat());
    assert_eq!(err, "");
    (code, out)
}

const MONEY: &str = r#"# A payment.
base wallet {"type": "PaymentEvent", "userId": "u1", "amount": 1.5, "currency": "EUR", "openingBalance": 0,
  "closingBalance": 1, "moneyType": "bet", "paymentRelatedThing": "p", "isOldMoneyEvent": false}
send wallet u1 1s {"id": "m1"}
advance 1m
expect enriched money.id money.amount
  u1 1s "m1" 1.50
"#;

#[test]
fn what_holds_is_said_in_a_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.scenario");
    fs::write(&file, MONEY).expect("a file");
    let (code, out) = money(&file, &[]);
    assert!(code == 0 && out.starts_with("ok      "), "{out}");
    assert!(out.contains("the scenario holds; each was played in 6 ways"), "{out}");
    let (code, out) = money(&file, &["--json"]);
    let said: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(
        (code, &said["ok"], &said["scenarios"][0]["ok"]),
        (0, &true.into(), &true.into())
    );
}

/// What the page on testing shows is true.
#[test]
fn the_example_of_the_docs_holds() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/testing-rules.md");
    let page = fs::read_to_string(page).expect("a file");
    let (_, example) = page.split_once("```text\nbase wallet").expect("the example");
    let (example, _) = example.split_once("```").expect("its end");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.scenario");
    fs::write(&file, format!("base wallet{example}")).expect("a file");
    let (code, out) = money(&file, &[]);
    assert_eq!(code, 0, "{out}");
}

/// A failure shows the line, what was expected, what came, and the fields that differ.
#[test]
fn a_difference_is_readable() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.scenario");
    let wrong = MONEY.replace(
        "expect enriched money.id money.amount\n  u1 1s \"m1\" 1.50\n",
        r#"expect enriched
  u1 1s {"money": {"id": "m2", "userId": "u1", "processedAt": "2026-01-01T00:00:01.000Z", "amount": 1.5, "currency": "EUR", "closingBalance": 1, "moneyType": "bet", "isOldMoneyEvent": false}, "firstOccurrence": true, "userInfo": {}}
counters
  duplicates 1
"#,
    );
    fs::write(&file, wrong).expect("a file");
    let (code, out) = money(&file, &[]);
    let came = r#"+ u1 1s {"money":{"id":"m1","userId":"u1","processedAt":"2026-01-01T00:00:01.000Z","amount":1.5,"currency":"EUR","closingBalance":1,"moneyType":"bet","isOldMoneyEvent":false},"firstOccurrence":true}"#;
    assert_eq!(code, 1);
    assert!(
        out.starts_with("FAIL    ") && out.contains("\n  line 6: expect enriched\n"),
        "{out}"
    );
    assert!(out.contains(came), "{out}");
    assert!(out.contains("money.id is \"m1\"; expected \"m2\"\n"), "{out}");
    assert!(out.contains("userInfo is missing; expected {}\n"), "{out}");
    assert!(out.contains("  line 8: counters\n      - duplicates 1\n"), "{out}");
    assert!(out.contains("0 of 1 scenarios hold"), "{out}");
}

/// What came replaces what was expected. The rest of the file stays, even comments.
#[test]
fn files_are_brought_up_to_date() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.scenario");
    let old = MONEY.replace("1.50", "7")
        + "\n# Nothing waits.\ntimers\n  u1 1s nothing\n\nadvance 2m\nsend wallet u1 3m {\"id\": \"m2\"}\nadvance 4m\n";
    fs::write(&file, old).expect("a file");
    let (code, out) = money(&file, &["--update"]);
    assert!(code == 0 && out.starts_with("updated "), "{out}");
    let text = fs::read_to_string(&file).expect("a file");
    let (before, after) = text
        .split_once("# Nothing waits.\ntimers\n\nadvance 2m\n")
        .expect("the comment stays");
    assert_eq!(before, MONEY.replace("1.50", "1.5") + "\n");
    assert!(
        after.contains("\nexpect enriched\n  u1 3m {\"money\":{\"id\":\"m2\""),
        "{after}"
    );
    let (code, out) = money(&file, &["--update"]);
    assert!(code == 0 && out.starts_with("ok "), "{out}");
    assert_eq!(fs::read_to_string(&file).expect("a file"), text, "nothing more to do");
}

/// The odd guest sees only the state before its batch. So two records of a key in one batch give other results than one
/// by one.
#[test]
fn rules_that_depend_on_their_batch_are_caught() {
    let (code, out) = played(
        "by-batch",
        "send in k 1s \"a\"\nsend in k 2s \"b\"\nadvance 1m\nexpect out\n",
    );
    assert_eq!(code, 1);
    let expected = "FAIL    ./a.scenario
  line 4: expect out
    the rules are not deterministic: with one input a batch, each in a fresh instance, they do something else (+) than in large batches (-)
      + k 2s \"a\"
";
    assert!(out.starts_with(expected), "{out}");
    // One by one it works, but not when everything is read again from the start.
    let (code, out) = played(
        "by-batch",
        "send in k 1s \"a\"\nadvance 2s\nsend in k 2s \"b\"\nadvance 1m\nexpect out\n  k 2s \"a\"\n",
    );
    assert_eq!(code, 1);
    let expected = "  line 6: the rules are not deterministic: inputs and journal, read again from their start, come to something else (+)
    expect out
      - k 2s \"a\"
";
    assert!(out.contains(expected), "{out}");
}

/// The memory of an instance is not state.
#[test]
fn rules_that_remember_are_caught() {
    let (code, out) = played(
        "remember",
        "send in k 1s \"a\"\nadvance 2s\nsend in l 2s \"b\"\nadvance 1m\nexpect out\n  k 1s \"0\"\n  l 2s \"1\"\n",
    );
    assert_eq!(code, 1);
    assert!(out.contains("the rules are not deterministic"), "{out}");
}

#[test]
fn a_trap_is_a_dead_letter() {
    let (code, out) = played(
        "panic-on-poison",
        "send in k 1s \"a\"\nsend in k 2s \"poison\"\nadvance 1m\ndead-letters\n  k in \"the rules panicked: nothing\"\n",
    );
    assert_eq!(code, 1);
    assert!(
        out.contains("line 4: dead-letters\n      - k in \"the rules panicked: nothing\"\n      + k in \""),
        "{out}"
    );
}

/// Nothing may come unexpectedly.
#[test]
fn what_nobody_expects_is_said() {
    let (code, out) = played(
        "echo",
        "send in k 1s \"a\"\nadvance 2s\nsend in k 2s \"b\"\nadvance 1m\n",
    );
    assert_eq!(code, 1);
    assert!(
        out.contains("  line 4: nothing at the end of the file expects these: expect out\n      + k 2s \"a\"\n"),
        "{out}"
    );
}

#[test]
fn reads_without_a_name_are_shown() {
    let (code, out) = played("read-twice", "send in k 1s \"a\"\nadvance 1m\n");
    assert_eq!(code, 0, "{out}");
    assert!(
        out.contains("  read without being named before (prefetch misses): values 1\n"),
        "{out}"
    );
}

#[test]
fn what_can_not_be_read_or_done_is_said_with_its_line() {
    for (scenario, cure) in [
        (
            "sned in k 1s {}\n",
            "line 1: there is no step `sned`; did you mean send?",
        ),
        ("\nsend in k 1s\n", "line 2: expected: send INPUT KEY TIME VALUE"),
        (
            "send in k soon {}\n",
            "line 1: soon: expected a time since the start, such as 1m30s",
        ),
        ("send in k 1s {\"a\":\n", "line 1: {\"a\":: no JSON: EOF"),
        ("  k 1s\n", "line 1: an indented line belongs to a step above it"),
        ("send on k 1s \"a\"\n", "there is no input 'on'; there are: in"),
        ("send in k 1s 5\n", "the value does not fit the topic's schema: "),
        (
            "advance 2s\nadvance 1s\n",
            "event time is at 2s already, and does not go back",
        ),
        ("reply service * absent\n", "no open question of 'service'"),
        ("expect uot\n", "there is no output 'uot'; there are: out"),
        ("state all\n", "there is no store 'all'; there are: entries, values"),
        ("swap v2.wasm\n", "v2.wasm can't be read"),
        ("swap same refused\n", "it is accepted, and should be refused"),
        ("swap same {\"do\": \"refuse-settings\"}\n", "no odds today"),
    ] {
        let (code, out) = played("echo", scenario);
        assert!(code == 1 && out.contains(cure), "{scenario}: {out}");
    }
    let (code, out) = played("echo", "swap same {\"do\": \"refuse-settings\"} refused\n  no odds\n");
    assert_eq!(code, 0, "{out}");
}

/// A component in the middle, from a file.
#[test]
fn another_component_takes_over() {
    let setup = Setup::money(Format::Avro);
    let (folder, file) = odd("echo", "swap v2.wasm refused\n  store\n");
    // It reads other inputs, whose names are not in the pipeline's file.
    fs::write(folder.path().join("v2.wasm"), &setup.component).expect("a file");
    let (code, out, _) = pelton(&["test", &file.display().to_string()]);
    assert!(code == 1 && out.contains("it is refused for another reason: "), "{out}");
    fs::write(
        &file,
        "swap v2.wasm {} refused\n  the rules use it, and the pipeline's file has no input of this name\n",
    )
    .expect("a file");
    let (code, out, _) = pelton(&["test", &file.display().to_string()]);
    assert_eq!(code, 0, "{out}");
}

#[test]
fn nothing_to_play_is_no_success() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().display().to_string();
    let (code, _, err) = pelton(&["test", &path]);
    assert!(code == 1 && err.contains("there is no pelton.toml next to"), "{err}");
    let (folder, file) = odd("echo", "");
    fs::remove_file(file).expect("a file");
    let (code, _, err) = pelton(&["test", &folder.path().display().to_string()]);
    assert!(code == 1 && err.contains("has no files NAME.scenario"), "{err}");
}
