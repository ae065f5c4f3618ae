//! One pipeline: everything in its file, checked and with defaults filled in.

use crate::record::Millis;
use std::path::PathBuf;
use std::time::Duration;

/// One pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Name of the pipeline. It is also the group id and the prefix of the owned topics.
    pub name: String,
    /// Name of this process within the pipeline. It is part of its transactional ids and its `group.instance.id`.
    pub instance: String,
    /// Worker threads of this process.
    pub workers: usize,
    /// Librdkafka properties, as given (`bootstrap.servers`, `security.protocol`, ...).
    pub kafka: Vec<(String, String)>,
    /// Where schemas come from. Without it, all topics must be JSON.
    pub schemas: Option<SchemaSource>,
    /// Inputs in the order of the file. Their index is their rank.
    pub inputs: Vec<InputConfig>,
    /// Outputs by index.
    pub outputs: Vec<OutputConfig>,
    /// Lookups by index.
    pub lookups: Vec<LookupConfig>,
    /// The rules and their limits.
    pub rules: RulesFile,
    /// Local state.
    pub state: StateConfig,
    /// Commit pace and bounds.
    pub epoch: EpochConfig,
    /// The topics that Pelton owns.
    pub topics: TopicsConfig,
    /// Address for metrics, health and `pelton rules`, if they are served.
    pub http: Option<std::net::SocketAddr>,
    /// Format of the log on standard error.
    pub log: LogFormat,
}

/// Format of the log on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Human,
    /// One JSON object a line.
    Json,
}

/// An input topic.
#[derive(Clone, Debug, PartialEq)]
pub struct InputConfig {
    /// Name of the stream in the rules.
    pub name: String,
    /// Name of the Kafka topic.
    pub topic: String,
    /// Format of the values.
    pub format: Format,
    /// Where the event time comes from.
    pub time: TimeSource,
    /// How far behind the highest event time a record may be without being late, in milliseconds.
    pub out_of_orderness: Millis,
    /// A record further than this (milliseconds) beyond the broker's append time, or the wall clock, is a dead letter.
    pub max_ahead: Millis,
    /// A partition that has been silent for this long is idle.
    pub idle_after: Duration,
    /// Where to start reading if the group has no offset and the task has no state.
    pub start: StartAt,
    /// What to do if records are gone that the task has not read.
    pub on_data_loss: OnDataLoss,
}

/// What to do if retention has removed records that a task still needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDataLoss {
    /// The task stops with a message.
    Stop,
    /// The task goes on with the first record that is left.
    Skip,
}

/// Format of the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Byte 0, schema id, datum.
    Avro,
    /// A JSON object.
    Json,
}

/// Where the event time of a record comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeSource {
    /// A top-level field of the value. In Avro it is `timestamp-millis` or `-micros`; in JSON it is text in ISO-8601, or a number
    /// of milliseconds.
    Field(String),
    /// The record's own timestamp.
    Timestamp,
}

/// Where a new group begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// At the first record in the topic.
    Earliest,
    /// After the last record in the topic.
    Latest,
}

/// An output topic.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputConfig {
    /// Its name in the rules.
    pub name: String,
    /// Name of the Kafka topic.
    pub topic: String,
    /// Format of the values.
    pub format: Format,
}

/// An external service.
#[derive(Clone, Debug, PartialEq)]
pub struct LookupConfig {
    /// Its name in the rules.
    pub name: String,
    /// URL with placeholders `{field}`, which are filled from the request's fields, percent-encoded.
    pub url: String,
    /// Headers of every call, as (name, value).
    pub headers: Vec<(String, String)>,
    /// Format of the replies.
    pub format: Format,
    /// Time-out of one attempt.
    pub timeout: Duration,
    /// Maximum number of attempts after the first one.
    pub retries: u32,
    /// Pause before the second attempt. It doubles with each attempt, up to 30 s.
    pub backoff: Duration,
    /// Maximum number of calls at the same time.
    pub in_flight: usize,
    /// This many consecutive failures open the circuit breaker. Every question is then unavailable at once, for
    /// `breaker_pause`.
    pub breaker_failures: u32,
    /// How long the circuit breaker stays open.
    pub breaker_pause: Duration,
    /// Maximum size of a reply in bytes. A longer one counts as unavailable.
    pub body_limit: usize,
}

/// Where schemas come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaSource {
    /// Base URL of a Confluent-compatible API, with its prefix.
    Registry(String),
    /// Folder of `ID-TOPIC.avsc`.
    Folder(PathBuf),
}

/// The rules and their limits.
#[derive(Clone, Debug, PartialEq)]
pub struct RulesFile {
    /// A component, or a core module for wasm32-unknown-unknown.
    pub file: PathBuf,
    /// The JSON object that is passed to `describe`.
    pub settings: serde_json::Value,
    /// Maximum linear memory of one instance, in bytes.
    pub memory_limit: usize,
    /// Maximum duration of a call. A larger batch gets more.
    pub time_limit: Duration,
    /// Maximum number of inputs in one call.
    pub batch: usize,
    /// A deploy is cancelled if not all tasks have answered within this time.
    pub deploy_limit: Duration,
    /// How many faults a deployed version may have on one worker before it is withdrawn.
    pub budget: Budget,
}

/// Budget of a version on one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Maximum number of inputs that become dead letters because of the version. 0 means no limit.
    pub faults: usize,
    /// Maximum time in calls that took too long. 0 means no limit.
    pub time: Duration,
    /// Number of inputs over which both are counted.
    pub window: u64,
}

/// Local state.
#[derive(Clone, Debug, PartialEq)]
pub struct StateConfig {
    /// Data directory of this instance. Without it, state is in memory only, and each start restores it from the changelog.
    pub dir: Option<PathBuf>,
    /// A task is flushed to disk when its unflushed changelog reaches this size, or the size of its state if that is
    /// larger.
    pub flush_bytes: u64,
    /// Whether the changelog is compressed as the outputs are.
    pub compress: bool,
}

/// When epochs are committed, and how much may wait.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochConfig {
    /// Time after which an open epoch is committed.
    pub interval: Duration,
    /// An epoch that has written this many bytes is committed earlier.
    pub bytes: usize,
    /// Memory for fetched records that wait for the watermark, for each input of a task. An input that exceeds it is
    /// paused. The slowest input is never paused; its excess goes to a scratch file, in [`StateConfig::dir`] or else in the
    /// system's temporary folder.
    pub buffer_bytes: usize,
    /// The broker aborts a transaction that is open for this long (`transaction.timeout.ms`). Another instance takes over after
    /// at most this time and 10 s.
    pub transaction_timeout: Duration,
}

/// The topics that Pelton owns: PIPELINE-changelog, -journal, -control, -dead-letters.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicsConfig {
    /// Retention of the journal. It should be kept as long as the inputs.
    pub journal_retention: Duration,
    /// Retention of the dead letters.
    pub dead_letter_retention: Duration,
}
