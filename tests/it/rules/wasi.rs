//! Hand-written guests of languages that import WASI. What they use at start is empty, and the rest traps with its
//! name.

use super::support::{Memory, batch, patient, rules_lines};
use pelton::rules::{Engine, Sandbox, Trap, TrapKind};
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The imports of a world: only those of the rules.
pub const PLAIN: &str = "";

/// The WASI interfaces that these guests import, shortened.
const WASI: [&str; 3] = [
    "package wasi:clocks@0.2.6;
     interface monotonic-clock { now: func() -> u64; }",
    "package wasi:io@0.2.6;
     interface error { resource error; }
     interface streams {
       use error.{error};
       variant stream-error { last-operation-failed(error), closed }
       resource output-stream {
         blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
       }
     }",
    "package wasi:cli@0.2.6;
     interface environment { get-environment: func() -> list<tuple<string, string>>; }
     interface stdout { use wasi:io/streams@0.2.6.{output-stream}; get-stdout: func() -> output-stream; }",
];

/// A core module of rules that describe nothing. Its `process` executes these instructions and returns no effects. All
/// answers are read from zeroed memory at 512. Data in memory avoids the first byte of every 32, so that all of memory
/// can be read as effects.
pub fn module(imports: &str, world: &str, functions: &str, process: &str) -> Vec<u8> {
    let text = format!(
        r#"(module {imports}
            (memory (export "memory") 1024)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 4104)
            (func (export "describe") (param i32 i32) (result i32) i32.const 512)
            (func (export "process") (param i32 i32 i32 i32 i32 i32) (result i32) {process} i32.const 512)
            (data (i32.const 1032) "hello") {functions})"#
    );
    let mut wasm = wat::parse_str(text).expect("WAT");
    let mut wit = Resolve::default();
    for package in WASI {
        wit.push_str("wasi.wit", package).expect("WIT of WASI");
    }
    wit.push_str("rules.wit", include_str!("../../../wit/rules.wit"))
        .expect("WIT of the rules");
    let odd = format!("package test:odd; world odd {{ include pelton:rules/rules@0.1.0; {world} }}");
    let package = wit.push_str("odd.wit", &odd).expect("WIT of the world");
    let world = wit.select_world(&[package], None).expect("a world");
    embed_component_metadata(&mut wasm, &wit, world, StringEncoding::UTF8).expect("metadata");
    wasm
}

/// Compiles the module, and processes one input.
fn run(wasm: &[u8]) -> Result<usize, Trap> {
    let rules = Engine::new()
        .unwrap()
        .compile(wasm, "{}", patient())
        .unwrap_or_else(|refused| panic!("{refused}"));
    let effects = Sandbox::new(&rules)?.process(&batch(&["a"]), &mut Memory::default(), 1)?;
    Ok(effects.effects.len())
}

#[test]
fn without_wasi() {
    assert_eq!(run(&module("", PLAIN, "", "")), Ok(0));
}

#[test]
fn a_clock_traps_by_name() {
    let import = r#"(import "wasi:clocks/monotonic-clock@0.2.6" "now" (func $now (result i64)))"#;
    let world = "import wasi:clocks/monotonic-clock@0.2.6;";
    assert_eq!(run(&module(import, world, "", "")), Ok(0), "to name it is no harm");
    let trap = run(&module(import, world, "", "(drop (call $now))")).unwrap_err();
    assert_eq!(trap.kind, TrapKind::Host);
    assert!(trap.text.contains("wasi:clocks/monotonic-clock@0.2.6#now"), "{trap}");
}

#[test]
fn the_environment_is_empty() {
    let import = r#"(import "wasi:cli/environment@0.2.6" "get-environment" (func $get (param i32)))"#;
    // The list's length is at 604. The guest traps unless it is zero.
    let process = "(i32.store (i32.const 604) (i32.const 7)) (call $get (i32.const 600))
                   (if (i32.load (i32.const 604)) (then unreachable))";
    assert_eq!(
        run(&module(import, "import wasi:cli/environment@0.2.6;", "", process)),
        Ok(0)
    );
}

#[test]
fn what_is_printed_is_logged() {
    let imports = r#"
        (import "wasi:cli/stdout@0.2.6" "get-stdout" (func $stdout (result i32)))
        (import "wasi:io/streams@0.2.6" "[method]output-stream.blocking-write-and-flush"
            (func $write (param i32 i32 i32 i32)))"#;
    let world = "import wasi:cli/stdout@0.2.6; import wasi:io/streams@0.2.6;";
    let process = "(call $write (call $stdout) (i32.const 1032) (i32.const 5) (i32.const 700))
                   (if (i32.load8_u (i32.const 700)) (then unreachable))";
    let wasm = module(imports, world, "", process);
    let lines = rules_lines(|| assert_eq!(run(&wasm), Ok(0)));
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains("hello"), "{}", lines[0]);
}

#[test]
fn a_result_that_counts_its_memory_twice_is_not_copied() {
    // 1.9 million effects of 32 bytes (60 MB) and as many bytes. They overlap, and both are within the guest's 64 MiB.
    let process = "(i32.store (i32.const 516) (i32.const 1900000)) (i32.store (i32.const 532) (i32.const 60000000))";
    let trap = run(&module("", PLAIN, "", process)).unwrap_err();
    assert_eq!(trap.kind, TrapKind::Memory, "{trap}");
}
