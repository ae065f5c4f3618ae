//! What a task has read and written, in the auditor's terms.

use super::decided::decided;
use super::lines::{same, text};
use super::topics::read;
use super::versions;
use super::world::World;
use crate::auditor::{self, Enriched, Expected, Record, Refusal};
use crate::translate;
use anyhow::{Context, Result, anyhow};
use pelton::log::embedded::Owned;
use pelton::record::{Offset, Partition, TopicIx};
use std::collections::{BTreeMap, HashMap};

/// What a task has written: outputs by user, and dead letters.
pub struct Evidence {
    outputs: BTreeMap<Vec<u8>, Vec<String>>,
    dead_letters: Vec<String>,
    /// The number of its journal entries.
    pub journaled: u64,
}

impl Evidence {
    /// Everything committed that a task has written.
    pub fn of(world: &World, partition: Partition) -> Result<Evidence> {
        let mut outputs = BTreeMap::<_, Vec<String>>::new();
        for (key, record) in outputs_of(world) {
            if partition_of(world, &key) != Some(partition) {
                continue;
            }
            let value = record.value.as_deref().unwrap_or_default();
            let value = auditor::read_enriched(world.plan.format, value);
            let value = value.with_context(|| format!("output {} can't be read", record.offset))?;
            outputs
                .entry(key)
                .or_default()
                .push(output_line(record.timestamp, &value));
        }
        let letters = read(world, world.layout.dead_letters, partition);
        Ok(Evidence {
            outputs,
            dead_letters: letters.iter().map(letter_line).collect::<Result<_, _>>()?,
            journaled: read(world, world.layout.journal, partition).len() as u64,
        })
    }

    /// Compares it with the auditor. If `all` is false, it only has to be a beginning of what the auditor expects.
    pub fn check(&self, expected: &Expected, all: bool) -> Result<()> {
        let mut must = BTreeMap::<Vec<u8>, Vec<String>>::new();
        for output in &expected.outputs {
            must.entry(output.key.clone())
                .or_default()
                .push(output_line(output.timestamp, &output.value));
        }
        let cut = |lines: &[String], to: usize| lines[..lines.len().min(to)].to_vec();
        let none = vec![];
        for key in self.outputs.keys().chain(must.keys()) {
            let is = self.outputs.get(key).unwrap_or(&none);
            let must = must.get(key).unwrap_or(&none);
            let must = if all { must.clone() } else { cut(must, is.len()) };
            same(&format!("output for user {}", text(key)), is, &must)?;
        }
        let letters: Vec<_> = expected.dead_letters.iter().map(expected_letter_line).collect();
        let letters = if all {
            letters
        } else {
            cut(&letters, self.dead_letters.len())
        };
        same("its list of dead letters", &self.dead_letters, &letters)
    }
}

/// The parameters of a run, with the deploys committed so far.
pub fn parameters(world: &World) -> Result<auditor::Parameters> {
    let mut deploys = decided(world)?.committed.into_iter();
    let first = match deploys.next() {
        Some(first) => first.settings,
        // The control topic is still empty.
        None => {
            translate::settings(&versions::settings(world.plan.files[0]).to_string()).context("settings of a file")?
        }
    };
    Ok(auditor::Parameters {
        format: world.plan.format,
        out_of_orderness: world.plan.out_of_orderness.to_vec(),
        max_ahead: vec![world.plan.max_ahead; 3],
        dedup_ttl: first.dedup_ttl,
        session_ttl: first.session_ttl,
        pending_ttl: first.pending_ttl,
        label: first.label,
        code: first.code,
        deploys: deploys.collect(),
    })
}

/// The inputs and the journal of a task.
pub fn task(world: &World, partition: Partition) -> Result<auditor::Task> {
    let mut task = auditor::Task::default();
    for rank in 0..world.config.inputs.len() {
        let append_time = world.plan.append_time[rank];
        let record = |record: Owned| Record {
            offset: record.offset.0,
            appended: append_time.then_some(record.timestamp),
            key: record.key,
            value: record.value,
        };
        let begins = match world.plan.latest[rank] {
            true => world.beginnings.of(partition, rank),
            false => Offset::ZERO,
        };
        let mut records = read(world, TopicIx::at(rank), partition);
        records.retain(|record| record.offset >= begins);
        task.partitions.push(records.into_iter().map(record).collect());
    }
    let entries = read(world, world.layout.journal, partition);
    let entries = entries.into_iter().map(|record| record.value.unwrap_or_default());
    let known = |version: &_| versions::of(version).is_some();
    translate::journal(&mut task, entries, &parameters(world)?, known)?;
    Ok(task)
}

