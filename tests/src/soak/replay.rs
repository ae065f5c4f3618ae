//! Runs the same inputs again from the start, with the journal.
//!
//! Rule: the outputs are equal byte by byte in every partition, including keys and timestamps. (Offsets are not
//! compared, because transaction markers take some.)

use super::check;
use super::options::PARTITIONS;
use super::outputs::Outputs;
use super::pipeline::Pipeline;
use super::report::Report;
use crate::rig::{Read, Record};
use anyhow::{Result, bail, ensure};
use pelton_demo::traffic::Parameters;
use std::time::Instant;

/// Checks the outputs of a pipeline that has stopped, runs it again, and compares. The times go into the report.
pub fn check(of: &Pipeline<'_>, traffic: &Parameters, report: &mut Report) -> Result<()> {
    let first = of.rig.read(&of.output)?;
    check::all(of, traffic, &first, report)?;
    let begun = Instant::now();
    let again = again(of, first.len())?;
    report.replay = begun.elapsed();
    same(&first, &again)?;
    report.load = crate::bench::cpu::load()?;
    Ok(())
}

/// Runs a new pipeline with the journal and the control topic of this one. Returns its outputs, of which there must be
/// `count`.
fn again(of: &Pipeline<'_>, count: usize) -> Result<Vec<Read>> {
    let again = of.again()?;
    let config = (of.config()?, again.config()?);
    for owned in config.1.owned_topics(PARTITIONS) {
        let settings = owned.required.iter().chain(&owned.preferred);
        let settings: Vec<_> = settings.map(|(key, value)| (*key, value.as_str())).collect();
        of.rig.create(&owned.name, owned.partitions, &settings)?;
    }
    for (from, to) in [
        (config.0.journal_topic(), config.1.journal_topic()),
        (config.0.control_topic(), config.1.control_topic()),
    ] {
        let copied: Vec<_> = of.rig.read(&from)?.into_iter().map(copied).collect();
        of.rig.produce(&to, &copied)?;
    }
    let mut outputs = Outputs::of(of.rig, &again.output)?;
    let mut instances = again.two()?;
    outputs.until(count, || instances.iter_mut().try_for_each(|instance| instance.lives()))?;
    for instance in instances {
        instance.stop()?;
    }
    of.rig.read(&again.output)
}

fn copied(read: Read) -> Record {
    Record {
        partition: Some(read.partition),
        key: read.key,
        value: read.value,
        timestamp: Some(read.timestamp),
        headers: read.headers,
    }
}

/// Checks that two lists of outputs, by partition and offset, have the same content.
fn same(first: &[Read], again: &[Read]) -> Result<()> {
    let without_offset = |read: &Read| Read {
        offset: 0,
        ..read.clone()
    };
    for (number, (one, other)) in first.iter().zip(again).enumerate() {
        if without_offset(one) != without_offset(other) {
            bail!("output {number} is {one:?}, and in the replay it is {other:?}");
        }
    }
    ensure!(
        first.len() == again.len(),
        "there are {} outputs, and in the replay {}",
        first.len(),
        again.len()
    );
    Ok(())
}
