//! The house rules that a program can check.
//!
//! Rule: each message names the file, the line and the cure. Exceptions are in lists here, with their reasons. What
//! breaks a rule only because it has not been fixed yet is in `tidy/limits.txt`, which only shrinks.

mod functions;
mod imports;
mod layers;
mod limits;
mod pages;
mod source;
mod structs;

use functions::{Function, functions};
use imports::{CRATES, Imports};
use layers::{imports, layers, module};
use limits::Limits;
use source::{code, files, host, is_test, root, rust};
use std::collections::BTreeMap;
use std::fs;
use structs::structs;

/// The most lines in a Rust file, including tests. That is enough for one noun.
const LINES_MAX: usize = 400;

/// The most lines in a function: a screen.
const FUNCTION_LINES_MAX: usize = 70;

/// The most arguments of a function, including `self`.
const ARGUMENTS_MAX: usize = 5;

/// The most fields of a struct.
const FIELDS_MAX: usize = 12;

/// Structs that may have more fields, each with its reason.
const WIDE: &[(&str, &str)] = &[
    ("host/src/config/pipeline.rs Config", "the keys of the pipeline's file"),
    (
        "host/src/shadow/report.rs Seen",
        "the keys of the JSON that is kept on the control topic",
    ),
];

/// The most exceptions from lints in the whole workspace.
const EXCEPTIONS_MAX: usize = 30;

/// Paths under which tests or tools sleep, each for a reason other than waiting for something that could be waited for.
const SLEEPS: &[(&str, &str)] = &[
    (
        "tests/it/kafka_port/commits.rs",
        "time for a wrong answer to come too early",
    ),
    (
        "tests/it/pipeline_kafka",
        "looks at another process again and again, until a deadline",
    ),
    (
        "tests/src/bench/",
        "looks at the counters of what it measures, and at nothing else meanwhile",
    ),
    (
        "tests/src/rig/process.rs",
        "looks at a process that ends, until a deadline",
    ),
    (
        "tests/src/rig/registry.rs",
        "asks a server that starts again and again, until a deadline",
    ),
    (
        "tests/src/soak/",
        "looks at processes again and again, until a deadline, and picks moments for a kill by chance",
    ),
    (
        "tests/it/deploys/",
        "instances with threads, by the real clock: a poll with a deadline",
    ),
];

/// What else is pure: a crate, and a part of a module that is not pure.
const PURE: &[&str] = &["host/convert/src/", "host/src/deploy/protocol"];

/// What pure modules must not use.
const IMPURE: &[&str] = &[
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "Instant::now",
    "SystemTime",
    "tokio::",
    "async fn",
    "async move",
    "rdkafka",
    "rocksdb",
    "reqwest",
    "axum",
];

/// The layers are one list, so of two modules that import each other, one would have to import upwards.
#[test]
fn modules_import_downwards() {
    let layers = layers();
    let place = |module: &str| {
        let modules = layers
            .iter()
            .flat_map(|layer| layer.modules.iter().map(move |module| (layer, module)));
        modules.enumerate().find(|(_, (_, known))| *known == module)
    };
    let mut wrong = Vec::new();
    for (path, text) in host() {
        let from = module(&path);
        // lib.rs is above all layers.
        let Some((own, (layer, _))) = place(from) else {
            continue;
        };
        for to in imports(&path, &text) {
            let Some((other, (other_layer, _))) = place(&to) else {
                continue;
            };
            if other > own {
                wrong.push(format!("{path}: `{from}` imports `{to}`, which stands above it"));
            } else if from != to && layer.title == "ports" && other_layer.title == "ports" {
                wrong.push(format!("{path}: the port `{from}` imports the port `{to}`"));
            }
        }
    }
    none(
        wrong,
        "move what is shared downwards, or pass it in from above (the list stands in host/src/lib.rs)",
    );
}

