//! A topic of the cluster: its settings and its partitions.

use super::partition::PartitionLog;

/// Maximum size of a record, unless `max.message.bytes` says otherwise. This is Kafka's default.
const MAX_MESSAGE_BYTES: usize = 1_048_588;

/// Index of a topic in the cluster.
pub(super) type TopicNo = usize;

pub(super) struct Topic {
    pub name: String,
    pub id: String,
    pub config: Vec<(String, String)>,
    pub partitions: Vec<PartitionLog>,
    /// Whether the cluster sets the timestamps.
    pub append_time: bool,
    pub max_message_bytes: usize,
    pub retention_bytes: Option<usize>,
}

impl Topic {
    pub fn new(name: &str, id: String, partitions: i32, config: &[(&str, &str)]) -> Topic {
        let value = |key: &str| {
            config
                .iter()
                .rev()
                .find(|(name, _)| *name == key)
                .map(|(_, value)| *value)
        };
        Topic {
            name: name.to_owned(),
            id,
            config: config
                .iter()
                .map(|(key, value)| (key.to_string(), value.to_string()))
                .collect(),
            partitions: (0..partitions).map(|_| PartitionLog::default()).collect(),
            append_time: value("message.timestamp.type") == Some("LogAppendTime"),
            max_message_bytes: value("max.message.bytes")
                .and_then(|n| n.parse().ok())
                .unwrap_or(MAX_MESSAGE_BYTES),
            // -1, the default, does not parse, so records are kept for ever.
            retention_bytes: value("retention.bytes").and_then(|n| n.parse().ok()),
        }
    }

    /// The value of a setting, if it was given.
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.config
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }
}
