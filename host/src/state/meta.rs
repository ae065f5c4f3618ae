//! What a task must know to go on, beside its state: written first in each of its deltas.
//!
//! Rule: the meta of the last committed delta, and the state that the changelog rebuilds, are all that recovery needs; it
//! re-reads the inputs from `next`, recomputes effective times, and skips what is not above `last`.

use crate::record::encoding::{Encoding, Unreadable};
use crate::record::journal::Verdict;
use crate::record::watermark::Clock;
use crate::record::{Millis, Number, Offset, StepKey, VersionId};
use serde::{Deserialize, Serialize};

/// Of the meta, the names and what else is packed into them. Version 1 was never in a release.
const FORMAT: Encoding = Encoding {
    what: "a task's meta in its changelog",
    newest: 2,
    oldest: 2,
};

/// Position of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// Of the configuration that the order depends on.
    pub fingerprint: u64,
    /// By rank.
    pub inputs: Vec<InputMeta>,
    /// The last step taken.
    pub last: StepKey,
    /// How many journaled inputs stand after `last` already.
    pub sequence: u64,
    /// The rules that made the last steps: SHA-256 over component and settings.
    pub version: [u8; 32],
    /// The deploy of that version that it took over.
    pub deployed: Number,
    /// The deploy that it holds for, until that is decided.
    pub prepared: Option<Prepared>,
    /// Where the sweep is.
    pub sweep: Vec<u8>,
    /// The journal is being followed up to there: the rest of it decides, nothing is decided anew. None: it is not.
    pub follows: Option<Offset>,
    /// Changelog position at which the sweep's round began: from there on the log rebuilds the state, once it is complete.
    pub round: Offset,
}

/// A task holds for a deploy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// Which one.
    pub number: Number,
    /// Its version.
    pub version: VersionId,
    /// No step of this time or a later one is taken.
    pub until: Millis,
}

/// Position of one input partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputMeta {
    /// The first unprocessed record; also the committed offset.
    pub next: Offset,
    /// The clock just before `next`.
    pub clock: Clock,
    /// The highest heartbeat at each position at or behind `next`.
    pub heartbeats: Vec<(Offset, Millis)>,
    /// Verdicts at offsets at or behind `next`.
    pub verdicts: Vec<(Offset, Verdict)>,
    /// How far it was read: new heartbeats and verdicts come only from there on.
    pub read: Offset,
}

/// Permanent ids: an id is an index, and is never given to another name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// The function that places keys: another one is refused.
    pub hash: String,
    /// Stores.
    pub stores: Vec<String>,
    /// Kinds of timers.
    pub timers: Vec<String>,
    /// Lookups.
    pub lookups: Vec<String>,
    /// Schemas that stored values were written with.
    pub schemas: Vec<String>,
}

impl Names {
    /// The id of a name in one of the lists; new ones are added.
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

/// As it stands in a delta.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    // It can't fail: plain data into a growing vector.
    postcard::to_extend(value, vec![FORMAT.newest]).expect("plain data")
}

/// From a delta.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Unreadable> {
    let (_, rest) = FORMAT.open(bytes)?;
    FORMAT.read(rest)
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
        // A field that nobody knows is no reason to guess.
        assert!(decode::<Names>(&[&names[..], &[0]].concat()).is_err());
    }
}
