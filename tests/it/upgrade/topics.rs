//! Writes topics as text, with a line and an offset for each record, and reads them back.
//!
//! Rule: when it is read back, every record has the same offset, time, key, value and headers. Aborted records are
//! aborted, and what retention or the sweep has removed is gone. Offsets without a record are the markers that end
//! transactions.
//!
//! ```text
//! topic NAME PARTITION START END
//! OFFSET TIMESTAMP KEY VALUE HEADER=VALUE ...      in front of it a `!`: aborted
//! offset TOPIC PARTITION OFFSET                    the group's
//! ```
//!
//! Fields are separated by tabs. Printable bytes stand for themselves, others are `\xNN`, and `-` is null. A piece of
//! the rules' component is `@START+LENGTH`.

#[cfg(feature = "rocks")]
mod dump;

#[cfg(feature = "rocks")]
pub use dump::dump;

use super::pipeline::Pipeline;
use pelton::log::embedded::{NewRecord, OpenTransaction, Owned, PartitionOffsets};
use pelton::record::{Offset, Partition};
use std::collections::BTreeMap;
use std::time::Duration;

/// The group's offsets.
pub type Offsets = BTreeMap<(String, Partition), Offset>;

/// Bytes as text, as described above.
pub fn shown(bytes: Option<&[u8]>) -> String {
    match bytes {
        None => "-".into(),
        Some(b"-") => "\\x2d".into(),
        Some(bytes) => {
            let one = |byte: &u8| match byte {
                b'\\' | 0..b' ' | 0x7f.. => format!("\\x{byte:02x}"),
                printable => char::from(*printable).to_string(),
            };
            bytes.iter().map(one).collect()
        }
    }
}

