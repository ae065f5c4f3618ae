//! Tests the sweep's rule in random histories, and tests that a broken sweep would be noticed.

use super::*;
use crate::record::{FOREVER, StoreEntry};
use crate::state::delta::{self, Change};
use crate::state::rows::{self, Dirty};
use fastrand::Rng;
use std::collections::BTreeMap;

type State = BTreeMap<(Vec<u8>, u16, Vec<u8>), (Millis, Vec<u8>)>;
type Records = Vec<Vec<u8>>;

/// Defects to build in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// An abort keeps the cursor instead of restoring it.
    CursorNotRolledBack,
    /// The sweep reads the rows before the epoch writes to them.
    SweepBeforeWrites,
    /// A complete round truncates the log up to the round's end.
    TruncateToTheEnd,
    /// The start of the round is recorded one delta too late.
    LateStart,
    /// The store's stamp is taken when a flush ends instead of when it begins.
    StampAtTheEnd,
}

/// Where the sweep is, as in the meta.
#[derive(Clone, Default)]
struct Sweep {
    cursor: Cursor,
    /// Log positions: where the current round began, and where the log may begin.
    round: usize,
    start: usize,
}

struct Epoch {
    delta: Records,
    changes: State,
    sweep: Sweep,
    time: Millis,
}

struct World {
    random: Rng,
    rows: Rows,
    log: Vec<Records>,
    /// The state at the last commit, as a plain map; and with the sealed epoch.
    truth: State,
    time: Millis,
    committed: Sweep,
    speculative: Sweep,
    sealed: Option<Epoch>,
    store: BTreeMap<Vec<u8>, Vec<u8>>,
    stamp: usize,
    flush: Option<usize>,
    wrong: Wrong,
    keys: u64,
}

fn apply(state: &mut State, record: &[u8]) {
    for change in delta::read(record) {
        match change.unwrap() {
            Change::Put {
                key,
                store,
                entry,
                cell,
            } => {
                let held = (cell.expires, cell.value.to_vec());
                state.insert((key.to_vec(), store, entry.to_vec()), held);
            }
            Change::Delete { key, store, entry } => _ = state.remove(&(key.to_vec(), store, entry.to_vec())),
            _ => unreachable!(),
        }
    }
}

fn alive(state: &State, time: Millis) -> State {
    state
        .iter()
        .filter(|(_, held)| time < held.0)
        .map(|(place, held)| (place.clone(), held.clone()))
        .collect()
}

impl World {
    fn new(seed: u64, wrong: Wrong) -> Self {
        let mut random = Rng::with_seed(seed);
        let mut rows = Rows::new();
        rows.track();
        Self {
            keys: 3 + random.u64(..60),
            random,
            rows,
            log: Vec::new(),
            truth: State::new(),
            time: 0,
            committed: Sweep::default(),
            speculative: Sweep::default(),
            sealed: None,
            store: BTreeMap::new(),
            stamp: 0,
            flush: None,
            wrong,
        }
    }

    /// Writes and seals an epoch. The epoch before it may be decided in between, as in the worker.
    fn epoch(&mut self) {
        let base = self.sealed.as_ref().map_or(&self.truth, |epoch| &epoch.changes).clone();
        let time = self.sealed.as_ref().map_or(self.time, |epoch| epoch.time) + self.random.u64(..3) as i64;
        let mut epoch = Epoch {
            delta: vec![],
            changes: base,
            sweep: self.speculative.clone(),
            time,
        };
        let mut changes = Delta::new();
        let mut early = Delta::new();
        let mut early_sweep = epoch.sweep.clone();
        let complete_early = self.rows.sweep(&mut early_sweep.cursor, 60, time, &mut early);
        for _ in 0..self.random.u64(..4) {
            self.change(&mut epoch, &mut changes);
        }
        // The epoch before this one may be decided while this one is open.
        if self.random.u64(..2) == 0 && !self.decide() {
            return;
        }
        let complete = if self.wrong == Wrong::SweepBeforeWrites {
            epoch.sweep = early_sweep;
            early
                .records()
                .flat_map(delta::read)
                .for_each(|change| changes.push(change.unwrap()));
            complete_early
        } else {
            let budget = 20 + changes.bytes();
            self.rows.sweep(&mut epoch.sweep.cursor, budget, time, &mut changes)
        };
        if self.sealed.is_some() && !self.decide() {
            return;
        }
        epoch.delta = changes.records().map(<[u8]>::to_vec).collect();
        epoch.sweep.cursor = Cursor::decode(&epoch.sweep.cursor.encode()).unwrap();
        if complete {
            let end = self.log.len() + 1;
            epoch.sweep.start = if self.wrong == Wrong::TruncateToTheEnd {
                end
            } else {
                epoch.sweep.round
            };
            epoch.sweep.round = end + usize::from(self.wrong == Wrong::LateStart);
        }
        self.rows.seal();
        self.speculative = epoch.sweep.clone();
        self.sealed = Some(epoch);
    }

