//! The layout of a pipeline: everything that the order of steps and the placement of keys depend on. Made once, at the
//! start.
//!
//! Rule: results are a function of the logs, the journal and the layout. Every meta contains the layout's fingerprint,
//! and a task with another fingerprint is not opened.

use crate::config::{Config, OnDataLoss, TimeSource};
use crate::log::Topics;
use crate::record::{Millis, TopicIx};
use std::path::PathBuf;
use std::time::Duration;

/// What all tasks of a pipeline know about it.
#[derive(Clone, Debug)]
pub struct Layout {
    /// All topics of the pipeline: the inputs by rank, then the outputs, then the owned topics.
    pub topics: Topics,
    /// Inputs by rank. The index is also that of the topic.
    pub inputs: Vec<InputLayout>,
    /// The first output topic, which comes after those of the inputs.
    pub outputs: TopicIx,
    /// The topic of the deltas.
    pub changelog: TopicIx,
    /// The topic of journaled inputs.
    pub journal: TopicIx,
    /// The topic of refused inputs.
    pub dead_letters: TopicIx,
    /// The topic of versions and decisions. It has one partition for all tasks.
    pub control: TopicIx,
    /// Number of partitions of every input, and so of tasks.
    pub partitions: i32,
    /// Hash of everything that the order of steps depends on.
    pub fingerprint: u64,
    /// How many bytes of waiting records an input may keep in memory.
    pub buffer_bytes: usize,
    /// The folder for records beyond that.
    pub scratch: PathBuf,
}

/// One input.
#[derive(Clone, Debug)]
pub struct InputLayout {
    /// As in [`crate::config::InputConfig`].
    pub out_of_orderness: Millis,
    /// As in [`crate::config::InputConfig`].
    pub max_ahead: Millis,
    /// As in [`crate::config::InputConfig`].
    pub idle_after: Duration,
    /// As in [`crate::config::InputConfig`].
    pub on_data_loss: OnDataLoss,
}

impl Layout {
    /// The layout of a pipeline whose inputs have this many partitions.
    pub fn new(config: &Config, partitions: i32) -> Layout {
        let owned = [
            config.changelog_topic(),
            config.journal_topic(),
            config.dead_letters_topic(),
            config.control_topic(),
        ];
        let mut topics: Vec<String> = config.inputs.iter().map(|input| input.topic.clone()).collect();
        let outputs = TopicIx::at(topics.len());
        topics.extend(config.outputs.iter().map(|output| output.topic.clone()));
        let first_owned = topics.len();
        let owned_topic = |nth: usize| TopicIx::at(first_owned + nth);
        topics.extend(owned);
        let inputs = config
            .inputs
            .iter()
            .map(|input| InputLayout {
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
            changelog: owned_topic(0),
            journal: owned_topic(1),
            dead_letters: owned_topic(2),
            control: owned_topic(3),
            partitions,
            fingerprint: fingerprint(config, partitions),
            buffer_bytes: config.epoch.buffer_bytes,
            scratch: config.state.dir.clone().unwrap_or_else(std::env::temp_dir),
        }
    }
}

/// Hash of everything that decides the order: inputs, ranks, event times, out-of-orderness, `max_ahead`, partitions,
/// the hash of keys.
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