/// The bytes that [`shown`] has written.
fn bytes(text: &str, component: &[u8]) -> Option<Vec<u8>> {
    if text == "-" {
        return None;
    }
    if let Some((start, len)) = text.strip_prefix('@').and_then(|place| place.split_once('+')) {
        let (start, len): (usize, usize) = (start.parse().expect("a number"), len.parse().expect("a number"));
        return Some(component[start..start + len].to_vec());
    }
    let mut bytes = vec![];
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        match behind.strip_prefix(b"x").filter(|_| *first == b'\\') {
            Some(hex) => {
                let digits = std::str::from_utf8(&hex[..2]).expect("two digits");
                bytes.push(u8::from_str_radix(digits, 16).expect("hexadecimal"));
                rest = &hex[2..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    Some(bytes)
}

/// Fills empty topics. Returns the group's offsets.
pub fn load(pipeline: &Pipeline, text: &str, component: &[u8]) -> Offsets {
    let mut offsets = BTreeMap::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let fields: Vec<&str> = line.split('\t').collect();
        let number = |field: &str| field.parse::<i64>().expect("a number");
        match fields[..] {
            ["topic", topic, partition, start, end] => {
                let mut records = vec![];
                while let Some(line) = lines.next_if(|line| !line.starts_with(['t', 'o'])) {
                    records.push(record(line, component));
                }
                let place = Place {
                    pipeline,
                    topic,
                    partition: Partition(number(partition) as i32),
                };
                place.fill(Offset(number(start)), &records, Offset(number(end)));
            }
            ["offset", topic, partition, offset] => {
                offsets.insert(
                    (topic.to_owned(), Partition(number(partition) as i32)),
                    Offset(number(offset)),
                );
            }
            _ => panic!("not a line of topics: {line:?}"),
        }
    }
    offsets
}

/// A record, and whether it is aborted.
fn record(line: &str, component: &[u8]) -> (Owned, bool) {
    let (aborted, line) = line.strip_prefix('!').map_or((false, line), |line| (true, line));
    let mut fields = line.split('\t');
    let mut next = || fields.next().expect("four fields");
    let (offset, timestamp, key, value) = (next(), next(), next(), next());
    let header = |field: &str| {
        let (name, value) = field.split_once('=').expect("a header");
        (name.to_owned(), bytes(value, component).unwrap_or_default())
    };
    let record = Owned {
        offset: Offset(offset.parse().expect("an offset")),
        timestamp: timestamp.parse().expect("a time"),
        key: bytes(key, component),
        value: bytes(value, component),
        headers: fields.map(header).collect(),
    };
    (record, aborted)
}

/// A partition to fill.
struct Place<'a> {
    pipeline: &'a Pipeline,
    topic: &'a str,
    partition: Partition,
}

impl Place<'_> {
    /// Fills the partition. Everything before `start` is gone.
    fn fill(&self, start: Offset, records: &[(Owned, bool)], end: Offset) {
        let gone = (0..start.0).map(|offset| (nothing(Offset(offset)), false));
        let records: Vec<(Owned, bool)> = gone.chain(records.iter().cloned()).collect();
        let ends = marked(&records, end);
        let cluster = &self.pipeline.cluster;
        let mut open = BTreeMap::new();
        let mut aborted: Option<OpenTransaction> = None;
        for (index, (record, is_aborted)) in records.iter().enumerate() {
            let headers = record.headers.iter();
            let headers: Vec<(&[u8], &[u8])> = headers
                .map(|(name, value)| (name.as_bytes(), value.as_slice()))
                .collect();
            let bare = NewRecord {
                key: record.key.as_deref(),
                value: record.value.as_deref(),
                timestamp: record.timestamp,
                headers: &headers,
            };
            if *is_aborted {
                let transaction = aborted.get_or_insert_with(|| self.begin(index));
                transaction
                    .append(self.topic, self.partition, bare)
                    .expect("just begun");
            } else if ends.values().flatten().any(|marked| *marked == Some(index)) {
                let transaction = self.begin(index);
                transaction
                    .append(self.topic, self.partition, bare)
                    .expect("just begun");
                open.insert(index, transaction);
            } else {
                cluster
                    .append_batch(self.topic, self.partition, [bare])
                    .expect("a topic");
            }
            for marked in ends.get(&index).into_iter().flatten() {
                let ended = match marked {
                    Some(index) => open.remove(index).expect("it is open").commit(),
                    None => aborted.take().expect("it is open").abort(),
                };
                ended.expect("it is open");
            }
        }
        let PartitionOffsets { end: is, .. } = cluster.offsets(self.topic, self.partition).expect("a topic");
        assert_eq!(is, end, "the end of {}/{}", self.topic, self.partition);
        if start > Offset::ZERO {
            cluster
                .truncate(self.topic, self.partition, start)
                .expect("a topic that may be cut");
        }
    }

    fn begin(&self, index: usize) -> OpenTransaction {
        let id = format!("loader-{}-{}-{index}", self.topic, self.partition);
        let transaction = self.pipeline.cluster.transaction(&id, Duration::from_secs(3600));
        transaction.expect("an id of its own")
    }
}

/// A record that retention has removed.
fn nothing(offset: Offset) -> Owned {
    Owned {
        offset,
        timestamp: 0,
        key: None,
        value: None,
        headers: vec![],
    }
}

/// The markers after each record, by its index. Each marker belongs to the record whose transaction it ends, or to the
/// aborted one (`None`). It is not kept which transactions the records really belonged to, because no reader can see
/// that.
fn marked(records: &[(Owned, bool)], end: Offset) -> BTreeMap<usize, Vec<Option<usize>>> {
    let mut ends = BTreeMap::new();
    let (mut unmarked, mut aborted) = (vec![], false);
    for (index, (record, is_aborted)) in records.iter().enumerate() {
        match is_aborted {
            true => aborted = true,
            false => unmarked.push(index),
        }
        let next = records.get(index + 1).map_or(end, |(record, _)| record.offset);
        let markers = (record.offset.next().0..next.0).map(|_| match std::mem::take(&mut aborted) {
            true => None,
            false => Some(unmarked.pop().expect("a marker ends a transaction with a record")),
        });
        ends.insert(index, markers.collect());
    }
    assert!(!aborted, "no marker ends what is aborted");
    ends
}
