//! Tests rows against plain sorted maps, one for each layer.

use super::*;
use crate::state::delta::{self, Change};
use proptest::prelude::*;
use std::collections::BTreeMap;

type Place = (usize, u16, Vec<u8>);
type Held = (u16, Millis, Vec<u8>);
type Model = BTreeMap<Place, Held>;

/// Miri is slow.
const CASES: u32 = if cfg!(miri) { 4 } else { 400 };

/// Keys whose hashes have few distinct tags: some share the tag, some the whole hash.
const KEYS: usize = 7;

fn key(n: usize) -> Vec<u8> {
    // The last key is too long for a page.
    if n == KEYS - 1 {
        vec![b'k'; 6000]
    } else {
        format!("key {n}").into_bytes()
    }
}

fn hash_of(n: usize) -> u64 {
    ((n as u64 / 3) << 32) | (n as u64 % 3 / 2)
}

#[derive(Clone, Debug)]
enum Step {
    Put {
        key: usize,
        store: u16,
        entry: u8,
        len: usize,
        ttl: i64,
    },
    Many {
        key: usize,
        entries: u16,
        len: usize,
        ttl: i64,
    },
    Delete {
        key: usize,
        store: u16,
        entry: u8,
    },
    DeleteAll {
        key: usize,
    },
    Touch {
        key: usize,
    },
    Scan {
        key: usize,
        store: u16,
        prefix: Vec<u8>,
        after: Option<u8>,
        later: i64,
        limit: usize,
    },
    Sweep {
        budget: usize,
    },
    Seal,
    Commit {
        later: i64,
    },
    Abort,
    Slice {
        budget: usize,
    },
}

fn cell(schema: u16, expires: Millis, value: &[u8]) -> StoreEntry<'_> {
    StoreEntry { schema, expires, value }
}

fn step() -> impl Strategy<Value = Step> {
    let len = || prop_oneof![8 => 0..40usize, 2 => 0..3000usize, 1 => Just(20_000usize)];
    let ttl = || prop_oneof![3 => 0..60i64, 1 => Just(1_000_000i64)];
    let after = prop::option::of(0..30u8);
    prop_oneof![
        12 => (0..KEYS, 0..3u16, 0..30u8, len(), ttl()).prop_map(|(key, store, entry, len, ttl)| Step::Put { key, store, entry, len, ttl }),
        1 => (0..KEYS, 1..400u16, 0..100usize, ttl()).prop_map(|(key, entries, len, ttl)| Step::Many { key, entries, len, ttl }),
        4 => (0..KEYS, 0..3u16, 0..30u8).prop_map(|(key, store, entry)| Step::Delete { key, store, entry }),
        1 => (0..KEYS).prop_map(|key| Step::DeleteAll { key }),
        1 => (0..KEYS).prop_map(|key| Step::Touch { key }),
        3 => (0..KEYS, 0..3u16, prop::collection::vec(0..3u8, 0..2), after, 0..40i64, 0..40usize)
            .prop_map(|(key, store, prefix, after, later, limit)| Step::Scan { key, store, prefix, after, later, limit }),
        2 => (0..20_000usize).prop_map(|budget| Step::Sweep { budget }),
        3 => Just(Step::Seal),
        3 => (0..30i64).prop_map(|later| Step::Commit { later }),
        1 => Just(Step::Abort),
        3 => (0..3000usize).prop_map(|budget| Step::Slice { budget }),
    ]
}

fn entry(n: u8) -> Vec<u8> {
    // Of several lengths, also empty, with common prefixes.
    (0..n % 5)
        .map(|i| (n >> i) % 3)
        .collect::<Vec<_>>()
        .into_iter()
        .chain((n > 20).then_some(n))
        .collect()
}

fn range(model: &Model, key: usize) -> impl Iterator<Item = (&Place, &Held)> {
    model.range((key, 0, vec![])..(key + 1, 0, vec![]))
}

/// The model: committed, sealed and open, each a whole map. Also what the store has, and the log since its flush began.
#[derive(Default)]
struct World {
    rows: Rows,
    committed: Model,
    sealed: Option<Model>,
    open: Model,
    time: Millis,
    stored: BTreeMap<(u64, Vec<u8>), Vec<u8>>,
    /// The committed states since the current flush began, newest last.
    since: Vec<Model>,
    flushing: bool,
    cursor: Cursor,
}

fn alive(model: &Model, time: Millis) -> Model {
    model
        .iter()
        .filter(|(_, held)| time < held.1)
        .map(|(p, h)| (p.clone(), h.clone()))
        .collect()
}

impl World {
    fn slot(&mut self, n: usize) -> RowSlot {
        let slot = self.rows.slot(hash_of(n), &key(n));
        assert_eq!(self.rows.key(slot), key(n));
        slot
    }

