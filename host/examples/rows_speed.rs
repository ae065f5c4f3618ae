//! Measures what a money event costs in state: reads, writes, two epochs in flight, delta and sweep.
//!
//! `cargo run --release -p pelton --no-default-features --example rows_speed [USERS] [EVENTS]`. It measures the CPU
//! time of one thread. The stream has money events of USERS users, distributed by Zipf 0.8. Each event reads a seen id,
//! the first occurrence, the user and a session. It writes the id (60 s) and, every tenth time, a pending entry. For
//! every ten events, a session (1 day) and a user are written. Epochs have 27,500 events, and batches have 250.

use fastrand::Rng;
use pelton::record::{FOREVER, Millis, StoreEntry};
use pelton::state::delta::Delta;
use pelton::state::rows::{Cursor, Dirty, RowSlot, Rows, ScanRange, hash};

const SEEN: u16 = 0;
const FIRST: u16 = 1;
const USER: u16 = 2;
const SESSION: u16 = 3;
const PENDING: u16 = 4;
const EPOCH: usize = 27_500;
const BATCH: usize = 250;
const DAY: Millis = 86_400_000;

fn cpu() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place to write to.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// 16 bytes that look random.
fn id(of: u64, n: u64) -> [u8; 16] {
    let mut random = Rng::with_seed(n.wrapping_mul(0x1234_5678_9abc_def1) ^ of << 56);
    let (a, b) = (random.u64(..), random.u64(..));
    let mut id = [0; 16];
    id[..8].copy_from_slice(&a.to_le_bytes());
    id[8..].copy_from_slice(&b.to_le_bytes());
    id
}

struct Event {
    key: [u8; 16],
    id: [u8; 16],
    user: u64,
    kind: u8,
}

struct Task {
    rows: Rows,
    delta: Delta,
    hits: usize,
}

fn cell(expires: Millis, value: &[u8]) -> StoreEntry<'_> {
    StoreEntry {
        schema: 1,
        expires,
        value,
    }
}

impl Task {
    fn new() -> Task {
        Task {
            rows: Rows::new(),
            delta: Delta::new(),
            hits: 0,
        }
    }

    /// Writes what every user has before the stream begins.
    fn fill(&mut self, users: u64) {
        for user in 0..users {
            let key = id(1, user);
            let slot = self.rows.slot(hash(&key), &key);
            self.rows.put(slot, USER, b"", cell(FOREVER, &[2; 60]));
            self.rows.put(slot, SESSION, &id(2, user), cell(DAY, &[3; 80]));
            self.rows.put(slot, FIRST, &[0], cell(FOREVER, &[1; 16]));
            self.rows.put(slot, FIRST, &[1], cell(FOREVER, &[1; 16]));
            if user % 10_000 == 9999 || user + 1 == users {
                self.rows.seal();
                self.rows.commit(0);
            }
        }
    }

    fn put(&mut self, slot: RowSlot, store: u16, entry: &[u8], cell: StoreEntry<'_>) {
        self.rows.put(slot, store, entry, cell);
        self.delta.put(self.rows.key(slot), store, entry, cell);
    }

    fn event(&mut self, event: &Event, hash: u64, n: u64, now: Millis) {
        let slot = self.rows.slot(hash, &event.key);
        match event.kind {
            1 => self.put(slot, SESSION, &event.id, cell(now + DAY, &[3; 80])),
            2 => self.put(slot, USER, b"", cell(FOREVER, &[2; 60])),
            _ => {
                let live = |cell: Option<StoreEntry<'_>>| usize::from(cell.is_some_and(|c| now < c.expires));
                let seen = live(self.rows.get(slot, SEEN, &event.id));
                self.hits += seen;
                if seen == 0 {
                    self.hits += live(self.rows.get(slot, FIRST, &[(n % 2) as u8]));
                    self.hits += live(self.rows.get(slot, USER, b""));
                    self.hits += live(self.rows.get(slot, SESSION, &id(2, event.user)));
                    self.put(slot, SEEN, &event.id, cell(now + 60_000, b""));
                    if n.is_multiple_of(5) {
                        self.put(slot, PENDING, &event.id, cell(now + 20_000, &[5; 60]));
                    }
                }
            }
        }
    }
}

/// A user by Zipf 0.8, by inverting the continuous distribution.
fn zipf(random: &mut Rng, users: u64) -> u64 {
    let u = random.f64();
    let rank = (u * ((users as f64).powf(0.2) - 1.0) + 1.0).powf(5.0);
    // Spreads the ranks over the ids. Otherwise the hot users would be neighbours.
    (rank as u64).min(users - 1)
}

