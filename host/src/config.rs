//! The pipeline's file, once it is checked: everything the other modules may ask for, with its default filled in.
//!
//! Rule: raw text becomes a [`Config`] once, at start; after that nothing is parsed or half-checked again. Reading never
//! stops at the first mistake: each one is a [`Finding`], with its key and the cure.

mod finding;
mod overlay;
pub mod properties;
mod read;
mod section;
mod tables;
#[cfg(test)]
mod tests;
mod topics;
mod units;

pub(crate) use finding::without_password;
pub use finding::{Finding, Level};
pub use topics::OwnedTopic;
pub use units::{parse_duration, parse_size};

use crate::record::Millis;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Name; prefix of the owned topics, and the group id.
    pub name: String,
    /// Which one of several processes this is: part of its transactional ids and its `group.instance.id`.
    pub instance: String,
    /// Worker threads of this process.
    pub workers: usize,
    /// Librdkafka properties, as given (`bootstrap.servers`, `security.protocol`, ...).
    pub kafka: Vec<(String, String)>,
    /// Where schemas come from; none: JSON topics only.
    pub schemas: Option<SchemaSource>,
    /// In order of rank.
    pub inputs: Vec<Input>,
    /// By index.
    pub outputs: Vec<Output>,
    /// By index.
    pub lookups: Vec<Lookup>,
    /// The guest.
    pub rules: RulesFile,
    /// Local state.
    pub state: State,
    /// Commit pace and bounds.
    pub epoch: Epoch,
    /// The topics that Pelton owns.
    pub topics: Topics,
    /// Address of metrics, health and `rules deploy`; none: not served.
    pub http: Option<std::net::SocketAddr>,
    /// How the log on standard error looks.
    pub log: LogFormat,
}

impl Config {
    /// Reads a pipeline's file, with `key=value` overrides. Err: everything that must be mended, never only the first.
    pub fn load(path: &Path, sets: &[String]) -> Result<Config, Vec<Finding>> {
        match Config::examine(path, sets) {
            (Some(config), _) => Ok(config),
            (None, findings) => Err(findings),
        }
    }

    /// As [`load`](Config::load), with the warnings too. There is a config unless a finding is an error.
    pub fn examine(path: &Path, sets: &[String]) -> (Option<Config>, Vec<Finding>) {
        match std::fs::read_to_string(path) {
            Ok(text) => read::config(&text, path.parent().unwrap_or(Path::new("")), sets, &|name| {
                std::env::var(name).ok()
            }),
            Err(error) => {
                let cure =
                    format!("can't be read ({error}); name an existing file: pelton config > pelton.toml makes one");
                (None, vec![Finding::error("(file)", path.display().to_string(), cure)])
            }
        }
    }
}

/// How the log on standard error looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// An input topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Name of the stream, as the rules call it.
    pub name: String,
    /// Its topic.
    pub topic: String,
    /// How its values are written.
    pub format: Format,
    /// Where the event time comes from.
    pub time: TimeSource,
    /// How far behind the highest event time a record may be without being late, in milliseconds.
    pub out_of_orderness: Millis,
    /// A record further than this (milliseconds) beyond the broker's append time, or the wall clock, is a dead letter.
    pub max_ahead: Millis,
    /// Silence for so long makes a partition idle.
    pub idle_after: Duration,
    /// Where to begin when the group has no offset and the task no state.
    pub start: Start,
    /// What to do when records are gone that the task has not read.
    pub on_data_loss: OnDataLoss,
}

/// What to do when the log begins behind the first record that a task still needs (retention was faster).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDataLoss {
    /// The task stops with a message.
    Stop,
    /// It goes on with the first record that is there.
    Skip,
}

/// How values are written.
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
    /// A field of the value, at top level of each record of the schema: Avro `timestamp-millis` (or -micros), JSON text in
    /// ISO-8601 or a number of milliseconds.
    Field(String),
    /// The record's own timestamp.
    Timestamp,
}

/// Where a new group begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the first record that is there.
    Earliest,
    /// Behind the last one.
    Latest,
}

/// An output topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// As the rules call it.
    pub name: String,
    /// Its topic.
    pub topic: String,
    /// How values are written.
    pub format: Format,
}

/// An external service.
#[derive(Clone, Debug, PartialEq)]
pub struct Lookup {
    /// As the rules call it.
    pub name: String,
    /// URL with `{field}` places, percent-encoded from the request's fields.
    pub url: String,
    /// Headers of every call, as (name, value).
    pub headers: Vec<(String, String)>,
    /// How replies are written.
    pub format: Format,
    /// For one try.
    pub timeout: Duration,
    /// Tries after the first.
    pub retries: u32,
    /// Before the second try; doubles with each, up to 30 s.
    pub backoff: Duration,
    /// Calls at the same time, at most.
    pub in_flight: usize,
    /// So many failures in a row open the breaker; for `breaker_pause` every question is unavailable at once.
    pub breaker_failures: u32,
    /// See `breaker_failures`.
    pub breaker_pause: Duration,
    /// A longer body is no answer, in bytes.
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

/// The guest and what it gets.
#[derive(Clone, Debug, PartialEq)]
pub struct RulesFile {
    /// A component, or a core module for wasm32-unknown-unknown.
    pub file: PathBuf,
    /// The JSON object that `describe` gets.
    pub settings: serde_json::Value,
    /// Linear memory of one instance, in bytes.
    pub memory_limit: usize,
    /// For one call, without its share by batch size.
    pub time_limit: Duration,
    /// Inputs handed over in one call, at most.
    pub batch: usize,
    /// A deploy that the tasks have not all answered within this is cancelled.
    pub deploy_limit: Duration,
    /// How much a deployed version may be at fault, on one worker, before it is withdrawn.
    pub budget: Budget,
}

/// What a version may take, on one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// So many inputs that go to the dead letters by its fault; 0: any number.
    pub faults: usize,
    /// So much time in calls that took too long; 0: any.
    pub time: Duration,
    /// Within so many inputs.
    pub window: u64,
}

/// Local state.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Data directory of this instance; none: memory only, restored from the changelog at each start.
    pub dir: Option<PathBuf>,
    /// Flush to disk when the unflushed log of a task has so many bytes (or the size of its state, if that is more).
    pub flush_bytes: u64,
    /// The changelog is compressed as the outputs are.
    pub compress: bool,
}

/// The pace of commits and the bounds of what waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Epoch {
    /// An open epoch is committed after so long.
    pub interval: Duration,
    /// Or when it has written so many bytes.
    pub bytes: usize,
    /// Fetched records that wait for the watermark, per stream and task, in bytes; beyond it the stream is paused; the
    /// slowest never is: what of it is beyond goes to a scratch file, in [`State::dir`], else in the system's temporary folder.
    pub buffer_bytes: usize,
    /// The broker aborts a transaction that is open for so long (`transaction.timeout.ms`). A take-over by another
    /// instance waits up to so long and 10 s.
    pub transaction_timeout: Duration,
}

/// The topics that Pelton owns: PIPELINE-changelog, -journal, -control, -dead-letters.
#[derive(Clone, Debug, PartialEq)]
pub struct Topics {
    /// The journal is kept for so long: as long as the inputs are.
    pub journal_retention: Duration,
    /// Dead letters are kept for so long.
    pub dead_letter_retention: Duration,
}
