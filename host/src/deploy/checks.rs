//! Checks what a version may not change while the stream runs.
//!
//! Rule: each finding says what to change. It is an error if the new version could not read something, or if an earlier
//! version could not read it after a rollback. A one-way deploy allows the latter. (The compiler checks world, imports
//! and names. Each task checks its pending timers and lookups.)

use crate::deploy::api::DeployFinding;
use crate::deploy::protocol::{Control, Declarations, DeclaredStore, DeployState};
use pelton_convert::incompatibilities;

/// All findings about a version that would follow the committed ones.
pub fn check(control: &Control, new: &Declarations, one_way: bool) -> Vec<DeployFinding> {
    // Withdrawn versions have written state too. The running version comes last.
    let running = control.newest();
    let ever = control.deploys().filter(|known| {
        let ran = matches!(known.state, DeployState::Committed(_) | DeployState::Withdrawn(..));
        ran && running.is_none_or(|running| running.deploy.number != known.deploy.number)
    });
    let mut earlier: Vec<&Declarations> = vec![];
    // Most deploys have the same declarations, so each is compared only once, at its last place.
    for known in ever.chain(running).collect::<Vec<_>>().into_iter().rev() {
        let declared = known.deploy.declared.as_ref();
        if !earlier.iter().any(|one| std::ptr::eq(*one, declared)) {
            earlier.push(declared);
        }
    }
    earlier.reverse();
    compare(&earlier, new, one_way)
}

/// Like [`check`], with the declarations of the earlier versions, of which the running one is last.
pub fn compare(earlier: &[&Declarations], new: &Declarations, one_way: bool) -> Vec<DeployFinding> {
    let mut findings = vec![];
    let Some(running) = earlier.last() else {
        return findings;
    };
    for store in &new.stores {
        stores(store, earlier, running, one_way, &mut findings);
    }
    let gone = |store: &&DeclaredStore| new.stores.iter().all(|kept| kept.name != store.name);
    for store in running.stores.iter().filter(gone) {
        findings.push(DeployFinding {
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
        findings.push(DeployFinding {
            error: false,
            what: format!("output '{name}'"),
            why: "is not written any more".into(),
        });
    }
    for timer in running.timers.iter().filter(|timer| !new.timers.contains(timer)) {
        findings.push(DeployFinding {
            error: false,
            what: format!("timer '{timer}'"),
            why: "is not declared any more: tasks where one is pending refuse, unless --drop-timers".into(),
        });
    }
    for (name, _) in running.lookups.iter().filter(|(name, _)| missing(&new.lookups, name)) {
        findings.push(DeployFinding {
            error: false,
            what: format!("lookup '{name}'"),
            why: "is not declared any more: tasks where one is pending refuse, unless --drop-timers".into(),
        });
    }
    findings
}

fn stores(
    store: &DeclaredStore,
    earlier: &[&Declarations],
    running: &Declarations,
    one_way: bool,
    findings: &mut Vec<DeployFinding>,
) {
    let what = format!("store '{}'", store.name);
    let mut error = |why: String| {
        findings.push(DeployFinding {
            error: true,
            what: what.clone(),
            why,
        });
    };
    let same = |known: &&DeclaredStore| known.name == store.name;
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
        // The state may still have values of an earlier version.
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
            true => DeployFinding {
                error: false,
                what,
                why: format!("new values can't be read by the version of now ({why}): there is no way back to it"),
            },
            false => DeployFinding {
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

/// Compares channels with the same name.
fn pairs(
    kind: &str,
    new: &[(String, String)],
    old: &[(String, String)],
    findings: &mut Vec<DeployFinding>,
    compare: impl Fn(&str, &str) -> Option<(bool, String)>,
) {
    for (name, schema) in new {
        if let Some((_, before)) = old.iter().find(|(known, _)| known == name)
            && let Some((error, why)) = compare(schema, before)
        {
            let what = format!("{kind} '{name}'");
            findings.push(DeployFinding { error, what, why });
        }
    }
}

/// The first reason why one schema can't read values of another.
fn first(writer: &str, reader: &str) -> Option<String> {
    if writer == reader {
        return None;
    }
    let why = incompatibilities(writer, reader).into_iter().next();
    why.map(|why| why.to_string())
}

#[cfg(test)]
mod tests;