    fn put(&mut self, n: usize, store: u16, entry: Vec<u8>, value: Vec<u8>, ttl: i64) {
        let (slot, expires, schema) = (self.slot(n), self.time + ttl, (value.len() % 7) as u16);
        self.rows.put(slot, store, &entry, cell(schema, expires, &value));
        self.open.insert((n, store, entry), (schema, expires, value));
    }

    fn delete(&mut self, n: usize, store: u16, entry: Vec<u8>) {
        let slot = self.slot(n);
        let was = self.rows.delete(slot, store, &entry);
        let old = self.open.remove(&(n, store, entry));
        // An expired entry may or may not still exist.
        assert!(was == old.is_some() || !was && old.unwrap().1 <= self.time);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Put {
                key,
                store,
                entry: e,
                len,
                ttl,
            } => self.put(key, store, entry(e), vec![e; len], ttl),
            Step::Many { key, entries, len, ttl } => {
                (0..entries).for_each(|n| self.put(key, 2, n.to_be_bytes().to_vec(), vec![n as u8; len], ttl));
            }
            Step::Delete { key, store, entry: e } => self.delete(key, store, entry(e)),
            Step::DeleteAll { key } => {
                let all: Vec<_> = range(&self.open, key)
                    .map(|(place, _)| (place.1, place.2.clone()))
                    .collect();
                all.into_iter()
                    .for_each(|(store, entry)| self.delete(key, store, entry));
            }
            Step::Touch { key } => _ = self.slot(key),
            Step::Scan {
                key,
                store,
                prefix,
                after,
                later,
                limit,
            } => {
                let (slot, now, after) = (self.slot(key), self.time + later, after.map(entry));
                for committed in [false, true] {
                    let mut seen = Vec::new();
                    let mut visit = |at: &[u8], cell: StoreEntry<'_>| seen.push((at.to_vec(), cell.value.to_vec()));
                    let bounds = ScanRange {
                        store,
                        prefix: &prefix,
                        after: after.as_deref(),
                        now,
                        limit,
                    };
                    match committed {
                        false => self.rows.scan(slot, bounds, &mut visit),
                        true => self.rows.scan_committed(slot, bounds, &mut visit),
                    }
                    let model = if committed { &self.committed } else { &self.open };
                    let expected: Vec<_> = range(model, key)
                        .filter(|((_, of, e), held)| *of == store && e.starts_with(&prefix) && now < held.1)
                        .filter(|((_, _, e), _)| after.as_ref().is_none_or(|after| after < e))
                        .take(limit)
                        .map(|((_, _, e), held)| (e.clone(), held.2.clone()))
                        .collect();
                    assert_eq!(seen, expected);
                }
            }
            Step::Sweep { budget } => {
                // What is written must be the newest. That all is written is tested with the sweep.
                let mut delta = crate::state::delta::Delta::new();
                self.rows.sweep(&mut self.cursor, budget, self.time, &mut delta);
                let open = alive(&self.open, self.time);
                for change in delta.records().flat_map(delta::read) {
                    let (place, held) = as_model(change.unwrap());
                    assert_eq!(open.get(&place), Some(&held));
                }
            }
            Step::Seal => {
                if self.sealed.is_none() {
                    self.rows.seal();
                    self.sealed = Some(self.open.clone());
                }
            }
            Step::Commit { later } => {
                if let Some(sealed) = self.sealed.take() {
                    self.time += later;
                    self.rows.commit(self.time);
                    self.since.push(sealed.clone());
                    self.committed = sealed;
                }
            }
            Step::Abort => {
                self.rows.abort();
                self.sealed = None;
                self.open = self.committed.clone();
            }
            Step::Slice { budget } => _ = self.slice(budget),
        }
        self.check();
    }

    /// Runs a slice of a flush. Returns whether it is complete. Each row in the store must be as it was at some time
    /// since the flush began.
    fn slice(&mut self, budget: usize) -> bool {
        if !self.flushing {
            self.flushing = true;
            self.since = vec![self.committed.clone()];
        }
        let mut slice = Dirty::new();
        let done = self.rows.take_dirty(budget, self.time, &mut slice);
        let mut last = 0;
        for (hash, key, record) in slice.rows() {
            assert!(last <= hash >> 32);
            last = hash >> 32;
            match record {
                Some(record) => _ = self.stored.insert((hash, key.to_vec()), record.to_vec()),
                None => _ = self.stored.remove(&(hash, key.to_vec())),
            }
        }
        if done {
            self.flushing = false;
            for n in 0..KEYS {
                let row = |model: &Model| -> Model {
                    range(&alive(model, self.time), n)
                        .map(|(p, h)| (p.clone(), h.clone()))
                        .collect()
                };
                let record = self.stored.get(&(hash_of(n), key(n)));
                let changes = record.into_iter().flat_map(|record| delta::read(record));
                let stored: Model = changes.map(|change| as_model(change.unwrap())).collect();
                let stored = alive(&stored, self.time);
                assert!(
                    self.since.iter().any(|model| row(model) == stored),
                    "the store has row {n} as it never was"
                );
            }
        }
        done
    }

    fn check(&self) {
        for n in 0..KEYS {
            let Some(slot) = self.rows.find(hash_of(n), &key(n)) else {
                assert_eq!(range(&alive(&self.open, self.time), n).count(), 0);
                continue;
            };
            for ((_, store, entry), held) in range(&self.open, n) {
                assert_cell(self.rows.get(slot, *store, entry), held, self.time);
            }
            for ((_, store, entry), held) in range(&self.committed, n) {
                assert_cell(self.rows.get_committed(slot, *store, entry), held, self.time);
            }
            for e in 0..30 {
                for store in 0..3 {
                    let there = self
                        .rows
                        .get(slot, store, &entry(e))
                        .is_some_and(|cell| self.time < cell.expires);
                    assert!(!there || self.open.contains_key(&(n, store, entry(e))));
                }
            }
        }
    }
}

