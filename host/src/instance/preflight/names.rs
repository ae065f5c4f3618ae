//! The names of inputs, outputs and lookups: those that the rules declare, and those in the config.

use crate::config::{Config, Finding};

/// Compares the names that the rules declare with those in the config.
pub fn names(config: &Config, inputs: &[&str], outputs: &[&str], lookups: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut compare = |group: &str, ours: Vec<&str>, theirs: &[&str], verb: &str| {
        for name in theirs.iter().filter(|name| !ours.contains(name)) {
            let cure = format!("the rules {verb} {name:?}; add a table [{group}.{name}], or use rules that do not");
            findings.push(Finding::error(format!("{group}.{name}"), "", cure));
        }
        for name in ours.iter().filter(|name| !theirs.contains(name)) {
            let cure = format!(
                "the rules do not {verb} it (they {verb}: {}); remove it",
                theirs.join(", ")
            );
            findings.push(Finding::warning(format!("{group}.{name}"), "", cure));
        }
    };
    compare(
        "inputs",
        config.inputs.iter().map(|input| input.name.as_str()).collect(),
        inputs,
        "read",
    );
    compare(
        "outputs",
        config.outputs.iter().map(|output| output.name.as_str()).collect(),
        outputs,
        "write",
    );
    compare(
        "lookups",
        config.lookups.iter().map(|lookup| lookup.name.as_str()).collect(),
        lookups,
        "ask",
    );
    findings
}
