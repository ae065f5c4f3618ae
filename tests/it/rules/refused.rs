//! Unusable rules are refused before they run, and the message says what to change.

use super::support::{odd_file, patient, settings};
use super::wasi::{PLAIN, module};
use pelton::rules::{Engine, RulesError, SandboxLimits, TrapKind};
use std::time::Duration;

fn refused(wasm: &[u8], what: &str) -> RulesError {
    refused_within(wasm, what, patient())
}

fn refused_within(wasm: &[u8], what: &str, limits: SandboxLimits) -> RulesError {
    match Engine::new().expect("an engine").compile(wasm, &settings(what), limits) {
        Ok(_) => panic!("{what}: it was taken"),
        Err(refused) => refused,
    }
}

#[test]
fn garbage_and_other_files() {
    for garbage in [&b""[..], b"\0as", b"hello, this is text", b"\0asm\x0d\0\x07\0"] {
        assert!(matches!(refused(garbage, ""), RulesError::NotWasm(_)));
    }
    let broken = &odd_file()[..5000];
    assert!(matches!(refused(broken, ""), RulesError::Module(_)));
    let untyped = wat::parse_str("(module)").unwrap();
    assert_eq!(refused(&untyped, ""), RulesError::NoTypes);
    let component = wat::parse_str("(component)").unwrap();
    assert_eq!(refused(&component, ""), RulesError::Export("describe".into()));
}

#[test]
fn imports_that_are_not_there() {
    let component = r#"(component (import "acme:mail/send@1.0.0" (instance (export "mail" (func)))))"#;
    let said = refused(&wat::parse_str(component).unwrap(), "");
    assert_eq!(said, RulesError::Import("acme:mail/send@1.0.0".into()));
    assert!(said.to_string().contains("acme:mail/send@1.0.0"), "{said}");
    let component = r#"(component (import "pelton:rules/host@0.1.7" (instance (export "fly" (func)))))"#;
    let said = refused(&wat::parse_str(component).unwrap(), "");
    assert_eq!(said, RulesError::Import("pelton:rules/host@0.1.7#fly".into()));
    // A core import that is not in the WIT world, like that of a module for wasm32-wasip1.
    let import = r#"(import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))"#;
    let said = refused(&module(import, PLAIN, "", ""), "");
    assert!(
        matches!(said, RulesError::Module(_)) && said.to_string().contains("wasi_snapshot_preview1"),
        "{said}"
    );
}

#[test]
fn another_version_of_the_package() {
    for (found, fits) in [("0.1.9", true), ("0.2.0", false), ("1.1.0", false)] {
        let component = format!(r#"(component (import "pelton:rules/types@{found}" (instance)))"#);
        let said = refused(&wat::parse_str(component).unwrap(), "");
        if fits {
            assert_eq!(said, RulesError::Export("describe".into()));
        } else {
            assert_eq!(said, RulesError::Package { found: found.into() });
            assert!(
                said.to_string().contains(found) && said.to_string().contains("0.1.0"),
                "{said}"
            );
        }
    }
}

#[test]
fn exports_that_are_not_there_or_of_another_type() {
    let lift = r#"(component
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f")))
        (export "describe" (func $f))
        OTHER)"#;
    let said = refused(&wat::parse_str(lift.replace("OTHER", "")).unwrap(), "");
    assert_eq!(said, RulesError::Export("process".into()));
    assert!(said.to_string().contains("`process`"), "{said}");
    let both = lift.replace("OTHER", r#"(export "process" (func $f))"#);
    let said = refused(&wat::parse_str(both).unwrap(), "");
    assert!(
        matches!(&said, RulesError::ExportType(text) if text.contains("describe")),
        "{said}"
    );
}

#[test]
fn settings_and_starts() {
    let wasm = odd_file();
    assert_eq!(
        refused(&wasm, "refuse-settings"),
        RulesError::Settings("no odds today".into())
    );
    let short = SandboxLimits {
        time: Duration::from_millis(100),
        ..SandboxLimits::default()
    };
    for (what, limits, kind, text) in [
        ("panic-in-describe", patient(), TrapKind::Panic, "describe gives up"),
        ("loop-in-describe", short, TrapKind::Time, "longer"),
        ("read-in-describe", patient(), TrapKind::Host, "outside of process"),
    ] {
        match refused_within(&wasm, what, limits) {
            RulesError::Start(trap) => assert!(trap.kind == kind && trap.text.contains(text), "{what}: {trap}"),
            other => panic!("{what}: {other}"),
        }
    }
    let little = SandboxLimits {
        memory: 64 << 10,
        ..patient()
    };
    let said = refused_within(&wasm, "echo", little);
    assert!(
        matches!(&said, RulesError::Start(trap) if trap.kind == TrapKind::Memory),
        "{said}"
    );
}

#[test]
fn descriptions() {
    let wasm = odd_file();
    for (what, text) in [
        ("same-name-twice", "stores of the rules: `entries` is there twice"),
        ("no-name", "timers of the rules: number 1 has no name"),
        ("too-many-names", "counters of the rules: 70000 are too many"),
        ("no-schema", "output `out` of the rules has a schema that can't be used"),
        ("request-no-record", "request of lookup `service` of the rules"),
    ] {
        let said = refused(&wasm, what).to_string();
        assert!(said.contains(text), "{what}: {said}");
    }
}
