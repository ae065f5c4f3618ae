//! The content of topics, written as text.
//!
//! Rule: `topics` reads it back.

use super::shown;
use crate::upgrade::fixture::PARTITIONS;
use crate::upgrade::pipeline::Pipeline;
use pelton::log::embedded::{Embedded, Isolation, PartitionOffsets};
use pelton::record::{Offset, Partition};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Shorter than any piece of a component.
const PIECE: usize = 8192;

/// The content of all topics. Pieces of `component` are not written out.
pub fn dump(pipeline: &Pipeline, component: &[u8]) -> String {
    let mut text = of(&pipeline.cluster, places(pipeline), component);
    for ((topic, partition), offset) in pipeline.cluster.group_offsets(&pipeline.config.name) {
        writeln!(text, "offset\t{topic}\t{partition}\t{offset}").expect("text");
    }
    text
}

/// The content of these partitions.
fn of(cluster: &Embedded, places: impl Iterator<Item = (String, Partition)>, component: &[u8]) -> String {
    let mut text = String::new();
    for (topic, partition) in places {
        let PartitionOffsets { start, stable, end } = cluster.offsets(&topic, partition).expect("a topic");
        assert_eq!(stable, end, "an open transaction in {topic}/{partition}");
        writeln!(text, "topic\t{topic}\t{partition}\t{start}\t{end}").expect("text");
        let all = |isolation| cluster.read_all(&topic, partition, isolation).expect("a topic");
        let committed: BTreeSet<Offset> = all(Isolation::Committed).iter().map(|record| record.offset).collect();
        for record in all(Isolation::Uncommitted) {
            let aborted = if committed.contains(&record.offset) { "" } else { "!" };
            let value = record.value.as_deref();
            let value = piece(value.unwrap_or_default(), component).unwrap_or_else(|| shown(value));
            let key = shown(record.key.as_deref());
            write!(text, "{aborted}{}\t{}\t{key}\t{value}", record.offset, record.timestamp).expect("text");
            for (name, value) in &record.headers {
                write!(text, "\t{name}={}", shown(Some(value))).expect("text");
            }
            text.push('\n');
        }
    }
    text
}

/// All partitions of all topics.
fn places(pipeline: &Pipeline) -> impl Iterator<Item = (String, Partition)> {
    let control = pipeline.config.control_topic();
    pipeline.layout.topics.iter().flat_map(move |topic| {
        let partitions = if *topic == control { 1 } else { PARTITIONS };
        let topic = topic.clone();
        Partition::all(partitions).map(move |partition| (topic.clone(), partition))
    })
}

/// The piece of the component with these bytes. `None` if it is not one.
fn piece(value: &[u8], component: &[u8]) -> Option<String> {
    let is_long = value.len() > PIECE && value.len() <= component.len();
    let start = is_long.then(|| component.windows(value.len()).position(|window| window == value))??;
    Some(format!("@{start}+{}", value.len()))
}
