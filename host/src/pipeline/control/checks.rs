//! What a version may not change while the stream runs.
//!
//! Rule: each finding says what to change. An error is what could not be read, by the new version now or, unless that is
//! given up (one-way), by an earlier one after a rollback. (World, imports and names are found when it is compiled, pending
//! timers and lookups by each task.)

use crate::control::{Control, Declared, State, Store, VersionId};
use crate::convert::incompatibilities;
use crate::http::Finding;
use crate::rules::Version;
use crate::task::Wiring;
use std::sync::Arc;

/// Everything there is to say of a version that shall follow what is committed.
pub fn check(control: &Control, new: &Declared, one_way: bool) -> Vec<Finding> {
    // What was withdrawn has written, too; what runs comes last.
    let running = control.newest();
    let ever = control.deploys().filter(|known| {
        let ran = matches!(known.state, State::Committed(_) | State::Withdrawn(..));
        ran && running.is_none_or(|running| running.deploy.number != known.deploy.number)
    });
    let mut earlier: Vec<&Declared> = vec![];
    // Most deploys share what they declare: each is compared once, where it stands last.
    for known in ever.chain(running).collect::<Vec<_>>().into_iter().rev() {
        let declared = known.deploy.declared.as_ref();
        if !earlier.iter().any(|one| std::ptr::eq(*one, declared)) {
            earlier.push(declared);
        }
    }
    earlier.reverse();
    compare(&earlier, new, one_way)
}

/// The same, of what the versions before have declared, the running one last.
pub fn compare(earlier: &[&Declared], new: &Declared, one_way: bool) -> Vec<Finding> {
    let mut findings = vec![];
    let Some(running) = earlier.last() else {
        return findings;
    };
    for store in &new.stores {
        stores(store, earlier, running, one_way, &mut findings);
    }
    let gone = |store: &&Store| new.stores.iter().all(|kept| kept.name != store.name);
    for store in running.stores.iter().filter(gone) {
        findings.push(Finding {
            error: false,
            what: format!("store '{}'", store.name),
            why: "is not declared any more: what it holds is kept, unread".into(),
        });
    }
    pairs("output", &new.outputs, &running.outputs, &mut findings, |new, old| {
        let why = first(new, old)?;
        Some((
            !one_way,
            format!(
                "whoever reads it by the schema of now could not read the new one: {why}. Add fields with a default, remove \
                 only fields with one; or say --one-way"
            ),
        ))
    });
    pairs("lookup", &new.lookups, &running.lookups, &mut findings, |new, old| {
        let why = first(old, new)?;
        Some((
            true,
            format!("replies of the schema of now could not be read: {why}. Give new fields a default"),
        ))
    });
    for (name, _) in running.outputs.iter().filter(|(name, _)| missing(&new.outputs, name)) {
        findings.push(Finding {
            error: false,
            what: format!("output '{name}'"),
            why: "is not written any more".into(),
        });
    }
    for timer in running.timers.iter().filter(|timer| !new.timers.contains(timer)) {
        findings.push(Finding {
            error: false,
            what: format!("timer '{timer}'"),
            why: "is not declared any more: tasks where one is pending refuse, unless --drop-timers".into(),
        });
    }
    for (name, _) in running.lookups.iter().filter(|(name, _)| missing(&new.lookups, name)) {
        findings.push(Finding {
            error: false,
            what: format!("lookup '{name}'"),
            why: "is not declared any more: tasks where one is pending refuse, unless --drop-timers".into(),
        });
    }
    findings
}

fn stores(store: &Store, earlier: &[&Declared], running: &Declared, one_way: bool, findings: &mut Vec<Finding>) {
    let what = format!("store '{}'", store.name);
    let mut error = |why: String| {
        findings.push(Finding {
            error: true,
            what: what.clone(),
            why,
        });
    };
    let same = |known: &&Store| known.name == store.name;
    for (age, known) in earlier
        .iter()
        .rev()
        .filter_map(|declared| declared.stores.iter().find(same))
        .enumerate()
    {
        if known.map != store.map {
            let shape = |map| if map { "a map" } else { "one value a key" };
            return error(format!(
                "it holds {} and would hold {}; give the new one another name",
                shape(known.map),
                shape(store.map)
            ));
        }
        // What an earlier version wrote may still stand there.
        if let Some(why) = first(&known.schema, &store.schema) {
            let whose = if age == 0 { "now" } else { "an earlier version" };
            return error(format!(
                "values written by the schema of {whose} could not be read: {why}. Give new fields a default, keep the types"
            ));
        }
    }
    if let Some(known) = running.stores.iter().find(same)
        && let Some(why) = first(&store.schema, &known.schema)
    {
        let what = what.clone();
        findings.push(match one_way {
            true => Finding {
                error: false,
                what,
                why: format!("new values can't be read by the version of now ({why}): there is no way back to it"),
            },
            false => Finding {
                error: true,
                what,
                why: format!(
                    "new values could not be read after a rollback: {why}. Remove only fields that have a default; or give up \
                     the way back with --one-way"
                ),
            },
        });
    }
}

fn missing(list: &[(String, String)], name: &str) -> bool {
    list.iter().all(|(known, _)| known != name)
}

/// Compares what has the same name.
fn pairs(
    kind: &str,
    new: &[(String, String)],
    old: &[(String, String)],
    findings: &mut Vec<Finding>,
    compare: impl Fn(&str, &str) -> Option<(bool, String)>,
) {
    for (name, schema) in new {
        if let Some((_, before)) = old.iter().find(|(known, _)| known == name)
            && let Some((error, why)) = compare(schema, before)
        {
            let what = format!("{kind} '{name}'");
            findings.push(Finding { error, what, why });
        }
    }
}

/// The first reason why values of one schema can't be read by another.
fn first(writer: &str, reader: &str) -> Option<String> {
    if writer == reader {
        return None;
    }
    let why = incompatibilities(writer, reader).into_iter().next();
    why.map(|why| why.to_string())
}

/// The version that was asked for, and no other: what was fetched is what its author sent.
pub fn is(version: &VersionId, wiring: Arc<Wiring>) -> Result<Arc<Wiring>, String> {
    let made = wiring.rules.version();
    match made.0 == *version {
        true => Ok(wiring),
        false => Err(format!(
            "the component on the control topic makes version {made}, and {} was announced",
            Version(*version)
        )),
    }
}

#[cfg(test)]
mod tests;
