//! What of a pipeline a task's order and place depend on, and what it may use; made once, at start.
//!
//! Rule: results are a function of the logs, the journal and what order and place depend on. The fingerprint of that stands
//! in every meta; a task with another one is not opened.

use crate::config::{Config, OnDataLoss, TimeSource};
use crate::log::Topics;
use crate::record::{Millis, TopicIx};
use std::path::PathBuf;
use std::time::Duration;

/// See the module.
#[derive(Clone, Debug)]
pub struct Layout {
    /// All topics of the pipeline: inputs by rank first, then outputs, then the owned ones.
    pub topics: Topics,
    /// By rank; the index is also the topic's.
    pub inputs: Vec<InputLayout>,
    /// Number of inputs: the index of the first output topic.
    pub outputs: TopicIx,
    /// The log of deltas.
    pub changelog: TopicIx,
    /// The inputs that are not in the input topics.
    pub journal: TopicIx,
    /// The refused inputs.
    pub dead_letters: TopicIx,
    /// Versions and orders: one partition, for all tasks.
    pub control: TopicIx,
    /// Partitions of every input: number of tasks.
    pub partitions: i32,
    /// See the module.
    pub fingerprint: u64,
    /// Bytes of waiting records that an input may keep in memory.
    pub buffer_bytes: usize,
    /// Folder for those beyond.
    pub scratch: PathBuf,
}

/// One input.
#[derive(Clone, Debug)]
pub struct InputLayout {
    /// Name of the stream.
    pub name: String,
    /// See [`crate::config::Input`].
    pub out_of_orderness: Millis,
    /// See [`crate::config::Input`].
    pub max_ahead: Millis,
    /// See [`crate::config::Input`].
    pub idle_after: Duration,
    /// See [`crate::config::Input`].
    pub on_data_loss: OnDataLoss,
}

impl Layout {
    /// Of a pipeline whose inputs have so many partitions.
    pub fn new(config: &Config, partitions: i32) -> Layout {
        let owned = [
            config.changelog_topic(),
            config.journal_topic(),
            config.dead_letters_topic(),
            config.control_topic(),
        ];
        let mut topics: Vec<String> = config.inputs.iter().map(|input| input.topic.clone()).collect();
        let outputs = topics.len() as TopicIx;
        topics.extend(config.outputs.iter().map(|output| output.topic.clone()));
        let first = topics.len() as TopicIx;
        topics.extend(owned);
        let inputs = config
            .inputs
            .iter()
            .map(|input| InputLayout {
                name: input.name.clone(),
                out_of_orderness: input.out_of_orderness,
                max_ahead: input.max_ahead,
                idle_after: input.idle_after,
                on_data_loss: input.on_data_loss,
            })
            .collect();
        Layout {
            topics: topics.into(),
            inputs,
            outputs,
            changelog: first,
            journal: first + 1,
            dead_letters: first + 2,
            control: first + 3,
            partitions,
            fingerprint: fingerprint(config, partitions),
            buffer_bytes: config.epoch.buffer_bytes,
            scratch: config.state.dir.clone().unwrap_or_else(std::env::temp_dir),
        }
    }
}

/// Of everything that decides the order: inputs, ranks, event times, out-of-orderness, `max_ahead`, partitions, the hash.
fn fingerprint(config: &Config, partitions: i32) -> u64 {
    let mut text = format!("1 {partitions} {}", crate::state::rows::HASH);
    for input in &config.inputs {
        let time = match &input.time {
            TimeSource::Field(field) => format!("field {field}"),
            TimeSource::Timestamp => "timestamp".into(),
        };
        text += &format!(
            "\n{} {} {time} {} {}",
            input.name, input.topic, input.out_of_orderness, input.max_ahead
        );
    }
    crate::state::rows::hash(text.as_bytes())
}