    fn change(&mut self, epoch: &mut Epoch, changes: &mut Delta) {
        let key = self.random.u64(..self.keys).to_string().into_bytes();
        // One key is hot, so that its row becomes a map.
        let (store, entry) = match key == b"0" {
            true => (
                self.random.u64(..2) as u16,
                self.random.u64(..900).to_be_bytes().to_vec(),
            ),
            false => (self.random.u64(..2) as u16, self.random.u64(..3).to_be_bytes().to_vec()),
        };
        let slot = self.rows.slot(rows::hash(&key), &key);
        let times = if key == b"0" { 40 } else { 1 };
        for n in 0..times {
            let entry = [&entry[..], &[n]].concat();
            if self.random.u64(..10) < 3 {
                self.rows.delete(slot, store, &entry);
                changes.delete(&key, store, &entry);
                epoch.changes.remove(&(key.clone(), store, entry));
            } else {
                let ttl = if self.random.u64(..2) == 0 {
                    FOREVER
                } else {
                    epoch.time + self.random.u64(..60) as i64
                };
                let value = self.random.u64(..1 << 30).to_be_bytes();
                let cell = StoreEntry {
                    schema: 7,
                    expires: ttl,
                    value: &value,
                };
                self.rows.put(slot, store, &entry, cell);
                changes.put(&key, store, &entry, cell);
                epoch.changes.insert((key.clone(), store, entry), (ttl, value.to_vec()));
            }
        }
    }

    /// Commits the sealed epoch, or drops it together with the open one. Returns whether it was committed.
    fn decide(&mut self) -> bool {
        let Some(epoch) = self.sealed.take() else { return true };
        if self.random.u64(..8) == 0 {
            self.rows.abort();
            if self.wrong == Wrong::CursorNotRolledBack {
                self.committed.cursor = epoch.sweep.cursor;
            }
            self.speculative = self.committed.clone();
            return false;
        }
        self.time = epoch.time;
        self.rows.commit(self.time);
        self.log.push(epoch.delta);
        self.truth = epoch.changes;
        self.committed = epoch.sweep;
        true
    }

    /// Writes to the store, slowly and in slices.
    fn flush(&mut self) {
        if self.flush.is_none() && self.random.u64(..10) > 0 {
            return;
        }
        let began = *self.flush.get_or_insert(self.log.len());
        let mut slice = Dirty::new();
        let done = self.rows.take_dirty(200, self.time, &mut slice);
        for (_, key, record) in slice.rows() {
            match record {
                Some(record) => _ = self.store.insert(key.to_vec(), record.to_vec()),
                None => _ = self.store.remove(key),
            }
        }
        if done {
            self.stamp = if self.wrong == Wrong::StampAtTheEnd {
                self.log.len()
            } else {
                began
            };
            self.flush = None;
        }
    }

    /// Checks the rule, and also a restart with the store, which has everything up to its stamp and maybe more.
    fn holds(&self) -> Result<(), &'static str> {
        let truth = alive(&self.truth, self.time);
        let mut log = State::new();
        self.log
            .get(self.committed.start..)
            .unwrap_or(&[])
            .iter()
            .flatten()
            .for_each(|r| apply(&mut log, r));
        if alive(&log, self.time) != truth {
            return Err("the log");
        }
        let mut store = State::new();
        self.store.values().for_each(|record| apply(&mut store, record));
        self.log[self.stamp..]
            .iter()
            .flatten()
            .for_each(|record| apply(&mut store, record));
        if alive(&store, self.time) != truth {
            return Err("the store and the log");
        }
        Ok(())
    }
}

fn run(seed: u64, wrong: Wrong, rounds: &mut usize) -> Result<(), &'static str> {
    let mut world = World::new(seed, wrong);
    for _ in 0..250 {
        world.epoch();
        world.flush();
        let began = world.committed.start;
        world.holds()?;
        *rounds += usize::from(world.committed.start > began || world.committed.start > 0);
    }
    Ok(())
}

#[test]
fn the_log_always_rebuilds_the_state() {
    let mut rounds = 0;
    for seed in 0..80 {
        assert_eq!(run(seed, Wrong::Nothing, &mut rounds), Ok(()), "seed {seed}");
    }
    assert!(rounds > 400, "few rounds were completed: {rounds}");
}

#[test]
fn what_is_done_wrong_is_seen() {
    use Wrong::*;
    for wrong in [
        CursorNotRolledBack,
        SweepBeforeWrites,
        TruncateToTheEnd,
        LateStart,
        StampAtTheEnd,
    ] {
        assert!(
            (0..200).any(|seed| run(seed, wrong, &mut 0).is_err()),
            "{wrong:?} is not seen"
        );
    }
}

#[test]
fn a_round_writes_each_entry_once_while_the_table_grows() {
    let mut rows = Rows::new();
    let mut written = BTreeMap::new();
    let (mut cursor, mut n) = (Cursor::new(), 0u32);
    loop {
        for _ in 0..if n == 0 { 1000 } else { 50 } {
            let key = n.to_be_bytes();
            let slot = rows.slot(rows::hash(&key), &key);
            let cell = StoreEntry {
                schema: 0,
                expires: FOREVER,
                value: &[1; 30],
            };
            rows.put(slot, 0, b"", cell);
            n += u32::from(n < 5000);
        }
        let mut delta = Delta::new();
        let complete = rows.sweep(&mut cursor, 2000, 0, &mut delta);
        for change in delta.records().flat_map(delta::read) {
            let Ok(Change::Put { key, .. }) = change else {
                panic!("not a put")
            };
            *written.entry(key.to_vec()).or_insert(0) += 1;
        }
        assert!(delta.bytes() < 2100);
        if complete {
            break;
        }
    }
    assert!(written.values().all(|&times| times == 1));
    assert!(written.len() > 1500, "{}", written.len());
}

#[test]
fn hostile_cursors_are_refused() {
    assert_eq!(Cursor::decode(&[]), Some(Cursor::new()));
    for bytes in [
        &[1][..],
        &[0; 12],
        &[0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 1],
        &[0; 14],
        &[9; 13],
    ] {
        assert_eq!(Cursor::decode(bytes), None, "{bytes:?}");
    }
}
