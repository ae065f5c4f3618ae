//! The format of a task's state on disk, version 1.
//!
//! Rule: everything except rows is written under the number of its flush, and the stamp names that number. So if a
//! crash cuts a flush off, the data of the flush before stays intact, whatever part of the new one survives.
//!
//! ```text
//! a · flush u64 · n u32    a record of a delta: timers, lookups, names, meta
//! r · hash u64 · key       a record of a delta: the row's entries
//! s                        version · flush u64 · offset i64 · length of the cluster u16 · cluster · topic
//! ```
//!
//! Numbers are big-endian, so rows are sorted by their hashes.

use crate::record::Offset;

use super::Stamp;
use crate::error::{Failure, Result};
use crate::record::encoding::{STORED, UnreadableFormat};
use crate::state::delta::{self, Change};

pub const ASIDE: u8 = b'a';
pub const ROW: u8 = b'r';
pub const STAMP: &[u8] = b"s";

pub fn row_key(hash: u64, key: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(9 + key.len());
    bytes.push(ROW);
    bytes.extend_from_slice(&hash.to_be_bytes());
    bytes.extend_from_slice(key);
    bytes
}

/// The first key of the records of this flush. Records of later flushes come after it.
pub fn snapshot_key(flush: u64, n: u32) -> Vec<u8> {
    let mut bytes = vec![ASIDE];
    bytes.extend_from_slice(&flush.to_be_bytes());
    bytes.extend_from_slice(&n.to_be_bytes());
    bytes
}

pub fn encode_stamp(stamp: &Stamp, flush: u64) -> Vec<u8> {
    let mut bytes = vec![STORED.newest];
    bytes.extend_from_slice(&flush.to_be_bytes());
    bytes.extend_from_slice(&stamp.offset.0.to_be_bytes());
    bytes.extend_from_slice(&(stamp.cluster.len() as u16).to_be_bytes());
    bytes.extend_from_slice(stamp.cluster.as_bytes());
    bytes.extend_from_slice(stamp.topic.as_bytes());
    bytes
}

/// The stamp, and the number of its flush.
pub fn decode_stamp(bytes: &[u8]) -> std::result::Result<(Stamp, u64), UnreadableFormat> {
    let (_, rest) = STORED.open(bytes)?;
    fields(rest).ok_or(STORED.damaged())
}

fn fields(rest: &[u8]) -> Option<(Stamp, u64)> {
    let (flush, rest) = rest.split_first_chunk::<8>()?;
    let (offset, rest) = rest.split_first_chunk::<8>()?;
    let (len, rest) = rest.split_first_chunk::<2>()?;
    let (cluster, topic) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let stamp = Stamp {
        cluster: text(cluster)?,
        topic: text(topic)?,
        offset: Offset(i64::from_be_bytes(*offset)),
    };
    Some((stamp, u64::from_be_bytes(*flush)))
}

/// Visits the changes of a stored record.
pub fn visit(record: &[u8], visit: &mut dyn FnMut(Change<'_>)) -> Result<()> {
    for change in delta::read(record) {
        visit(change.map_err(|torn| Failure::Corrupted(format!("the state on disk can't be read: {torn}")))?);
    }
    Ok(())
}