fn output_line(timestamp: i64, value: &Enriched) -> String {
    format!("{timestamp} {value:?}")
}

fn expected_letter_line(letter: &auditor::DeadLetter) -> String {
    format!("{} {} {:?}", letter.place.rank, letter.place.offset, letter.refusal)
}

fn letter_line(letter: &Owned) -> Result<String> {
    let header = |name: &str| {
        let found = letter.headers.iter().rev().find(|(known, _)| known == name);
        found
            .map(|(_, value)| text(value))
            .with_context(|| format!("a dead letter without {name}"))
    };
    let (topic, offset, reason) = (
        header("pelton.topic")?,
        header("pelton.offset")?,
        header("pelton.reason")?,
    );
    let rank = ["user-session-events", "user-events", "wallet-events"]
        .iter()
        .position(|known| *known == topic);
    let rank = rank.with_context(|| format!("a dead letter of topic {topic}"))?;
    let refusal = match reason.as_str() {
        "the record has no key" => Refusal::NoKey,
        no_value if no_value.starts_with("the record has no value") => Refusal::NoValue,
        far if far.starts_with("its time is further ahead") => Refusal::TooFarAhead,
        trap if trap.contains("so much money") => Refusal::Trapped,
        _ => Refusal::Undecodable,
    };
    Ok(format!("{rank} {offset} {refusal:?}"))
}

/// Checks that the key of every output belongs to a user that some partition has records of.
pub fn nothing_else(world: &World) -> Result<()> {
    match outputs_of(world).find(|(key, _)| partition_of(world, key).is_none()) {
        Some((key, record)) => Err(anyhow!("an output for {}, who is nobody: {record:?}", text(&key))),
        None => Ok(()),
    }
}

/// The outputs of all partitions, with their keys.
pub fn outputs_of(world: &World) -> impl Iterator<Item = (Vec<u8>, Owned)> {
    Partition::all(world.plan.output_partitions)
        .flat_map(|partition| read(world, world.layout.outputs, partition))
        .map(|record| (record.key.clone().unwrap_or_default(), record))
}

/// An output, as it is in its topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Output {
    /// The user.
    pub key: Vec<u8>,
    /// Whether a reply sent it.
    pub looked_up: bool,
    /// The record's timestamp.
    pub timestamp: i64,
    /// The record's value.
    pub value: Vec<u8>,
}

/// All outputs of a run that has succeeded: by user, in their order.
pub fn results(world: &World) -> Result<Vec<Output>> {
    let mut outputs = vec![];
    let mut expected = BTreeMap::<_, Vec<_>>::new();
    for partition in Partition::all(world.plan.partitions) {
        for output in auditor::audit(&task(world, partition)?, &parameters(world)?).outputs {
            expected.entry(output.key).or_default().push(output.looked_up);
        }
    }
    let mut places = HashMap::<Vec<u8>, usize>::new();
    for (key, record) in outputs_of(world) {
        let place = places.entry(key.clone()).or_default();
        let looked_up = expected.get(&key).and_then(|list| list.get(*place));
        *place += 1;
        outputs.push(Output {
            looked_up: *looked_up.context("an output that nobody expects")?,
            key,
            timestamp: record.timestamp,
            value: record.value.unwrap_or_default(),
        });
    }
    // The sort is stable, so a user's outputs stay in their order.
    outputs.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(outputs)
}

/// The partition that the traffic has assigned to a user.
fn partition_of(world: &World, key: &[u8]) -> Option<Partition> {
    let of_user = |arrival: &&super::traffic::Arrival| arrival.key.as_deref() == Some(key);
    world.plan.traffic.iter().find(of_user).map(|arrival| arrival.partition)
}