fn as_model(change: Change<'_>) -> (Place, Held) {
    let Change::Put {
        key: found,
        store,
        entry,
        cell: StoreEntry { schema, expires, value },
    } = change
    else {
        panic!("not a put")
    };
    let n = (0..KEYS).find(|&n| key(n) == found).unwrap();
    ((n, store, entry.to_vec()), (schema, expires, value.to_vec()))
}

fn assert_cell(cell: Option<StoreEntry<'_>>, held: &Held, time: Millis) {
    match cell {
        Some(cell) => assert_eq!((cell.schema, cell.expires, cell.value), (held.0, held.1, &*held.2)),
        None => assert!(held.1 <= time, "an entry is lost"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn rows_are_layers_of_sorted_maps(steps in prop::collection::vec(step(), 0..if cfg!(miri) { 12 } else { 120 })) {
        let mut world = World::default();
        world.rows.track();
        steps.into_iter().for_each(|step| world.step(step));
        // At rest, the store equals the committed rows, and nothing is left over.
        world.step(Step::Abort);
        while !world.slice(1000) {}
        while !world.slice(1000) {}
        prop_assert_eq!(world.rows.dirty(), 0);
        (0..KEYS).for_each(|key| world.step(Step::DeleteAll { key }));
        for _ in 0..2 {
            world.step(Step::Seal);
            world.step(Step::Commit { later: 10_000_000 });
            world.step(Step::Sweep { budget: usize::MAX / 2 });
        }
        world.step(Step::Seal);
        world.step(Step::Commit { later: 0 });
        while !world.slice(1000) {}
        prop_assert!(world.stored.is_empty());
        world.step(Step::Seal);
        world.step(Step::Commit { later: 0 });
        prop_assert_eq!((world.rows.len(), world.rows.dirty(), world.rows.arena.used()), (0, 0, 0));
    }
}

#[test]
#[should_panic(expected = "sealed")]
fn only_one_epoch_is_sealed() {
    let mut rows = Rows::new();
    rows.seal();
    rows.seal();
}

#[test]
fn the_dead_go_by_the_sweep_alone() {
    let mut rows = Rows::new();
    for n in 0..1000u64 {
        let slot = rows.slot(hash(&n.to_be_bytes()), &n.to_be_bytes());
        rows.put(slot, 1, b"", cell(1, 100, b"value"));
    }
    rows.seal();
    rows.commit(50);
    let mut delta = crate::state::delta::Delta::new();
    for _ in 0..2 {
        assert!(rows.sweep(&mut Cursor::new(), 1_000_000, 50, &mut delta));
        rows.seal();
        rows.commit(100);
    }
    assert_eq!((rows.len(), rows.arena.used()), (0, 0));
}

#[test]
fn a_slice_without_a_budget_takes_a_row_all_the_same() {
    let mut rows = Rows::new();
    rows.track();
    for tag in 0..3u64 {
        let slot = rows.slot(tag << 32, &tag.to_be_bytes());
        rows.put(slot, 1, b"", cell(1, 100, b"value"));
    }
    rows.seal();
    rows.commit(50);
    let mut dirty = Dirty::new();
    let done = [0; 3].map(|budget| rows.take_dirty(budget, 50, &mut dirty));
    assert_eq!((done, dirty.rows().count()), ([false, false, true], 3));
}
