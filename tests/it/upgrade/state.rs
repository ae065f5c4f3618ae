//! The state of a task, according to its changelog.
//!
//! Rule: the log is read from its start, like a restore without a local store. What is expired at the last step is left
//! out, because it depends on the commits when the sweep removes it.

use super::topics::shown;
use pelton::record::{FOREVER, Millis};
use pelton::state::delta::{self, Change};
use pelton::state::meta::{self, Meta, Names};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The key, the id of the store, and the entry.
type Place = (Vec<u8>, u16, Vec<u8>);

/// Key, kind or lookup, and tag.
type Named = (Vec<u8>, u16, Vec<u8>);

/// The state of a task.
#[derive(Default)]
struct State {
    /// The expiry, the id of the schema, and the value.
    entries: BTreeMap<Place, (Millis, u16, Vec<u8>)>,
    /// The due time.
    timers: BTreeMap<Named, Millis>,
    /// The id and the request.
    lookups: BTreeMap<Named, (Vec<u8>, Vec<u8>)>,
    names: Names,
    meta: Option<Meta>,
}

impl State {
    fn apply(&mut self, change: Change<'_>) {
        match change {
            Change::Meta(bytes) => self.meta = Some(meta::decode(bytes).expect("a meta")),
            Change::Names(bytes) => self.names = meta::decode(bytes).expect("names"),
            Change::Put {
                key,
                store,
                entry,
                cell,
            } => {
                let place = (key.to_vec(), store, entry.to_vec());
                self.entries
                    .insert(place, (cell.expires, cell.schema, cell.value.to_vec()));
            }
            Change::Delete { key, store, entry } => _ = self.entries.remove(&(key.to_vec(), store, entry.to_vec())),
            Change::SetTimer { key, at, kind, tag } => _ = self.timers.insert((key.to_vec(), kind, tag.to_vec()), at),
            Change::CancelTimer { key, kind, tag, .. } => _ = self.timers.remove(&(key.to_vec(), kind, tag.to_vec())),
            Change::Ask {
                key,
                lookup,
                tag,
                id,
                request,
            } => {
                let question = (id.to_vec(), request.to_vec());
                self.lookups.insert((key.to_vec(), lookup, tag.to_vec()), question);
            }
            Change::Answered { key, lookup, tag } => _ = self.lookups.remove(&(key.to_vec(), lookup, tag.to_vec())),
        }
    }
}

/// One line for each entry, timer and lookup. Names replace ids.
pub fn of(records: impl Iterator<Item = Vec<u8>>) -> String {
    let mut state = State::default();
    for record in records {
        delta::read(&record).for_each(|change| state.apply(change.expect("a record of the changelog")));
    }
    let meta = state.meta.expect("a task that has committed");
    let bytes = |bytes: &[u8]| shown(Some(bytes));
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("text");
    let next: Vec<_> = meta.inputs.iter().map(|input| input.next.0).collect();
    line(format!(
        "at {:?}, {} behind it, deploy {}, holds for {:?}, next {next:?}",
        meta.last.time(),
        meta.sequence,
        meta.deployed,
        meta.prepared.map(|prepared| prepared.number),
    ));
    for (rank, input) in meta.inputs.iter().enumerate() {
        line(format!(
            "input {rank}: heartbeats {:?}, verdicts {:?}",
            input.heartbeats, input.verdicts
        ));
    }
    let now = meta.last.time();
    for ((key, store, entry), (expires, schema, value)) in &state.entries {
        if *expires <= now {
            continue;
        }
        let expires = if *expires == FOREVER {
            "never".into()
        } else {
            expires.to_string()
        };
        line(format!(
            "{}\t{}\t{}\texpires {expires}\tschema {schema}\t{}",
            bytes(key),
            state.names.stores[usize::from(*store)],
            bytes(entry),
            bytes(value)
        ));
    }
    for ((key, kind, tag), at) in &state.timers {
        let name = &state.names.timers[usize::from(*kind)];
        line(format!("timer\t{at}\t{name}\t{}\t{}", bytes(key), bytes(tag)));
    }
    for ((key, lookup, tag), (id, request)) in &state.lookups {
        let name = &state.names.lookups[usize::from(*lookup)];
        line(format!(
            "lookup\t{name}\t{}\t{}\t{}\t{}",
            bytes(key),
            bytes(tag),
            bytes(id),
            bytes(request)
        ));
    }
    text
}
