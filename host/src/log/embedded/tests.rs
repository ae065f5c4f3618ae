//! Tests of what the embedded log promises, by subject.

mod membership;
mod model;
mod reading;
mod transactions;

use super::*;
use crate::log::{Arrival, InputOffset, Membership, Outcome, Outgoing, Transaction};
use crate::record::Span;
use parking_lot::Mutex;
use std::sync::Arc;

/// The topics of the tests. `in` is the lead topic. Both have four partitions.
const IN: TopicIx = TopicIx(0);
const OUT: TopicIx = TopicIx(1);

/// No waiting, because the tests advance the clock.
const NOW: Duration = Duration::ZERO;

fn cluster() -> (Embedded, Clock) {
    let clock = Clock::manual(1_000_000);
    let cluster = Embedded::new("test", clock.clone());
    cluster.create_topic("in", 4, &[]).unwrap();
    cluster.create_topic("out", 4, &[]).unwrap();
    (cluster, clock)
}

fn instance(cluster: &Embedded, name: &str) -> EmbeddedInstance {
    cluster.instance(Arc::from(["in".to_owned(), "out".to_owned()]), "group", name)
}

/// An instance that has joined and taken its changes, with a producer.
struct Joined {
    log: EmbeddedInstance,
    group: Box<dyn Group>,
    producer: Box<dyn Producer>,
}

fn joined(cluster: &Embedded, name: &str) -> Joined {
    let log = instance(cluster, name);
    let mut group = log.join().unwrap();
    while group.poll(NOW).unwrap().is_some() {}
    let producer = log.producer(&format!("group-{name}")).unwrap();
    Joined { log, group, producer }
}

impl Joined {
    /// A transaction with one record for partition 0 of `out`, and an offset for partition 0 of `in`.
    fn transaction(&self, value: &str, offset: i64) -> Transaction {
        let mut transaction = Transaction {
            assignment: self.log.assignment(),
            ..Transaction::default()
        };
        let value = Some(Span::append(&mut transaction.bytes, value.as_bytes()));
        transaction.records.push(Outgoing {
            topic: OUT,
            partition: Partition(0),
            timestamp: 7,
            key: None,
            value,
            headers: 0..0,
        });
        transaction.offsets.push(InputOffset {
            topic: IN,
            partition: Partition(0),
            offset: Offset(offset),
        });
        transaction
    }

    fn submit(&mut self, value: &str, offset: i64) -> Option<Outcome> {
        let transaction = self.transaction(value, offset);
        self.producer.submit(transaction);
        self.outcome()
    }

    fn outcome(&mut self) -> Option<Outcome> {
        self.producer.outcome(NOW).map(|(_, outcome)| outcome)
    }

    fn offset(&self) -> Result<Option<i64>> {
        let committed = self.log.committed(&[(IN, Partition(0))])?[0];
        Ok(committed.map(|offset| offset.0))
    }
}

fn append(cluster: &Embedded, value: &str) -> i64 {
    cluster
        .append(
            "out",
            Partition(0),
            NewRecord {
                key: Some(b"k"),
                value: Some(value.as_bytes()),
                timestamp: 1,
                headers: &[],
            },
        )
        .unwrap()
        .0
}

/// Start offset, last stable offset and end of partition 0 of `out`.
fn offsets(cluster: &Embedded) -> (i64, i64, i64) {
    let offsets = cluster.offsets("out", Partition(0)).unwrap();
    (offsets.start.0, offsets.stable.0, offsets.end.0)
}

/// The values of partition 0 of `out` that committed readers see.
fn values(cluster: &Embedded) -> Vec<String> {
    let records = cluster.read_all("out", Partition(0), Isolation::Committed).unwrap();
    records
        .into_iter()
        .map(|record| String::from_utf8(record.value.unwrap()).unwrap())
        .collect()
}

/// Polls once. Returns (offset, value) of the records, and the proved end.
fn poll(reader: &mut dyn Reader) -> (Vec<(i64, String)>, Option<i64>) {
    let (mut records, mut proof, mut arrivals) = (Vec::new(), None, Vec::new());
    reader.poll(NOW, &mut arrivals).unwrap();
    for arrival in arrivals {
        match arrival {
            Arrival::Records(chunk) => records.extend(chunk.records.iter().map(|record| {
                let value = record.value.map_or(&b""[..], |value| value.of(&chunk.bytes));
                (record.offset.0, String::from_utf8(value.to_vec()).unwrap())
            })),
            Arrival::End { offset, .. } => proof = Some(offset.0),
            Arrival::OutOfRange { .. } => panic!("out of range"),
        }
    }
    (records, proof)
}
