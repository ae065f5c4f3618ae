//! The house rules that a program can check.
//!
//! Rule: each message says the file, the line and the cure. What breaks a rule for a reason stands in a list here, with the
//! reason; the lists may only shrink.

mod layers;
mod pages;
mod source;

use layers::{imports, layers, module};
use source::{code, files, host, is_test, root, rust};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Lines of a Rust file, tests included: what one noun needs.
const LINES_MAX: usize = 400;

/// Files that need more, and how much they may have, in fifties.
const LONG: &[(&str, usize)] = &[
    ("guest-enrich/src/tests.rs", 500),
    ("host/src/convert/json.rs", 450),
    ("host/src/convert/resolver/compile.rs", 450),
    ("host/src/rows.rs", 450),
    ("sdk/src/ctx.rs", 500),
    ("sdk/src/testkit/host.rs", 450),
    ("sdk/tests/cuts.rs", 450),
    ("tests/src/auditor/read.rs", 450),
    ("tests/src/auditor/tests.rs", 600),
];

/// Paths below which something sleeps, each for another reason than to wait for what a test could wait for.
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

/// What the pure modules can't do.
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

#[test]
fn modules_import_downwards() {
    let layers = layers();
    let mut wrong = Vec::new();
    for (path, text) in host() {
        let from = module(&path);
        // lib.rs and main.rs are above all.
        let Some(own) = layers.iter().position(|layer| layer.modules.contains(from)) else {
            continue;
        };
        for to in imports(&path, &text) {
            let Some(other) = layers.iter().position(|layer| layer.modules.contains(&to)) else {
                continue;
            };
            if other > own {
                wrong.push(format!(
                    "{path}: `{from}` ({}) imports `{to}` ({})",
                    layers[own].title, layers[other].title
                ));
            } else if other == own && from != to && layers[own].title.starts_with("ports") {
                wrong.push(format!("{path}: the port `{from}` imports the port `{to}`"));
            }
        }
    }
    none(
        wrong,
        "move what is shared downwards, or pass it in from above (the layers stand in host/src/lib.rs)",
    );
}

#[test]
fn no_two_modules_import_each_other() {
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let modules: BTreeSet<String> = layers().into_iter().flat_map(|layer| layer.modules).collect();
    for (path, text) in host() {
        let from = module(&path);
        if modules.contains(from) {
            let to = imports(&path, &text)
                .into_iter()
                .filter(|to| to != from && modules.contains(to));
            graph.entry(from.to_string()).or_default().extend(to);
        }
    }
    // Modules that import nothing that is left are taken away, until none is.
    while !graph.is_empty() {
        let left: BTreeSet<String> = graph.keys().cloned().collect();
        graph.retain(|_, to| to.iter().any(|to| left.contains(to)));
        assert!(graph.len() < left.len(), "a circle of imports among {:?}", graph.keys());
    }
}

#[test]
fn pure_modules_are_pure() {
    let layers = layers();
    let pure = layers
        .iter()
        .find(|layer| layer.title.starts_with("pure"))
        .expect("a layer `pure`");
    let mut wrong = Vec::new();
    for (path, text) in host() {
        if pure.modules.contains(module(&path)) && !is_test(&path) {
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
    let mut wrong = Vec::new();
    let files: BTreeMap<String, usize> = rust().map(|(path, text)| (path, text.lines().count())).collect();
    for (path, lines) in &files {
        let listed = LONG.iter().find(|(long, _)| long == path).map(|(_, max)| *max);
        if *lines > listed.unwrap_or(LINES_MAX) {
            wrong.push(format!(
                "{path}: {lines} lines, at most {}",
                listed.unwrap_or(LINES_MAX)
            ));
        } else if listed.is_some() && *lines <= LINES_MAX {
            wrong.push(format!(
                "{path}: {lines} lines: take it off the list in tests/it/tidy.rs"
            ));
        }
    }
    let gone = LONG.iter().filter(|(long, _)| !files.contains_key(*long));
    wrong.extend(gone.map(|(long, _)| format!("{long} is gone: take it off the list in tests/it/tidy.rs")));
    none(
        wrong,
        "one noun a file: what is a noun of its own goes into `foo/bar.rs`",
    );
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
    // In two parts, so that this file passes.
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
        // name, then sentence, which is more than a word
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

/// Do these lines, of which the last has the unsafe code, say why it is sound: there, or above its statement?
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
