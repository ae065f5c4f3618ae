//! The topics that Pelton owns, with the settings that correctness depends on.
//!
//! Rule: this list is used both to create topics and to check them.

use super::Config;
use std::time::Duration;

/// A topic that Pelton creates. It is refused if its settings differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedTopic {
    /// Full name, such as PIPELINE-changelog.
    pub name: String,
    /// Number of partitions.
    pub partitions: i32,
    /// Settings that it must have.
    pub required: Vec<(&'static str, String)>,
    /// Settings that it is created with, and that you may change later.
    pub preferred: Vec<(&'static str, String)>,
}

impl Config {
    /// Name of the changelog, which is the truth about the state.
    pub fn changelog_topic(&self) -> String {
        format!("{}-changelog", self.name)
    }

    /// Name of the journal, which has the inputs that are not in the input topics.
    pub fn journal_topic(&self) -> String {
        format!("{}-journal", self.name)
    }

    /// Name of the control topic, which brings versions and decisions to every instance.
    pub fn control_topic(&self) -> String {
        format!("{}-control", self.name)
    }

    /// Name of the topic for refused inputs.
    pub fn dead_letters_topic(&self) -> String {
        format!("{}-dead-letters", self.name)
    }

    /// All owned topics, for inputs with this many partitions.
    pub fn owned_topics(&self, partitions: i32) -> [OwnedTopic; 4] {
        let delete = ("cleanup.policy", "delete".to_string());
        // Retention counts from the time of writing. With the times of the records, a backfill would be deleted at
        // once.
        let append_time = ("message.timestamp.type", "LogAppendTime".to_string());
        let retention = |duration: Duration| ("retention.ms", duration.as_millis().to_string());
        [
            OwnedTopic {
                name: self.changelog_topic(),
                partitions,
                // Only DeleteRecords removes old parts, after the sweep has passed them.
                required: vec![
                    delete.clone(),
                    ("retention.ms", "-1".into()),
                    ("retention.bytes", "-1".into()),
                ],
                // DeleteRecords frees only whole segments. Small ones keep the log near the size of the state.
                preferred: vec![("segment.bytes", (64u64 << 20).to_string())],
            },
            OwnedTopic {
                name: self.journal_topic(),
                partitions,
                required: vec![delete.clone(), ("retention.bytes", "-1".into()), append_time.clone()],
                preferred: vec![retention(self.topics.journal_retention)],
            },
            OwnedTopic {
                name: self.control_topic(),
                partitions: 1,
                required: vec![("cleanup.policy", "compact".into())],
                preferred: vec![],
            },
            OwnedTopic {
                name: self.dead_letters_topic(),
                partitions,
                required: vec![delete, append_time],
                preferred: vec![retention(self.topics.dead_letter_retention)],
            },
        ]
    }
}
