//! A page: the cells of one row in one block, for rows of up to 16 KiB.
//!
//! Rule: a page is written only while it belongs to the open epoch. The directory names all that it contains. Other
//! bytes are garbage, and disappear when the page is rebuilt.
//!
//! ```text
//! 0 units u16 (the arena's) · 2 count u16 · 4 heap u16 · 6 garbage u16 · 8 soonest i64 · 16 length of the key u16 · 18 key
//! then the directory, upwards: count x (offset u16, fingerprint u16)
//! at the end, downwards, `heap` bytes of cells: store u16 · schema u16 · entry length u16 · value length u16 · expires i64 ·
//! entry · value. Offsets count from the end, so that a page keeps them when it is copied into a larger block.
//! ```

use super::StoreEntry;
use crate::record::{FOREVER, Millis};

const COUNT: usize = 2;
const HEAP: usize = 4;
const GARBAGE: usize = 6;
const SOONEST: usize = 8;
const KEY_LEN: usize = 16;
const KEY: usize = 18;
const CELL: usize = 16;
const DIRECTORY: usize = 4;

/// The maximum number of cells in a page of [`BLOCK_MAX`](super::arena::BLOCK_MAX).
pub const CELLS_MAX: usize = super::arena::BLOCK_MAX / (CELL + DIRECTORY);

/// Bytes that an entry needs in a page.
#[inline]
pub fn cost(entry: &[u8], value: &[u8]) -> usize {
    DIRECTORY + CELL + entry.len() + value.len()
}

/// Bytes of an empty page.
#[inline]
pub fn empty_cost(key: &[u8]) -> usize {
    KEY + key.len()
}

#[inline]
fn short(page: &[u8], at: usize) -> usize {
    u16::from_le_bytes([page[at], page[at + 1]]) as usize
}

#[inline]
fn set_short(page: &mut [u8], at: usize, to: usize) {
    debug_assert!(to <= usize::from(u16::MAX));
    page[at..at + 2].copy_from_slice(&(to as u16).to_le_bytes());
}

#[inline]
fn long(page: &[u8], at: usize) -> i64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&page[at..at + 8]);
    i64::from_le_bytes(bytes)
}

#[inline]
pub fn count(page: &[u8]) -> usize {
    short(page, COUNT)
}

/// No entry expires before this time. `FOREVER` for an empty page.
#[inline]
pub fn soonest(page: &[u8]) -> Millis {
    long(page, SOONEST)
}

#[inline]
pub fn key(page: &[u8]) -> &[u8] {
    &page[KEY..KEY + short(page, KEY_LEN)]
}

#[inline]
fn directory(page: &[u8]) -> usize {
    KEY + short(page, KEY_LEN)
}

/// Bytes that the page needs without its garbage.
#[inline]
pub fn live(page: &[u8]) -> usize {
    directory(page) + count(page) * DIRECTORY + short(page, HEAP) - short(page, GARBAGE)
}

#[inline]
pub fn garbage(page: &[u8]) -> usize {
    short(page, GARBAGE)
}

/// Makes an empty page in a block that has room for it.
pub fn init(page: &mut [u8], key: &[u8]) {
    page[COUNT..KEY].fill(0);
    page[SOONEST..SOONEST + 8].copy_from_slice(&FOREVER.to_le_bytes());
    set_short(page, KEY_LEN, key.len());
    page[KEY..KEY + key.len()].copy_from_slice(key);
}

/// Copies a page unchanged into a block that is large enough. The block keeps its own size, which is before the page.
#[inline]
pub fn copy(from: &[u8], to: &mut [u8]) {
    let front = directory(from) + count(from) * DIRECTORY;
    let heap = short(from, HEAP);
    to[COUNT..front].copy_from_slice(&from[COUNT..front]);
    let end = to.len();
    to[end - heap..].copy_from_slice(&from[from.len() - heap..]);
}

