//! A chunk in the scratch file.
//!
//! Rule: reading gives exactly what was written, or an error. A checksum stays in memory.

use crate::log::{Chunk, Fetched};
use crate::record::{Offset, Span};
use crate::store::scratch::{Extent, Scratch};
use std::io;
use xxhash_rust::xxh3::Xxh3;

/// Size of a record's fields: offset, timestamp, flags, and three pairs of numbers.
const RECORD: usize = 8 + 8 + 1 + 3 * 8;

/// Size of a header's two spans.
const HEADER: usize = 16;

const APPEND_TIME: u8 = 1;
const KEY: u8 = 2;
const VALUE: u8 = 4;

/// A chunk in the scratch file: its bytes, then its records, then its headers.
#[derive(Debug)]
pub struct Packed {
    extent: Extent,
    bytes: usize,
    records: usize,
    headers: usize,
    sum: u64,
}

impl Packed {
    /// Writes a chunk. If it fails, nothing is written.
    pub fn write(scratch: &mut Scratch, chunk: &Chunk) -> io::Result<Packed> {
        let mut head = Vec::with_capacity(chunk.records.len() * RECORD + chunk.headers.len() * HEADER);
        for record in &chunk.records {
            head.extend(record.offset.0.to_le_bytes());
            head.extend(record.timestamp.to_le_bytes());
            head.push(
                flag(record.append_time, APPEND_TIME)
                    | flag(record.key.is_some(), KEY)
                    | flag(record.value.is_some(), VALUE),
            );
            put(&mut head, record.key.unwrap_or_default());
            put(&mut head, record.value.unwrap_or_default());
            head.extend(record.headers.start.to_le_bytes());
            head.extend(record.headers.end.to_le_bytes());
        }
        for (name, value) in &chunk.headers {
            put(&mut head, *name);
            put(&mut head, *value);
        }
        Ok(Packed {
            extent: scratch.write(&[&chunk.bytes, &head])?,
            bytes: chunk.bytes.len(),
            records: chunk.records.len(),
            headers: chunk.headers.len(),
            sum: sum(&chunk.bytes, &head),
        })
    }

    /// Reads the content back into a chunk that has kept its topic and partition. Fails if it is not what was written.
    pub fn read(&self, scratch: &Scratch, chunk: &mut Chunk) -> io::Result<()> {
        let mut bytes = vec![0; self.bytes];
        let mut head = vec![0; self.records * RECORD + self.headers * HEADER];
        scratch.read(&self.extent, 0, &mut bytes)?;
        scratch.read(&self.extent, self.bytes, &mut head)?;
        if sum(&bytes, &head) != self.sum {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not what was written"));
        }
        let (records, headers) = head.split_at(self.records * RECORD);
        chunk.records = records.as_chunks::<RECORD>().0.iter().map(record).collect();
        chunk.headers = headers
            .as_chunks::<HEADER>()
            .0
            .iter()
            .map(|at| (span(at, 0), span(at, 8)))
            .collect();
        chunk.bytes = bytes;
        Ok(())
    }

    /// Returns the extent, so that it can be freed.
    pub fn into_extent(self) -> Extent {
        self.extent
    }
}

fn record(at: &[u8; RECORD]) -> Fetched {
    let flags = at[16];
    Fetched {
        offset: Offset(i64::from_le_bytes(array(at, 0))),
        timestamp: i64::from_le_bytes(array(at, 8)),
        append_time: flags & APPEND_TIME != 0,
        key: (flags & KEY != 0).then(|| span(at, 17)),
        value: (flags & VALUE != 0).then(|| span(at, 25)),
        headers: u32::from_le_bytes(array(at, 33))..u32::from_le_bytes(array(at, 37)),
    }
}

fn flag(set: bool, flag: u8) -> u8 {
    if set { flag } else { 0 }
}

fn put(head: &mut Vec<u8>, span: Span) {
    head.extend(span.start.to_le_bytes());
    head.extend(span.len.to_le_bytes());
}

fn span(at: &[u8], from: usize) -> Span {
    Span {
        start: u32::from_le_bytes(array(at, from)),
        len: u32::from_le_bytes(array(at, from + 4)),
    }
}

fn array<const N: usize>(at: &[u8], from: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&at[from..from + N]);
    array
}

fn sum(bytes: &[u8], head: &[u8]) -> u64 {
    let mut sum = Xxh3::new();
    sum.update(bytes);
    sum.update(head);
    sum.digest()
}
