//! Compares the outputs with the auditor.
//!
//! Rule: the auditor gets the inputs, the journal and the control topic from Kafka. Each output partition must have
//! exactly the records that it expects, in that order, with time and key.

use super::options::PARTITIONS;
use super::pipeline::Pipeline;
use super::report::Report;
use super::versions::Versions;
use crate::auditor::{
    self, Answer, Code, Deployed, Format, Output, Parameters, Task, audit, audit_with, read_enriched,
};
use crate::rig::Read;
use crate::translate;
use anyhow::{Context, Result, bail, ensure};
use pelton_demo::session_service::answer;
use pelton_demo::traffic::{self, Stream, Traffic};
use std::collections::BTreeSet;

/// How many outputs there must be. This doesn't depend on the versions, nor on when replies come.
pub fn count(traffic: &traffic::Parameters) -> usize {
    let service = |session: &str| {
        Some(match answer(session.as_bytes()) {
            Some(country) => Answer::Body(format!("{{\"clientCountryCode\":\"{country}\"}}").into_bytes()),
            None => Answer::Absent,
        })
    };
    let of = |partition| audit_with(&inputs(traffic, partition), &Parameters::default(), service);
    (0..PARTITIONS).map(|partition| of(partition).outputs.len()).sum()
}

/// The inputs of a task, as the traffic has written them.
fn inputs(parameters: &traffic::Parameters, partition: i32) -> Task {
    let mut task = Task {
        partitions: vec![vec![]; Stream::ALL.len()],
        ..Task::default()
    };
    let mut traffic = Traffic::new(parameters.clone());
    while let Some(item) = traffic.next() {
        if item.partition.0 != partition {
            continue;
        }
        let records = &mut task.partitions[item.stream as usize];
        records.push(auditor::Record {
            offset: records.len() as i64,
            key: Some(item.key.to_vec()),
            value: Some(item.value.to_vec()),
            appended: None,
        });
    }
    task
}

/// Checks everything. The error says what is not as it must be.
pub fn all(
    pipeline: &Pipeline<'_>,
    traffic: &traffic::Parameters,
    outputs: &[Read],
    report: &mut Report,
) -> Result<()> {
    let config = pipeline.config()?;
    let letters = pipeline.rig.read(&config.dead_letters_topic())?;
    ensure!(
        letters.is_empty(),
        "{} dead letters, such as {:?}",
        letters.len(),
        letters[0]
    );
    let versions = Versions::read()?;
    let control = pipeline.rig.read(&config.control_topic())?.into_iter();
    let control = control.map(|read| (read.key.unwrap_or_default(), read.value.unwrap_or_default()));
    let mut known = BTreeSet::new();
    let control: Vec<_> = control.collect();
    for (_, value) in &control {
        if let Ok(pelton::deploy::protocol::ControlRecord::Deploy(deploy)) =
            pelton::deploy::protocol::ControlRecord::decode(value)
        {
            known.insert(deploy.version);
        }
    }
    let events = translate::control(control.into_iter(), |deploy| versions.of(deploy))?;
    let decided = auditor::decide(&events, PARTITIONS as usize)?;
    ensure!(decided.open.is_none(), "deploy {:?} is not decided", decided.open);
    let withdrawn = decided.committed.iter().find(|deploy| deploy.withdrawn.is_some());
    ensure!(
        withdrawn.is_none(),
        "{withdrawn:?} was withdrawn, and its rules are never at fault"
    );
    ensure!(
        decided.committed.len() == report.committed() + 1,
        "{} swaps were reported as committed, and on the control topic there are {}",
        report.committed(),
        decided.committed.len() - 1
    );
    let parameters = parameters(&decided.committed)?;
    let journal = pipeline.rig.read(&config.journal_topic())?;
    let mut deploys = BTreeSet::new();
    for partition in 0..PARTITIONS {
        let of_task = |read: &&Read| read.partition == partition;
        let mut task = inputs(traffic, partition);
        let entries = journal.iter().filter(of_task);
        let entries = entries.map(|read| read.value.clone().unwrap_or_default());
        let wrong = |why| anyhow::anyhow!("task {partition}: {why}");
        translate::journal(&mut task, entries, &parameters, |version| known.contains(version)).map_err(wrong)?;
        let expected = audit(&task, &parameters);
        auditor::compare_journal(&task, &expected, &parameters).map_err(wrong)?;
        ensure!(
            expected.dead_letters.is_empty(),
            "task {partition}: dead letters are expected"
        );
        let came: Vec<&Read> = outputs.iter().filter(of_task).collect();
        let codes = |number: u64| parameters.deploys.iter().find(|deploy| deploy.number == number);
        for (number, must) in expected.outputs.iter().enumerate() {
            let code = codes(must.deploy).map_or(Code::Plain, |deploy| deploy.settings.code);
            let is = came.get(number).with_context(|| {
                format!(
                    "task {partition} has made {} outputs only, of {}",
                    came.len(),
                    expected.outputs.len()
                )
            })?;
            compare(is, must, code).with_context(|| format!("task {partition}, output {number}, at {}", is.offset))?;
            *report.by_code.entry(format!("{code:?}")).or_default() += 1;
            deploys.insert(must.deploy);
            report.looked_up += usize::from(must.looked_up);
        }
        if let Some(more) = came.get(expected.outputs.len()) {
            bail!("task {partition} has made {more:?}, which nobody expects");
        }
        report.outputs += came.len();
        report.takeovers += task.takeovers.len();
    }
    report.deploys = deploys.len();
    Ok(())
}

fn parameters(committed: &[Deployed]) -> Result<Parameters> {
    let (first, deploys) = committed.split_first().context("no deploy")?;
    let first = first.settings.clone();
    Ok(Parameters {
        format: Format::Avro,
        dedup_ttl: first.dedup_ttl,
        session_ttl: first.session_ttl,
        pending_ttl: first.pending_ttl,
        label: first.label,
        code: first.code,
        deploys: deploys.to_vec(),
        ..Parameters::default()
    })
}

fn compare(is: &Read, must: &Output, code: Code) -> Result<()> {
    let value = is.value.as_deref().unwrap_or_default();
    let schema = if code == Code::Counted { 5 } else { 4 };
    ensure!(
        value.starts_with(&[0, 0, 0, 0, schema]),
        "it is not of schema {schema}: {is:?}"
    );
    let found = read_enriched(Format::Avro, value).with_context(|| format!("it can't be read: {is:?}"))?;
    let header_free = is.headers.is_empty();
    let same = found == must.value && is.key.as_ref() == Some(&must.key) && is.timestamp == must.timestamp;
    ensure!(same && header_free, "it is {found:?} of {is:?}\nand must be {must:?}");
    Ok(())
}
