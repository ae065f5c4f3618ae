//! The content of the topics, as it is.

use super::world::World;
use pelton::deploy::protocol::ControlRecord as Control;
use pelton::deploy::protocol::shadow::ShadowRecord;
use pelton::log::embedded::{Isolation, Owned, PartitionOffsets};
use pelton::record::{Partition, TopicIx};
use pelton::shadow::ShadowReport;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The committed records of a partition.
pub fn read(world: &World, topic: TopicIx, partition: Partition) -> Vec<Owned> {
    let name = &world.layout.topics[usize::from(topic)];
    world
        .cluster
        .read_all(name, partition, Isolation::Committed)
        .expect("a topic of the run")
}

/// The bounds of a partition.
pub fn offsets(world: &World, topic: TopicIx, partition: Partition) -> PartitionOffsets {
    let name = &world.layout.topics[usize::from(topic)];
    world.cluster.offsets(name, partition).expect("a topic of the run")
}

/// How much was written to all topics, including markers.
pub fn written(world: &World) -> i64 {
    places(world)
        .map(|(topic, partition)| offsets(world, topic, partition).end.0)
        .sum()
}

/// All partitions of all topics.
fn places(world: &World) -> impl Iterator<Item = (TopicIx, Partition)> {
    (0..world.layout.topics.len()).map(TopicIx::at).flat_map(|topic| {
        let partitions = match topic == world.layout.outputs {
            _ if topic == world.layout.control => 1,
            true => world.plan.output_partitions,
            false => world.plan.partitions,
        };
        Partition::all(partitions).map(move |partition| (topic, partition))
    })
}

/// A hash of everything in the topics.
pub fn fingerprint(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (topic, partition) in places(world) {
        (topic, partition).hash(&mut hasher);
        for record in read(world, topic, partition) {
            let value = record.value.map(without_nanos);
            (record.offset, record.timestamp, record.key, value, record.headers).hash(&mut hasher);
        }
    }
    hasher.finish()
}

/// What a shadow has cost is another time each time.
fn without_nanos(value: Vec<u8>) -> Vec<u8> {
    let Ok(Control::Shadow(ShadowRecord::Seen(number, task, json))) = Control::decode(&value) else {
        return value;
    };
    let Ok(mut report) = ShadowReport::read(&json) else {
        return value;
    };
    (report.seen.live_nanos, report.seen.shadow_nanos) = (0, 0);
    let json = serde_json::to_vec(&report).expect("it was read from JSON");
    Control::Shadow(ShadowRecord::Seen(number, task, json)).value()
}
