//! Tests the promises of the log on a real broker.

mod broker_away;
mod commits;
mod membership;
mod reading;

use pelton::error::{Failure, Result};
use pelton::log::kafka::Kafka;
use pelton::log::{Arrival, Group, InputOffset, Log, Membership, Outcome, Outgoing, Producer, Reader, Transaction};
use pelton::record::{Offset, Partition, Span, TopicIx};
use pelton_tests::rig::Rig;
use std::time::{Duration, Instant};

/// The first topic that [`kafka`] is given, which is the only one that the group subscribes to.
const LEAD: TopicIx = TopicIx(0);
/// The second one, in most tests the output.
const OUT: TopicIx = TopicIx(1);
/// Longer than anything takes here, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The cluster, as one instance of a pipeline sees it.
fn kafka(rig: &Rig, topics: &[&String], group: &str, instance: &str) -> Kafka {
    let topics = topics.iter().map(|name| name.to_string()).collect();
    Kafka::new(topics, &[("bootstrap.servers".into(), rig.brokers())], group, instance).unwrap()
}

/// Joins the group, and waits for the first partitions.
fn joined(kafka: &Kafka) -> (Box<dyn Group>, Vec<Partition>) {
    let mut group = kafka.join().unwrap();
    match told(&mut *group) {
        Membership::Assigned(mut partitions) => {
            partitions.sort();
            (group, partitions)
        }
        other => panic!("{other:?}"),
    }
}

/// The next change of membership.
fn told(group: &mut dyn Group) -> Membership {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match group.poll(Duration::from_millis(100)) {
            Ok(Some(membership)) => return membership,
            Ok(None) | Err(Failure::Retry(_)) => {}
            Err(failure) => panic!("{failure}"),
        }
    }
    panic!("no change of membership");
}

/// A transaction of (topic, partition, key, value), with offsets.
fn transaction(
    kafka: &Kafka,
    records: &[(TopicIx, Partition, &str, &str)],
    offsets: &[(TopicIx, Partition, Offset)],
) -> Transaction {
    let mut transaction = Transaction {
        offsets: offsets
            .iter()
            .map(|&(topic, partition, offset)| InputOffset {
                topic,
                partition,
                offset,
            })
            .collect(),
        assignment: kafka.assignment(),
        ..Transaction::default()
    };
    for (topic, partition, key, value) in records {
        let key = Span::append(&mut transaction.bytes, key.as_bytes());
        let value = Span::append(&mut transaction.bytes, value.as_bytes());
        transaction.records.push(Outgoing {
            topic: *topic,
            partition: *partition,
            timestamp: 1_000,
            key: Some(key),
            value: Some(value),
            headers: 0..0,
        });
    }
    transaction
}

/// Commits, and waits for the outcome.
fn commit(producer: &mut dyn Producer, transaction: Transaction) -> Outcome {
    producer.submit(transaction);
    let (_, outcome) = producer.outcome(PATIENCE).expect("an outcome");
    outcome
}

/// Polls until `enough` returns true.
fn arrivals(reader: &mut dyn Reader, mut enough: impl FnMut(&[Arrival]) -> bool) -> Result<Vec<Arrival>> {
    let mut arrivals = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while !enough(&arrivals) {
        assert!(
            Instant::now() < deadline,
            "only {} arrivals, records of partition 0 up to {:?}, end {:?}",
            arrivals.len(),
            offsets(&arrivals, Partition(0)).last(),
            end(&arrivals)
        );
        reader.poll(Duration::from_millis(20), &mut arrivals)?;
    }
    Ok(arrivals)
}

/// The offsets of the records that have arrived for a partition.
fn offsets(arrivals: &[Arrival], partition: Partition) -> Vec<i64> {
    let mut offsets = Vec::new();
    for arrival in arrivals {
        if let Arrival::Records(chunk) = arrival
            && chunk.partition == partition
        {
            offsets.extend(chunk.records.iter().map(|record| record.offset.0));
        }
    }
    offsets
}

/// The last end that was reported, if any.
fn end(arrivals: &[Arrival]) -> Option<i64> {
    arrivals.iter().rev().find_map(|arrival| match arrival {
        Arrival::End { offset, .. } => Some(offset.0),
        _ => None,
    })
}
