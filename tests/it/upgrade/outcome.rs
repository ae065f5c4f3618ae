//! The results of a pipeline, as text.
//!
//! Rule: outputs, dead letters and journal are there byte for byte, in the order of their partitions, with time, key
//! and headers. The times of the journal's records are left out, because some come from the wall clock. So are offsets,
//! because the markers between records depend on when epochs were committed. For the same reason the changelog is
//! replaced by the state that it rebuilds.

use super::fixture::PARTITIONS;
use super::pipeline::Pipeline;
use super::state;
use super::topics::shown;
use pelton::deploy::protocol::DeployState;
use pelton::record::Partition;
use std::fmt::Write;

/// The results of this pipeline.
pub fn of(pipeline: &Pipeline) -> String {
    let mut text = String::new();
    let config = &pipeline.config;
    let topics = [
        config.outputs[0].topic.clone(),
        config.dead_letters_topic(),
        config.journal_topic(),
    ];
    for topic in topics {
        for partition in Partition::all(PARTITIONS) {
            writeln!(text, "== {topic}/{partition}").expect("text");
            for record in pipeline.committed(&topic, partition) {
                if topic != config.journal_topic() {
                    write!(text, "{}\t", record.timestamp).expect("text");
                }
                let (key, value) = (shown(record.key.as_deref()), shown(record.value.as_deref()));
                write!(text, "{key}\t{value}").expect("text");
                for (name, value) in &record.headers {
                    write!(text, "\t{name}={}", shown(Some(value))).expect("text");
                }
                text.push('\n');
            }
        }
    }
    for task in Partition::all(PARTITIONS) {
        let records = pipeline.changes(task).into_iter();
        let state = state::of(records.map(|record| record.value.unwrap_or_default()));
        write!(text, "== state of task {task}\n{state}").expect("text");
    }
    writeln!(text, "== offsets of the group").expect("text");
    for ((topic, partition), offset) in pipeline.cluster.group_offsets(&config.name) {
        writeln!(text, "{topic}/{partition}\t{offset}").expect("text");
    }
    text + &control(pipeline)
}

/// The deploys and the shadow.
fn control(pipeline: &Pipeline) -> String {
    let mut text = String::from("== control topic\n");
    let reader = pipeline.author("a reader").read().expect("a control topic");
    let control = reader.control();
    for known in control.deploys() {
        let state = match &known.state {
            DeployState::Open => "open".into(),
            DeployState::Committed(at) => format!("committed from {at} on"),
            DeployState::Cancelled(why) => format!("cancelled: {why}"),
            DeployState::Withdrawn(at, why) => format!("withdrawn, from {at} on: {why}"),
        };
        writeln!(
            text,
            "deploy {}\t{}\t{state}",
            known.deploy.number, known.deploy.settings
        )
        .expect("text");
    }
    for task in Partition::all(PARTITIONS) {
        writeln!(text, "task {task} has taken over deploy {}", control.taken(task)).expect("text");
    }
    if let Some(known) = control.shadows().last() {
        let settings = &known.shadow.deploy.settings;
        writeln!(text, "shadow {}\t{settings}\tover: {:?}", known.number(), known.over).expect("text");
        for (task, report) in &known.tasks {
            let mut report = report.clone();
            // CPU time varies, and is counted for whole epochs.
            (report.seen.live_nanos, report.seen.shadow_nanos) = (0, 0);
            (report.seen.live_inputs, report.seen.shadow_inputs) = (0, 0);
            let report = serde_json::to_string(&report).expect("a report is JSON");
            writeln!(text, "task {task}\t{report}").expect("text");
        }
    }
    text
}
