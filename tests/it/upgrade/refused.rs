//! Data that a newer Pelton has written ends this one, with a message: which format, which version, and what to do. Two
//! versions may meet in one group, and this one must not guess at anything that the newer one has written.
//!
//! Rule: what is refused is still there afterwards.

use super::pipeline::{Pipeline, Process};
use crate::deploys::fleet::eventually;
use pelton::log::embedded::NewRecord;
use pelton::record::Partition;
use pelton_tests::stage::START;

/// The reason why an instance has ended by itself.
fn end(process: Process) -> String {
    eventually("it ends", || process.running.has_ended());
    process.running.stop().expect_err("it can't go on").to_string()
}

/// Starts an instance with this record at the end of a topic.
fn refused(pipeline: &Pipeline, topic: &str, value: &[u8]) -> String {
    let record = NewRecord {
        value: Some(value),
        timestamp: START,
        ..NewRecord::default()
    };
    let appended = pipeline.cluster.append(topic, Partition(0), record);
    appended.expect("a topic of the pipeline");
    end(pipeline.start("a"))
}

#[track_caller]
fn says(why: &str, parts: &[&str]) {
    for part in parts {
        assert!(why.contains(part), "{part:?} is not in: {why}");
    }
}

/// The first record of a task's last delta, as the next version of the meta would look.
fn meta(version: u8) -> Vec<u8> {
    let mut delta = pelton::state::delta::Delta::new();
    delta.meta(&[version, 1, 2, 3]);
    let record = delta.records().next().map(<[u8]>::to_vec);
    record.expect("one record")
}

#[test]
fn a_newer_meta() {
    let pipeline = Pipeline::load("waiting.topics");
    let changelog = pipeline.config.changelog_topic();
    let why = refused(&pipeline, &changelog, &meta(3));
    says(
        &why,
        &[
            "a task's meta in its changelog",
            "format version 3",
            "Upgrade this instance",
        ],
    );
    assert!(!why.contains("corrupted"), "{why}");
}

#[test]
fn an_older_meta() {
    let pipeline = Pipeline::load("waiting.topics");
    let changelog = pipeline.config.changelog_topic();
    let why = refused(&pipeline, &changelog, &meta(1));
    says(
        &why,
        &[
            "a task's meta in its changelog",
            "format version 1",
            "too old",
            "in between",
        ],
    );
}

#[test]
fn a_newer_delta() {
    let pipeline = Pipeline::load("waiting.topics");
    let changelog = pipeline.config.changelog_topic();
    let why = refused(&pipeline, &changelog, &[2, 0, 0]);
    says(
        &why,
        &["a record of state changes", "format version 2", "Upgrade this instance"],
    );
}

/// A journal is read only where it is followed: where there is no state.
#[test]
fn a_newer_journal() {
    let pipeline = Pipeline::new();
    let journal = pipeline.config.journal_topic();
    let why = refused(&pipeline, &journal, &[3, 0, 0]);
    says(&why, &["a journal entry", "format version 3", "Upgrade this instance"]);
}

/// On the control topic two versions meet that run at the same time. The older one ends, at its start or while it runs.
#[test]
fn a_newer_control_record() {
    let pipeline = Pipeline::load("waiting.topics");
    let control = pipeline.config.control_topic();
    let running = pipeline.start("a");
    eventually("all tasks", || running.running.statuses().len() == 2);
    let record = NewRecord {
        key: Some(b"x"),
        value: Some(&[2, 99, 1]),
        timestamp: START,
        headers: &[],
    };
    let appended = pipeline.cluster.append(&control, Partition(0), record);
    appended.expect("a control topic");
    for process in [running, pipeline.start("b")] {
        let words = [
            "money-control",
            "a record of the control topic",
            "format version 2",
            "Upgrade this instance",
        ];
        says(&end(process), &words);
    }
}
