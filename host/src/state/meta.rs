//! The meta: what a task needs besides its state in order to continue. It is the first record of each delta.
//!
//! Rule: recovery needs only the meta of the last committed delta and the state from the changelog. It reads the inputs
//! from `next`, recomputes effective times, and skips every step that is not after `last`.

use crate::record::encoding::{META, UnreadableFormat};
use crate::record::journal::Verdict;
use crate::record::watermark::PartitionClock;
use crate::record::{Millis, Number, Offset, StepKey, VersionId};
use serde::{Deserialize, Serialize};

/// Where a task is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// Hash of the configuration that the order of steps depends on.
    pub fingerprint: u64,
    /// The input partitions, by rank.
    pub inputs: Vec<InputMeta>,
    /// The last step that was taken.
    pub last: StepKey,
    /// How many journaled inputs have come after `last`.
    pub sequence: u64,
    /// The version of the rules that took the last steps: SHA-256 of component and settings.
    pub version: [u8; 32],
    /// The deploy by which that version took over.
    pub deployed: Number,
    /// The deploy that it holds for, while that is undecided.
    pub prepared: Option<PreparedDeploy>,
    /// Cursor of the sweep.
    pub sweep: Vec<u8>,
    /// If the task follows a journal that exists already: up to which offset. Until then it decides nothing itself.
    pub follows: Option<Offset>,
    /// Changelog position where the sweep's current round began. Once the round is complete, the log from there
    /// rebuilds the state.
    pub round: Offset,
}

/// A deploy that a task holds for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreparedDeploy {
    /// Its number.
    pub number: Number,
    /// Its version of the rules.
    pub version: VersionId,
    /// The task takes no step at or after this time.
    pub until: Millis,
}

/// Where a task is in one input partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputMeta {
    /// The first unprocessed record. This is also the committed offset.
    pub next: Offset,
    /// The partition's clock just before `next`.
    pub clock: PartitionClock,
    /// The highest heartbeat for each position from `next` on.
    pub heartbeats: Vec<(Offset, Millis)>,
    /// The verdicts for offsets from `next` on.
    pub verdicts: Vec<(Offset, Verdict)>,
    /// How far the partition was read. New heartbeats and verdicts are only made from there on.
    pub read: Offset,
}

/// The permanent ids of names. An id is an index into a list, and never gets another name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// The function that places keys. State with another one is refused.
    pub hash: String,
    /// Stores, by id.
    pub stores: Vec<String>,
    /// Kinds of timers, by id.
    pub timers: Vec<String>,
    /// Lookups, by id.
    pub lookups: Vec<String>,
    /// Schemas of stored values, by id.
    pub schemas: Vec<String>,
}

impl Names {
    /// The id of a name in one of the lists. A new name is added.
    pub fn id(list: &mut Vec<String>, name: &str) -> u16 {
        let known = list.iter().position(|known| known == name);
        let id = known.unwrap_or_else(|| {
            list.push(name.to_owned());
            list.len() - 1
        });
        assert!(id <= usize::from(u16::MAX), "a pipeline with 65,536 names");
        id as u16
    }
}

/// Encodes a value for a delta.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    // Plain data into a growing vector can't fail.
    postcard::to_extend(value, vec![META.newest]).expect("plain data")
}

/// Decodes a value of a delta.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, UnreadableFormat> {
    let (_, rest) = META.open(bytes)?;
    META.read(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Failure;

    #[test]
    fn an_unknown_version_is_refused_in_words() {
        let names = encode(&Names::default());
        assert_eq!(decode(&names), Ok(Names::default()));
        let newer = decode::<Names>(&[&[3][..], &names[1..]].concat()).expect_err("an unknown version");
        assert!(
            newer
                .to_string()
                .starts_with("a task's meta in its changelog has format version 3"),
            "{newer}"
        );
        assert!(matches!(newer.into(), Failure::Fatal(_)));
        // A field that nobody knows means another format, even if the rest can be read.
        assert!(decode::<Names>(&[&names[..], &[0]].concat()).is_err());
    }
}
