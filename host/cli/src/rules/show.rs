//! The state of deploys as text.
//!
//! Rule: it says what a person needs to decide what to do next, and no more. Programs use `--json`.

use super::diff::{head, span, standing};
use pelton::deploy::api::{Deployed, OneDeploy, Pruned, RulesStatus};
use pelton_convert::iso;

/// The result of a deploy.
pub fn deployed(deployed: &Deployed, dry_run: bool) -> String {
    let Deployed {
        version,
        previous,
        number,
        at,
        findings,
        shadow,
    } = deployed;
    let mut text: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    if let Some(shadow) = shadow {
        let shadow = span(*shadow);
        return text
            + &match dry_run {
                true => format!("{version} could run beside {previous} for {shadow}; nothing was changed"),
                false => format!(
                    "shadow {number}: {version} runs beside {previous} for {shadow} of event time: see `pelton rules diff`"
                ),
            };
    }
    text += &match at {
        _ if version == previous => format!("{version} runs already"),
        _ if dry_run => format!("{version} could take over from {previous}, as deploy {number}; nothing was changed"),
        Some(at) => format!(
            "deploy {number}: {version} from {} on; before that {previous}",
            iso(*at)
        ),
        None => format!("deploy {number}: {version}; it was {previous}"),
    };
    text
}

/// What was removed from the control topic.
pub fn pruned(gone: &[Pruned], dry_run: bool, json: bool) -> String {
    if json {
        return serde_json::json!({ "pruned": gone, "dry_run": dry_run }).to_string();
    }
    let done = if dry_run { "would be removed" } else { "removed" };
    let line =
        |Pruned {
             component,
             bytes,
             deploys,
         }: &Pruned| { format!("component {component} of the deploys {deploys:?}, {bytes} bytes, {done}") };
    match gone {
        [] => "every component on the control topic is needed".into(),
        some => some.iter().map(line).collect::<Vec<_>>().join("\n"),
    }
}

/// How far an undecided deploy has come.
pub fn progress(one: &OneDeploy, tasks: usize) -> String {
    let mut instances: Vec<String> = one
        .instances
        .iter()
        .map(|(name, stage)| format!("{name} {stage}"))
        .collect();
    if instances.is_empty() {
        instances.push("none has reported yet".into());
    }
    format!(
        "deploy {}: {} of {tasks} tasks hold; instances: {}",
        one.number,
        one.prepared.len(),
        instances.join(", ")
    )
}

/// All deploys, newest first.
pub fn list(running: &RulesStatus) -> String {
    let line = |one: &OneDeploy| {
        let state = match (one.state.as_str(), one.at, &one.why) {
            ("committed", Some(at), _) => format!("from {} on", iso(at)),
            ("committed", None, _) => "from the beginning".into(),
            ("cancelled", _, Some(why)) => format!("cancelled: {why}"),
            ("withdrawn", at, Some(why)) => {
                let from = at.map_or_else(|| "the beginning".into(), iso);
                format!("from {from} on, until it was withdrawn: {why}")
            }
            (state, ..) => state.into(),
        };
        let one_way = if one.one_way { ", one way" } else { "" };
        format!(
            "{:>4}  {}  {state}{one_way}\n      by {}, {}; component {}, settings {}",
            one.number,
            one.version,
            one.author,
            iso(one.written),
            one.component,
            one.settings
        )
    };
    let lines: Vec<String> = running.deploys.iter().rev().map(line).collect();
    lines.join("\n")
}

/// Which versions run.
pub fn status(running: &RulesStatus) -> String {
    let mut text = format!("{}: {}", running.pipeline, running.version);
    let deploys = &running.deploys;
    if let Some(last) = deploys.last() {
        text += &match (last.state.as_str(), &last.why) {
            ("open", _) => format!("\n{}", progress(last, running.taken.len())),
            ("cancelled", Some(why)) => format!("\ndeploy {} was cancelled: {why}", last.number),
            ("withdrawn", Some(why)) => format!(
                "\ndeploy {} ({}) was withdrawn automatically: {why}; what it has committed stays",
                last.number, last.version
            ),
            _ => String::new(),
        };
    }
    if let Some(shadow) = running.shadow.as_ref().filter(|shadow| shadow.over.is_none()) {
        text += &format!("\n{}", head(shadow));
        for (task, report) in &shadow.tasks {
            let differ = report.seen.differ();
            text += &format!("\n  task {task}: {}, {differ} differences", standing(report));
        }
    }
    let versions = |number: &u64| {
        let found = deploys.iter().find(|one| one.number == *number);
        found.map_or("?", |one| one.version.as_str())
    };
    for (task, number) in &running.taken {
        text += &format!("\n  task {task}: {} (deploy {number})", versions(number));
        let held = deploys.last().filter(|last| last.state == "open");
        if let Some(at) = held.and_then(|last| last.prepared.get(task)) {
            let at = at.map_or_else(|| "its beginning".into(), iso);
            text += &format!(", holds at {at}");
        }
        let next = deploys
            .iter()
            .filter(|one| one.state == "committed" && one.number > *number)
            .min_by_key(|one| (one.at, std::cmp::Reverse(one.number)));
        if let Some(next) = next
            && let Some(at) = next.at
        {
            text += &format!(
                "; {} takes over once everything before {} is processed",
                next.version,
                iso(at)
            );
        }
        if let Some(trouble) = running.troubles.get(task) {
            text += &format!("\n    {trouble}");
        }
    }
    text
}
