//! Hostile versions are deployed while the stream runs. What can't run is refused by name, and what traps is withdrawn.
//! The stream goes on, and no other record is harmed.

use super::line::{Line, PARTITIONS, doing};
use crate::deploys::fleet::eventually;
use pelton::deploy::api::{Back, DeployRequest};
use pelton::record::Partition;

/// They are refused. The reason names the problem, and the old rules keep running.
#[test]
fn what_can_not_run_is_refused_by_name() {
    let mut line = Line::of(doing("echo"));
    let good = line.version();
    let wat = |text: &str| Some(wat::parse_str(text).expect("WAT"));
    let mail = r#"(component (import "acme:mail/send@1.0.0" (instance (export "mail" (func)))))"#;
    let settings = |what: &str| DeployRequest {
        settings: Some(doing(what)),
        ..DeployRequest::default()
    };
    let component = |component| DeployRequest {
        component,
        ..DeployRequest::default()
    };
    for (request, name) in [
        (settings("panic-in-describe"), "describe gives up"),
        (settings("read-in-describe"), "outside of process"),
        (settings("refuse-settings"), "no odds today"),
        (settings("same-name-twice"), "`entries` is there twice"),
        (settings("too-many-names"), "70000 are too many"),
        (settings("no-schema"), "output `out`"),
        (component(wat(mail)), "acme:mail/send@1.0.0"),
        (component(wat("(component)")), "`describe`"),
        (component(Some(b"no component at all".to_vec())), "WebAssembly"),
    ] {
        line.flow(5, "before");
        let why = line.deploy(request).expect_err(name);
        assert!(why.contains(name), "{name}: {why}");
        line.flow(5, "behind");
        line.check(name);
        assert_eq!(line.version(), good, "{name}");
    }
    assert_eq!(line.dead_letters().len(), 0);
    assert_eq!(line.running().view().control().last(), 1, "nothing was written");
}

/// They are at fault on every record. They are withdrawn, with at most the budget's number of records in the dead
/// letters.
#[test]
fn what_is_always_at_fault_goes_back_by_itself() {
    let mut line = Line::of(doing("echo"));
    let good = line.version();
    for (what, reason) in [
        ("panic", "no reason at all"),
        ("eat", "memory"),
        ("recurse", "stack"),
        ("recurse-wide", "nested too deep"),
        ("flood", "memory"),
        ("flood-a-little", "more than 4096"),
        ("clock", "wasi:clocks/monotonic-clock@0.2.6#now"),
        ("span-beyond", "outside"),
        ("span-overflow", "outside"),
        ("input-beyond", "names input"),
        ("store-unknown", "`on` is 99"),
        ("entry-in-value-store", "`values` has one value"),
        ("header-of-put", "a header names effect"),
        ("too-large", "262144 at most"),
        ("no-datum", "output that is not of its schema"),
        ("no-datum-kept", "store that is not of its schema"),
        ("read-store-unknown", "names store 99"),
        ("read-span-beyond", "span outside"),
    ] {
        line.flow(5, "before");
        let letters = line.dead_letters().len();
        let number = line
            .set(doing(what))
            .unwrap_or_else(|why| panic!("{what}: {why}"))
            .number;
        // Some of them are at fault only on the last event of each batch.
        eventually(what, || {
            line.flow(1, "behind");
            let control = line.running().view().control();
            control
                .unreplaced_withdrawal()
                .is_some_and(|(withdrawn, _)| withdrawn == number)
        });
        line.flow(5, "behind");
        line.check(what);
        assert_eq!(line.version(), good, "{what}");
        let control = line.running().view().control();
        let (withdrawn, why) = control
            .unreplaced_withdrawal()
            .unwrap_or_else(|| panic!("{what}: it was not withdrawn"));
        assert!(
            withdrawn == number && why.contains(reason),
            "{what}: deploy {withdrawn}: {why}"
        );
        let more = line.dead_letters().len() - letters;
        assert!(more <= 6, "{what}: {more} dead letters");
    }
}

/// What never ends costs no more than the time budget, and is then withdrawn.
#[test]
fn what_never_ends_goes_back_by_itself() {
    let mut line = Line::hasty(doing("echo"));
    let good = line.version();
    let why = line.set(doing("loop-in-describe")).expect_err("refused");
    assert!(why.contains("longer"), "{why}");
    for (what, ending) in [("loop", "good"), ("loop-on-poison", "poison")] {
        let number = line.set(doing(what)).expect("accepted").number;
        line.flow(20, ending);
        eventually(what, || line.version() == good);
        line.check(what);
        let control = line.running().view().control();
        let (withdrawn, why) = control.unreplaced_withdrawal().expect("it was withdrawn");
        assert!(
            withdrawn == number && why.contains("rules.time_budget"),
            "{what}: deploy {withdrawn}: {why}"
        );
    }
    assert!(line.dead_letters().len() <= 12);
}

/// They are at fault on one record in some hundred, which the budget allows. Each of these records is a dead letter.
#[test]
fn what_is_rarely_at_fault_goes_on() {
    for what in ["panic-on-poison", "eat-on-poison"] {
        let mut line = Line::of(doing("echo"));
        let version = line.set(doing(what)).expect("accepted").version;
        for _ in 0..2 {
            line.put(Partition(0), "poison");
            line.flow(200, "good");
        }
        line.check(what);
        assert_eq!((line.version(), line.dead_letters().len()), (version, 2), "{what}");
    }
}

/// Odd, but not a fault: a timer far in the past is due at once, and too much chatter is cut off.
#[test]
fn what_is_odd_and_no_fault_goes_on() {
    let mut line = Line::of(doing("echo"));
    for what in ["timer-past", "chatter", "read-twice"] {
        let version = line.set(doing(what)).expect("accepted").version;
        line.flow(20, "odd");
        line.check(what);
        assert_eq!((line.version(), line.dead_letters().len()), (version, 0), "{what}");
        let back = line.deploy(DeployRequest {
            back: Some(Back::To(1)),
            ..DeployRequest::default()
        });
        back.unwrap_or_else(|why| panic!("{what}: {why}"));
        line.flow(5, "good");
        line.check(what);
    }
    assert_eq!(line.running().statuses().len(), PARTITIONS as usize);
}
