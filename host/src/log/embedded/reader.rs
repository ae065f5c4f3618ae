//! The reader of the embedded log.
//!
//! Rule: a poll returns what each partition has, in turn, and waits only if none has anything. The end of a partition
//! is reported as soon as it is reached, and then again at the interval of the proofs.

use super::Embedded;
use super::client::ClientNo;
use super::partition::{FetchSize, Isolation};
use super::state::ClusterState;
use super::topic::TopicNo;
use crate::error::{Failure, Result};
use crate::log::{Arrival, Chunk, Reader, Topics};
use crate::record::{Offset, Partition, TopicIx};
use std::ops::Range;
use std::time::Duration;

/// About how many bytes a poll takes from one partition. A second-level cache can hold them.
const FETCH_BYTES: usize = 256 << 10;

pub(super) struct EmbeddedReader {
    cluster: Embedded,
    topics: Topics,
    client: ClientNo,
    proofs: Duration,
    assigned: Vec<Assigned>,
    /// Index of the partition where the next poll begins, so that none starves.
    turn: usize,
}

struct Assigned {
    topic: TopicIx,
    number: TopicNo,
    partition: Partition,
    /// Next offset to read.
    position: Offset,
    paused: bool,
    /// Whether its position is out of range. That is reported once; then it is silent until it is assigned again.
    lost: bool,
    /// The end that was last proved, and when.
    proved: Option<(Offset, Duration)>,
}

impl EmbeddedReader {
    pub fn new(cluster: Embedded, topics: Topics, client: ClientNo, proofs: Duration) -> EmbeddedReader {
        EmbeddedReader {
            cluster,
            topics,
            client,
            proofs,
            assigned: Vec::new(),
            turn: 0,
        }
    }

    fn find(&mut self, topic: TopicIx, partition: Partition) -> Result<&mut Assigned> {
        let found = self
            .assigned
            .iter_mut()
            .find(|a| (a.topic, a.partition) == (topic, partition));
        found.ok_or_else(|| Failure::Fatal(format!("partition {partition} of topic {topic} is not assigned")))
    }

    /// When the next proof is due.
    fn next_proof(&self) -> Option<Duration> {
        let reading = self.assigned.iter().filter(|a| !a.paused && !a.lost);
        reading
            .filter_map(|a| a.proved.map(|(_, at)| at.saturating_add(self.proofs)))
            .min()
    }
}

impl Assigned {
    /// Takes the available records.
    fn poll(&mut self, state: &mut ClusterState, proofs: Duration, arrivals: &mut Vec<Arrival>) -> Result<()> {
        if self.paused || self.lost {
            return Ok(());
        }
        let (topic, partition) = (self.topic, self.partition);
        let Range { start, end } = state.log(self.number, partition)?.bounds();
        if self.position < start || self.position > end {
            self.lost = true;
            arrivals.push(Arrival::OutOfRange {
                topic,
                partition,
                start,
                end,
            });
            return Ok(());
        }
        let size = FetchSize {
            records: state.limit(self.number),
            bytes: FETCH_BYTES,
        };
        if size.records == 0 {
            return Ok(());
        }
        let append_time = state.topics[self.number].append_time;
        let (log, now) = (state.log(self.number, partition)?, state.clock.now());
        let stable = log.stable();
        if self.position < stable {
            let mut chunk = Chunk {
                topic,
                partition,
                ..Chunk::default()
            };
            self.position = log.fetch(self.position, size, Isolation::Committed, &mut chunk);
            if append_time {
                chunk.records.iter_mut().for_each(|record| record.append_time = true);
            }
            if !chunk.records.is_empty() {
                arrivals.push(Arrival::Records(chunk));
            }
        }
        let due = self
            .proved
            .is_none_or(|(offset, at)| offset != self.position || at.saturating_add(proofs) <= now);
        if self.position >= stable && due {
            self.proved = Some((self.position, now));
            arrivals.push(Arrival::End {
                topic,
                partition,
                offset: self.position,
            });
        }
        Ok(())
    }
}

impl Reader for EmbeddedReader {
    fn assign(&mut self, topic: TopicIx, partition: Partition, from: Offset) -> Result<()> {
        let (cluster, topics, client) = (self.cluster.clone(), self.topics.clone(), self.client);
        let number = cluster.change(|state| {
            state.alive(client)?;
            let number = state.topic(&topics[usize::from(topic)])?;
            state.log(number, partition).map(|_| number)
        })?;
        self.assigned.retain(|a| (a.topic, a.partition) != (topic, partition));
        self.assigned.push(Assigned {
            topic,
            number,
            partition,
            position: from,
            paused: false,
            lost: false,
            proved: None,
        });
        Ok(())
    }

    fn unassign(&mut self, topic: TopicIx, partition: Partition) -> Result<()> {
        self.assigned.retain(|a| (a.topic, a.partition) != (topic, partition));
        Ok(())
    }

    fn pause(&mut self, topic: TopicIx, partition: Partition, paused: bool) -> Result<()> {
        self.find(topic, partition)?.paused = paused;
        Ok(())
    }

    fn poll(&mut self, wait: Duration, arrivals: &mut Vec<Arrival>) -> Result<()> {
        let cluster = self.cluster.clone();
        let before = arrivals.len();
        let mut state = cluster.lock();
        let until = state.clock.now().saturating_add(wait);
        loop {
            state.alive(self.client)?;
            let count = self.assigned.len();
            self.turn = self.turn.wrapping_add(1);
            for i in 0..count {
                let at = (self.turn.wrapping_add(i)) % count;
                self.assigned[at].poll(&mut state, self.proofs, arrivals)?;
            }
            if arrivals.len() > before || state.clock.now() >= until || !state.clock.passes() {
                return Ok(());
            }
            let wake = self.next_proof().map_or(until, |proof| proof.min(until));
            state = cluster.wait(state, wake);
        }
    }
}