/// The events of an epoch: money events, and what comes between them.
fn epoch(random: &mut Rng, users: u64, last: &mut [u8; 16]) -> Vec<Event> {
    let mut events = Vec::new();
    let mut money = 0;
    while money < EPOCH {
        let user = zipf(random, users);
        let r = random.u64(..120);
        let kind = match r {
            0..10 => 1,
            10..20 => 2,
            _ => 0,
        };
        let duplicate = r == 20;
        let id = if duplicate { *last } else { id(3, random.u64(..)) };
        *last = id;
        events.push(Event {
            key: self::id(1, user),
            id,
            user,
            kind,
        });
        money += usize::from(kind == 0);
    }
    events
}

/// The cost of a stream, in seconds and bytes.
#[derive(Default)]
struct Cost {
    all: f64,
    sweep: f64,
    commits: f64,
    delta: usize,
}

fn stream(users: u64, events: usize, swept: f64, staged: bool) {
    let mut task = Task::new();
    task.fill(users);
    let fresh = task.rows.bytes() as f64 / users as f64;
    let (mut random, mut cursor) = (Rng::with_seed(7), Cursor::new());
    let (mut cost, mut money) = (Cost::default(), 0usize);
    let (mut now, mut sealed) = (0, false);
    let mut last = [0; 16];
    while money < events {
        let batch = epoch(&mut random, users, &mut last);
        let begin = cpu();
        let mut hashes = Vec::with_capacity(BATCH);
        for batch in batch.chunks(BATCH) {
            hashes.clear();
            hashes.extend(batch.iter().map(|event| hash(&event.key)));
            if staged {
                task.rows.prefetch_all(&hashes);
            }
            for (event, &hash) in batch.iter().zip(&hashes) {
                now = (money * 1000 / 550) as Millis;
                task.event(event, hash, money as u64, now);
                money += usize::from(event.kind == 0);
            }
        }
        let written = cpu();
        let budget = (task.delta.bytes() as f64 * swept) as usize;
        task.rows.sweep(&mut cursor, budget, now, &mut task.delta);
        cost.sweep += cpu() - written;
        cost.delta += task.delta.bytes();
        task.delta.clear();
        let commit = cpu();
        if sealed {
            task.rows.commit(now - 50_000);
        }
        task.rows.seal();
        sealed = true;
        let end = cpu();
        cost.commits += end - commit;
        cost.all += end - begin;
    }
    let each = |time: f64| time * 1e9 / money as f64;
    println!(
        "{users} users, prefetch {staged}, sweep {swept}: {:.0} ns a money event (sweep {:.0}, commit {:.0}), {} B of delta, {:.0} B a user \
         ({fresh:.0} before); {} hits",
        each(cost.all),
        each(cost.sweep),
        each(cost.commits),
        cost.delta / money,
        task.rows.bytes() as f64 / users as f64,
        task.hits
    );
}

/// One user with this many entries: the costs of a read, a write, and a page of a scan.
fn hot(entries: u64) {
    let mut rows = Rows::new();
    rows.track();
    let key = b"hot";
    let each = |begin: f64, n: u64| (cpu() - begin) * 1e9 / n as f64;
    let begin = cpu();
    for n in 0..entries {
        let slot = rows.slot(hash(key), key);
        rows.put(slot, SEEN, &id(3, n), cell(FOREVER, &[1; 20]));
        if n % 1000 == 999 {
            rows.seal();
            rows.commit(0);
        }
    }
    rows.seal();
    rows.commit(0);
    let fill = each(begin, entries);
    let begin = cpu();
    for n in 0..entries {
        let slot = rows.slot(hash(key), key);
        rows.put(slot, SEEN, &id(3, n * 7 % entries), cell(FOREVER, &[2; 20]));
        if n % 100 == 99 {
            rows.seal();
            rows.commit(0);
        }
    }
    let write = each(begin, entries);
    let slot = rows.find(hash(key), key).expect("it is there");
    let begin = cpu();
    let found = (0..entries)
        .filter(|n| rows.get(slot, SEEN, &id(3, n * 7 % entries)).is_some())
        .count();
    let read = each(begin, entries);
    let begin = cpu();
    let mut seen = 0;
    for n in 0..1000 {
        let page = ScanRange {
            store: SEEN,
            prefix: &[],
            after: Some(&id(3, n)),
            now: 0,
            limit: 100,
        };
        rows.scan(slot, page, &mut |_, _| seen += 1);
    }
    let scan = each(begin, seen);
    let begin = cpu();
    let mut dirty = Dirty::new();
    while !rows.take_dirty(1 << 20, 0, &mut dirty) {}
    let flush = each(begin, entries);
    println!(
        "a user with {entries} entries ({found}): {fill:.0} ns a new one, {write:.0} a write, {read:.0} a read, {scan:.0} a scanned one \
         (pages of 100), {flush:.0} an entry to flush, {} B an entry",
        rows.bytes() as u64 / entries
    );
}

fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse().expect("a number"));
    let users = args.next().unwrap_or(200_000);
    let events = args.next().unwrap_or(5_000_000) as usize;
    stream(users, events, 0.0, false);
    stream(users, events, 0.0, true);
    stream(users, events, 1.0, true);
    [100, 1000, 20_000].into_iter().for_each(hot);
}