/// Copies a page into a block with room for its live part, without garbage and without what has expired at `now`.
pub fn rebuild(from: &[u8], to: &mut [u8], now: Millis) {
    init(to, key(from));
    let start = directory(from);
    let (places, _) = from[start..start + count(from) * DIRECTORY].as_chunks::<DIRECTORY>();
    let end = to.len();
    let (mut heap, mut kept, mut soonest) = (0, start, FOREVER);
    for place in places {
        // A cell is copied unchanged, and keeps its fingerprint.
        let cell = &from[from.len() - short(place, 0)..];
        let expires = long(cell, 8);
        if now < expires {
            let size = CELL + short(cell, 4) + short(cell, 6);
            heap += size;
            to[end - heap..end - heap + size].copy_from_slice(&cell[..size]);
            set_short(to, kept, heap);
            to[kept + 2..kept + 4].copy_from_slice(&place[2..]);
            kept += DIRECTORY;
            soonest = soonest.min(expires);
        }
    }
    debug_assert!(kept + heap <= end, "a rebuilt page is not larger than its live part");
    set_short(to, COUNT, (kept - start) / DIRECTORY);
    set_short(to, HEAP, heap);
    to[SOONEST..SOONEST + 8].copy_from_slice(&soonest.to_le_bytes());
}

/// The cell at a place of the directory, as (store, entry, cell).
#[inline]
pub fn at_place(page: &[u8], place: usize) -> (u16, &[u8], StoreEntry<'_>) {
    let cell = &page[page.len() - short(page, directory(page) + place * DIRECTORY)..];
    let (entry, value) = (short(cell, 4), short(cell, 6));
    let value = &cell[CELL + entry..CELL + entry + value];
    let found = StoreEntry {
        schema: short(cell, 2) as u16,
        expires: long(cell, 8),
        value,
    };
    (short(cell, 0) as u16, &cell[CELL..CELL + entry], found)
}

/// An entry's place in the directory.
#[inline]
fn place(page: &[u8], fingerprint: u16, store: u16, entry: &[u8]) -> Option<usize> {
    let start = directory(page);
    let places = page[start..start + count(page) * DIRECTORY].as_chunks::<{ 8 * DIRECTORY }>();
    let check = |place: usize| {
        let at = page.len() - short(page, start + place * DIRECTORY);
        let header = &page[at..at + CELL];
        short(header, 0) == usize::from(store)
            && short(header, 4) == entry.len()
            && page[at + CELL..at + CELL + entry.len()] == *entry
    };
    for (n, eight) in places.0.iter().enumerate() {
        let mut hits = hits(eight, fingerprint);
        while hits != 0 {
            let place = n * 8 + hits.trailing_zeros() as usize;
            if check(place) {
                return Some(place);
            }
            hits &= hits - 1;
        }
    }
    let rest = places.0.len() * 8;
    (0..places.1.len() / DIRECTORY)
        .find(|&n| short(places.1, n * DIRECTORY + 2) == usize::from(fingerprint) && check(rest + n))
        .map(|n| rest + n)
}

/// Which of eight places have this fingerprint, one bit each.
#[inline]
fn hits(eight: &[u8; 8 * DIRECTORY], fingerprint: u16) -> u32 {
    let mut hits = 0;
    for (n, place) in eight.as_chunks::<DIRECTORY>().0.iter().enumerate() {
        hits |= u32::from(u16::from_le_bytes([place[2], place[3]]) == fingerprint) << n;
    }
    hits
}

/// 16 bits from the store and the ends of the entry. With forty cells, a search usually looks at only one.
#[inline]
pub fn fingerprint(store: u16, entry: &[u8]) -> u16 {
    let (head, tail) = match (entry.first_chunk::<8>(), entry.last_chunk::<8>()) {
        (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
        _ => {
            let mut bytes = [0; 8];
            bytes[..entry.len()].copy_from_slice(entry);
            (u64::from_le_bytes(bytes), entry.len() as u64)
        }
    };
    let mixed = (head ^ u64::from(store) << 48).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ tail;
    (mixed.wrapping_mul(0xd6e8_feb8_6659_fd93) >> 48) as u16
}

#[inline]
pub fn get<'a>(page: &'a [u8], store: u16, entry: &[u8]) -> Option<StoreEntry<'a>> {
    place(page, fingerprint(store, entry), store, entry).map(|place| at_place(page, place).2)
}

