//! The wire alone: what it costs to read records from Kafka and to write the same bytes back in transactions, without
//! any logic. It uses Pelton's own port, so that the port's share of an event's cost is known.
//!
//! Rule: every record is written exactly once, in order. The report says what this process and the broker have spent on
//! it.

use crate::bench::cpu;
use crate::rig::{Record, Rig};
use anyhow::{Context, Result, bail, ensure};
use pelton::log::kafka::Kafka;
use pelton::log::{Arrival, Chunk, InputOffset, Log, Membership, Outcome, Outgoing, Transaction};
use pelton::record::{Offset, Partition, Span, TopicIx};
use pelton_demo::traffic::Random;
use std::time::{Duration, Instant};

/// The topic that is read.
const LEAD: TopicIx = TopicIx(0);

/// The topic that is written.
const OUT: TopicIx = TopicIx(1);

/// The number of partitions of the topics.
const PARTITIONS: i32 = 4;

/// An arena is committed after this time, or when it has this many bytes.
const EPOCH: Duration = Duration::from_millis(100);
const ARENA: usize = 32 << 20;

/// The number of records generated at a time when the input is filled.
const FILL: u64 = 100_000;

/// What it cost.
#[derive(Clone, Debug)]
pub struct WireReport {
    /// Records, each read once and written once.
    pub records: u64,
    /// The bytes of all their keys and values.
    pub bytes: u64,
    /// The number of transactions.
    pub commits: u64,
    /// From the first fetch to the last commit.
    pub wall: Duration,
    /// CPU of this process, in microseconds a record.
    pub cpu: f64,
    /// CPU of the broker, in microseconds a record.
    pub broker: f64,
}

impl WireReport {
    /// Records per second.
    pub fn rate(&self) -> f64 {
        self.records as f64 / self.wall.as_secs_f64()
    }
}

/// Fills a topic with `records` values of `size` bytes (half text that repeats, half random), then copies it to another.
pub fn wire(rig: &Rig, records: u64, size: usize) -> Result<WireReport> {
    let (input, output) = (Rig::unique("wire-in"), Rig::unique("wire-out"));
    for topic in [&input, &output] {
        rig.create(topic, PARTITIONS, &[("compression.type", "lz4")])?;
    }
    fill(rig, &input, records, size)?;
    let properties = [("bootstrap.servers".to_string(), rig.brokers())];
    let kafka = Kafka::new([input, output].into(), &properties, &Rig::unique("wire"), "wire")?;
    let mut group = kafka.join()?;
    let joining = Instant::now();
    while !matches!(group.poll(Duration::from_millis(100))?, Some(Membership::Assigned(_))) {
        ensure!(joining.elapsed() < Duration::from_secs(60), "the group assigns nothing");
    }
    let broker = rig.pid().context("the broker runs")?;
    let (begun, ours, theirs) = (Instant::now(), cpu::own(), cpu::process(broker)?);
    let mut producer = kafka.producer(&Rig::unique("wire"))?;
    let mut reader = kafka.reader(Duration::from_secs(10))?;
    for partition in Partition::all(PARTITIONS) {
        reader.assign(LEAD, partition, Offset::ZERO)?;
    }
    let mut next = [Offset::ZERO; PARTITIONS as usize];
    let (mut open, mut spare) = (Transaction::default(), Some(Transaction::default()));
    let (mut taken, mut done, mut bytes, mut commits) = (0, 0, 0, 0);
    let mut arrivals = Vec::new();
    let mut epoch = Instant::now();
    while done < records {
        if taken < records && open.bytes.len() < ARENA {
            reader.poll(Duration::from_millis(5), &mut arrivals)?;
        }
        for arrival in arrivals.drain(..) {
            if let Arrival::Records(chunk) = arrival {
                take(&chunk, &mut open);
                taken += chunk.records.len() as u64;
                bytes += chunk.bytes.len() as u64;
                next[chunk.partition.index()] = chunk.records.last().map(|last| last.offset.next()).unwrap_or_default();
            }
        }
        let full = taken == records || open.bytes.len() >= ARENA;
        if spare.is_none() {
            let wait = if full {
                Duration::from_millis(50)
            } else {
                Duration::ZERO
            };
            if let Some((mut back, outcome)) = producer.outcome(wait) {
                let Outcome::Committed(_) = outcome else {
                    bail!("the wire broke: {outcome:?}")
                };
                done += back.records.len() as u64;
                commits += 1;
                back.bytes.clear();
                back.records.clear();
                back.offsets.clear();
                spare = Some(back);
            }
        }
        if !open.records.is_empty() && (full || epoch.elapsed() >= EPOCH) && spare.is_some() {
            open.offsets
                .extend(Partition::all(PARTITIONS).map(|partition| InputOffset {
                    topic: LEAD,
                    partition,
                    offset: next[partition.index()],
                }));
            open.assignment = kafka.assignment();
            let empty = spare.take().context("seen just now")?;
            producer.submit(std::mem::replace(&mut open, empty));
            epoch = Instant::now();
        }
    }
    let wall = begun.elapsed();
    let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / records as f64;
    Ok(WireReport {
        records,
        bytes,
        commits,
        wall,
        cpu: each(cpu::own() - ours),
        broker: each(cpu::process(broker)? - theirs),
    })
}

/// Takes the records of a chunk over as records to write.
fn take(chunk: &Chunk, into: &mut Transaction) {
    let base = Span::append(&mut into.bytes, &chunk.bytes).start;
    let moved = |span: Span| Span {
        start: base + span.start,
        len: span.len,
    };
    into.records.extend(chunk.records.iter().map(|record| Outgoing {
        topic: OUT,
        partition: chunk.partition,
        timestamp: record.timestamp,
        key: record.key.map(moved),
        value: record.value.map(moved),
        headers: 0..0,
    }));
}

/// Fills the input with values that compress like JSON, to about half.
fn fill(rig: &Rig, topic: &str, records: u64, size: usize) -> Result<()> {
    let text = br#"{"user":"0123456789","event":"wallet.deposit","currency":"EUR","amount":"#;
    let mut random = Random::new(1);
    let mut from = 0;
    while from < records {
        let until = (from + FILL).min(records);
        let made: Vec<_> = (from..until)
            .map(|number| {
                let mut value: Vec<u8> = text.iter().copied().cycle().take(size / 2).collect();
                while value.len() < size {
                    let bytes = random.number().to_le_bytes();
                    value.extend_from_slice(&bytes[..8.min(size - value.len())]);
                }
                Record::new(format!("{number:08}"), value)
                    .at((number % PARTITIONS as u64) as i32)
                    .time(1_000 + number as i64)
            })
            .collect();
        rig.produce(topic, &made)?;
        from = until;
    }
    Ok(())
}
