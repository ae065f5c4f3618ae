//! A task's state in the auditor's terms, as lines to compare.

use super::lines::text;
use crate::auditor::{self, Expected, StepWhat};
use crate::translate::{pending_name, place_name, step};
use anyhow::{Context, Result};
use pelton::state::DumpedEntry;
use pelton::task::Task;

/// The stores, timers and lookups of a task, as sorted lines.
pub fn state_of(task: &Task) -> Result<Vec<String>> {
    let mut lines = vec![];
    for stored in task.dump() {
        let DumpedEntry {
            key,
            store,
            entry,
            expires,
            value,
            ..
        } = stored;
        let value = match store.as_str() {
            "pending" | "asked" => {
                // The store has the same schema as the output.
                let framed = [&[0, 0, 0, 0, 4], value.as_slice()].concat();
                let read = auditor::read_enriched(auditor::Format::Avro, &framed);
                format!(
                    "{:?}",
                    read.with_context(|| format!("a value of {store} can't be read"))?
                )
            }
            _ => format!("{value:?}"),
        };
        lines.push(state_line(&key, &store, &entry, expires, &value));
    }
    for timer in task.timers() {
        lines.push(format!("timer {:?}", step(timer)?));
    }
    lines.push(format!("{} lookups", task.status().state.lookups));
    lines.sort();
    Ok(lines)
}

/// The lines that [`state_of`] must return, from what the auditor expects.
pub fn state_expected(expected: &Expected) -> Vec<String> {
    let now = expected.steps.last().map_or(auditor::NEVER, |step| step.time);
    let forever = i64::MAX;
    let mut lines = vec![];
    let mut asked = 0;
    for (key, state) in &expected.users {
        let state = state.alive(now);
        let mut line = |store: &str, entry: &[u8], expires, value: String| {
            lines.push(state_line(key, store, entry, expires, &value))
        };
        for (id, expires) in &state.seen {
            line("seen", id.as_bytes(), *expires, format!("{:?}", b""));
        }
        for kind in &state.types {
            line("types", kind.as_bytes(), forever, format!("{:?}", b""));
        }
        if let Some(user) = &state.user {
            let mut value = vec![];
            for field in [&user.birth_year, &user.country] {
                match field {
                    None => value.push(0),
                    Some(text) => {
                        value.extend([2, text.len() as u8 * 2]);
                        value.extend(text.as_bytes());
                    }
                }
            }
            line("user", b"", forever, format!("{value:?}"));
        }
        for (id, (country, expires)) in &state.sessions {
            let value = [&[country.len() as u8 * 2], country.as_bytes()].concat();
            line("sessions", id.as_bytes(), *expires, format!("{value:?}"));
        }
        for ((session, place), (enriched, _)) in &state.pending {
            line(
                "pending",
                &pending_name(session, place),
                forever,
                format!("{enriched:?}"),
            );
        }
        for (place, enriched) in state.asked.values() {
            line("asked", &place_name(place), forever, format!("{enriched:?}"));
        }
        asked += state.asked.len();
        for ((session, place), (_, due)) in &state.pending {
            let what = StepWhat::SessionMissing {
                key: key.clone(),
                session: session.clone(),
                place: *place,
            };
            lines.push(format!("timer {:?}", Some(auditor::StepKey { time: *due, what })));
        }
    }
    lines.push(format!("{asked} lookups"));
    lines.sort();
    lines
}

fn state_line(key: &[u8], store: &str, entry: &[u8], expires: i64, value: &str) -> String {
    let entry: String = entry
        .iter()
        .flat_map(|byte| std::ascii::escape_default(*byte))
        .map(char::from)
        .collect();
    format!("{} {store} {entry} until {expires}: {value}", text(key))
}