/// Writes an entry. If there is no room, returns false: the old one is removed, and the page must be rebuilt larger.
#[inline]
pub fn put(page: &mut [u8], store: u16, entry: &[u8], cell: StoreEntry<'_>) -> bool {
    let fingerprint = fingerprint(store, entry);
    if let Some(place) = place(page, fingerprint, store, entry) {
        let at = page.len() - short(page, directory(page) + place * DIRECTORY);
        if short(page, at + 6) == cell.value.len() {
            set_short(page, at + 2, usize::from(cell.schema));
            page[at + 8..at + 16].copy_from_slice(&cell.expires.to_le_bytes());
            let value = at + CELL + entry.len();
            page[value..value + cell.value.len()].copy_from_slice(cell.value);
            sooner(page, cell.expires);
            return true;
        }
        remove(page, place);
    }
    append(page, fingerprint, store, entry, cell)
}

/// Removes an entry. Returns whether it existed.
pub fn delete(page: &mut [u8], store: u16, entry: &[u8]) -> bool {
    let place = place(page, fingerprint(store, entry), store, entry);
    if let Some(place) = place {
        remove(page, place);
    }
    place.is_some()
}

#[inline]
fn sooner(page: &mut [u8], expires: Millis) {
    if expires < soonest(page) {
        page[SOONEST..SOONEST + 8].copy_from_slice(&expires.to_le_bytes());
    }
}

/// Removes an entry. The last place moves to the free one, because the directory is not sorted.
fn remove(page: &mut [u8], place: usize) {
    let (start, last) = (directory(page), count(page) - 1);
    let offset = short(page, start + place * DIRECTORY);
    let at = page.len() - offset;
    let size = CELL + short(page, at + 4) + short(page, at + 6);
    let from = start + last * DIRECTORY;
    page.copy_within(from..from + DIRECTORY, start + place * DIRECTORY);
    set_short(page, COUNT, last);
    let heap = short(page, HEAP);
    if offset == heap {
        // It is the newest cell, so its bytes can be reused.
        set_short(page, HEAP, heap - size);
    } else {
        let garbage = short(page, GARBAGE);
        set_short(page, GARBAGE, garbage + size);
    }
}

/// Adds an entry that does not exist yet. Returns false if there is no room.
#[inline]
fn append(page: &mut [u8], fingerprint: u16, store: u16, entry: &[u8], cell: StoreEntry<'_>) -> bool {
    let (count, heap) = (count(page), short(page, HEAP));
    let place = directory(page) + count * DIRECTORY;
    let size = CELL + entry.len() + cell.value.len();
    if place + DIRECTORY + heap + size > page.len() {
        return false;
    }
    let offset = heap + size;
    let at = page.len() - offset;
    let mut header = [0; CELL];
    header[0..2].copy_from_slice(&store.to_le_bytes());
    header[2..4].copy_from_slice(&cell.schema.to_le_bytes());
    header[4..6].copy_from_slice(&(entry.len() as u16).to_le_bytes());
    header[6..8].copy_from_slice(&(cell.value.len() as u16).to_le_bytes());
    header[8..16].copy_from_slice(&cell.expires.to_le_bytes());
    let bytes = &mut page[at..at + size];
    bytes[..CELL].copy_from_slice(&header);
    bytes[CELL..CELL + entry.len()].copy_from_slice(entry);
    bytes[CELL + entry.len()..].copy_from_slice(cell.value);
    set_short(page, place, offset);
    set_short(page, place + 2, usize::from(fingerprint));
    set_short(page, COUNT, count + 1);
    set_short(page, HEAP, offset);
    sooner(page, cell.expires);
    true
}