#[test]
fn pure_modules_are_pure() {
    let layers = layers();
    let pure = layers
        .iter()
        .find(|layer| layer.title == "pure")
        .expect("a layer `pure`");
    let is_pure = |path: &str| {
        let own = path.strip_prefix("host/src/").map(|_| module(path));
        own.is_some_and(|own| pure.modules.iter().any(|module| module == own))
            || PURE.iter().any(|below| path.starts_with(below))
    };
    let mut wrong = Vec::new();
    for (path, text) in rust() {
        if is_pure(&path) && !is_test(&path) {
            for (line, code) in code(&text) {
                let found = IMPURE.iter().filter(|word| code.contains(**word));
                wrong.extend(found.map(|word| format!("{path}:{line}: {word}")));
            }
        }
    }
    none(
        wrong,
        "a pure module knows no clock, thread, file or socket: let the caller say it",
    );
}

#[test]
fn files_are_short() {
    let lines = rust().map(|(path, text)| (path, text.lines().count()));
    let found = lines.filter(|(_, lines)| *lines > LINES_MAX).collect();
    none(
        Limits::read().compare("lines", &found, 50),
        "one noun a file: what is a noun of its own goes into `foo/bar.rs`",
    );
}

/// What is wrong with the functions outside of tests, by this measure.
fn functions_above(rule: &str, slack: usize, above: impl Fn(&Function) -> Option<usize>) -> Vec<String> {
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for (path, text) in rust().filter(|(path, _)| !is_test(path)) {
        for function in functions(&text) {
            if let Some(measure) = above(&function) {
                let most = found.entry(format!("{path} {}", function.name)).or_default();
                *most = measure.max(*most);
            }
        }
    }
    Limits::read().compare(rule, &found, slack)
}

#[test]
fn functions_fit_a_screen() {
    let wrong = functions_above("function", 10, |function| {
        Some(function.lines).filter(|lines| *lines > FUNCTION_LINES_MAX)
    });
    none(wrong, "give its parts names, as functions of their own");
}

#[test]
fn structs_have_few_fields() {
    let sources = host().filter(|(path, _)| !is_test(path));
    let found: Vec<_> = sources
        .flat_map(|(path, text)| {
            structs(&text)
                .map(|(name, fields)| (format!("{path} {name}"), fields))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(found.len() > 100, "{} structs are not all", found.len());
    let is_wide = |known: &str| WIDE.iter().any(|(wide, _)| *wide == known);
    let wrong = found
        .into_iter()
        .filter(|(name, fields)| *fields > FIELDS_MAX && !is_wide(name))
        .map(|(name, fields)| format!("{name}: {fields} fields, more than {FIELDS_MAX}"));
    none(wrong.collect(), "fields that belong together are a struct of their own");
}

#[test]
fn functions_take_few_arguments() {
    let wrong = functions_above("arguments", 1, |function| {
        Some(function.arguments).filter(|arguments| *arguments > ARGUMENTS_MAX)
    });
    none(wrong, "arguments that travel together are a struct");
}

#[test]
fn files_import_downwards_in_each_folder() {
    let mut wrong = vec![];
    for folder in CRATES {
        let imports = Imports::of(folder);
        let upwards = imports.upwards().into_iter();
        wrong.extend(upwards.map(|(from, to)| format!("{from} names {to}")));
    }
    none(
        wrong,
        "`foo/bar.rs` should not name what `foo.rs` defines: move that into a file of its own, `foo/what.rs`",
    );
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut wrong = vec![];
    for folder in CRATES {
        let imports = Imports::of(folder);
        wrong.extend(imports.circles().iter().map(|circle| format!("{circle:?}")));
    }
    none(wrong, "move what they share into a file below them");
}

#[test]
fn limits_have_only_shrunk() {
    none(
        limits::laxer(),
        "mend it instead: the list in tests/it/tidy/limits.txt only shrinks",
    );
}

#[test]
fn exceptions_from_lints_are_few() {
    // In two parts, so that this file itself passes.
    let marks = [
        concat!("#[ex", "pect("),
        concat!("#![ex", "pect("),
        concat!("#[al", "low("),
        concat!("#![al", "low("),
    ];
    let mut found = vec![];
    for (path, text) in rust() {
        let lines = code(&text).filter(|(_, code)| marks.iter().any(|mark| code.trim_start().starts_with(mark)));
        found.extend(lines.map(|(line, _)| format!("{path}:{line}")));
    }
    println!("{} exceptions", found.len());
    if found.len() > EXCEPTIONS_MAX {
        none(found, "mend one of them: there may be no more than 30");
    }
}

#[test]
fn files_begin_with_their_rule() {
    let names = ["build.rs", "tests.rs"];
    let wrong = rust()
        .filter(|(path, text)| !text.starts_with("//!") && !names.iter().any(|name| path.ends_with(name)))
        .map(|(path, _)| path);
    none(
        wrong.collect(),
        "say in the first lines (`//!`) what it is, and the rule that it keeps",
    );
}

#[test]
fn nothing_is_half_done() {
    // In two parts, so that this file itself passes.
    let marks = [
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
    ];
    let mut wrong = Vec::new();
    for (path, text) in rust().chain(files(&["md", "toml", "wit", "yaml"])) {
        for (line, text) in text.lines().enumerate() {
            let found = marks.iter().filter(|mark| text.contains(**mark));
            wrong.extend(found.map(|mark| format!("{path}:{}: {mark}", line + 1)));
        }
    }
    none(wrong, "do it now, or say in docs/limits.md that it is missing");
}

#[test]
fn modules_stand_beside_their_folders() {
    let wrong = rust().map(|(path, _)| path).filter(|path| path.ends_with("/mod.rs"));
    none(wrong.collect(), "call it `foo.rs`, beside the folder `foo/`");
}

#[test]
fn metrics_are_described_in_one_place() {
    let elsewhere = host()
        .filter(|(path, text)| module(path) != "metrics" && text.contains("prometheus_client::registry"))
        .map(|(path, _)| path);
    none(elsewhere.collect(), "declare it in host/src/metrics.rs");
    let text = fs::read_to_string(root().join("host/src/metrics.rs")).expect("the metrics");
    let (_, families) = text.split_once("\nfamilies! {\n").expect("the list of metrics");
    let families = families.split_once("\n}\n").expect("its end").0;
    let families: Vec<&str> = families.split(";\n").filter(|family| family.contains(": ")).collect();
    assert!(families.len() > 20, "the list is read");
    let wrong = families.iter().filter(|family| {
        // The name, then the help, which is more than one word.
        let texts: Vec<&str> = family.split('"').skip(1).step_by(2).collect();
        texts.len() != 2 || !texts[1].contains(' ')
    });
    none(
        wrong.map(ToString::to_string).collect(),
        "say in a sentence what it counts",
    );
}

#[test]
fn unsafe_code_says_why_it_is_sound() {
    let mut wrong = Vec::new();
    for (path, text) in rust() {
        let lines: Vec<&str> = text.lines().collect();
        for (number, code) in code(&text) {
            let block = code.contains("unsafe {") || code.contains("unsafe impl");
            if block && !path.ends_with("tidy.rs") && !is_sound(&lines[..number]) {
                wrong.push(format!("{path}:{number}"));
            }
        }
    }
    none(wrong, "say in a comment above it, `// SAFETY: ...`, why it is sound");
}

/// Whether these lines say why unsafe code in the last one is sound: on that line, or above its statement.
fn is_sound(lines: &[&str]) -> bool {
    let (last, above) = lines.split_last().expect("the line itself");
    let says = |line: &str| line.contains("// SAFETY:");
    let before = above.iter().rev().map(|line| line.trim());
    let statement =
        before.take_while(|line| line.starts_with("//") || !(line.is_empty() || line.ends_with([';', '{', '}'])));
    says(last) || statement.into_iter().any(says)
}

#[test]
fn tests_do_not_sleep() {
    let mut wrong = Vec::new();
    for (path, text) in rust() {
        let excused = SLEEPS.iter().any(|(below, _)| path.starts_with(below)) || path.ends_with("tidy.rs");
        let sleeps = code(&text).filter(|(_, code)| code.contains("sleep("));
        if is_test(&path) && !excused {
            wrong.extend(sleeps.map(|(line, _)| format!("{path}:{line}")));
        }
    }
    none(
        wrong,
        "wait for the thing itself: a channel, a poll with a deadline, a clock that the test moves",
    );
}

#[track_caller]
fn none(wrong: Vec<String>, cure: &str) {
    assert!(wrong.is_empty(), "\n  {}\n{cure}\n", wrong.join("\n  "));
}
