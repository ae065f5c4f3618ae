//! The inputs of a task that are not in the input topics, as they stand in the journal.
//!
//! Rule: whatever influences a result and is not in the logs by nature is written here first, in the transaction of its
//! effects, and is an input like any other. Recovery never reads the journal (the meta holds what is needed); a replay
//! from the start follows it.

use crate::record::encoding::{Encoding, Unreadable};
use crate::record::{Millis, Number, Offset, Rank, StepKey, VersionId};
use serde::{Deserialize, Serialize};

/// Of every entry. Version 1 was never in a release.
const FORMAT: Encoding = Encoding {
    what: "a journal entry",
    newest: 2,
    oldest: 2,
};

/// One journaled input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// The partition's watermark moves although no record came: it holds before the record at `position`.
    Heartbeat {
        /// Which input.
        rank: Rank,
        /// The next offset of the partition.
        position: Offset,
        /// The heartbeat.
        time: Millis,
    },
    /// The record at `offset` can't be read, which was decided by something else than the log.
    Verdict {
        /// Which input.
        rank: Rank,
        /// Which record.
        offset: Offset,
        /// Why.
        verdict: Verdict,
    },
    /// Stands right after `anchor`, as number `sequence` of those that stand there.
    After {
        /// The last step taken when it came.
        anchor: StepKey,
        /// From 0 on.
        sequence: u64,
        /// What came.
        what: Happening,
    },
    /// The rules trapped on this step, twice; it was sent to the dead letters.
    Trapped {
        /// The step; for a reply, its anchor.
        step: StepKey,
        /// For a reply: its sequence number.
        sequence: Option<u64>,
        /// The version of the rules.
        version: [u8; 32],
        /// What the trap said.
        reason: String,
    },
}

/// What can stand after a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Happening {
    /// A lookup has ended.
    Reply {
        /// Id of the lookup.
        id: Box<[u8]>,
        /// What came of it.
        answer: Ending,
    },
    /// This version of the rules from here on.
    Rules {
        /// SHA-256 over component and settings.
        version: VersionId,
        /// Number of the deploy.
        number: Number,
    },
}

/// How a lookup ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// The reply as it came, not decoded.
    Body(Vec<u8>),
    /// The service says that there is nothing.
    Absent,
    /// No answer.
    Unavailable,
}

/// Why a record can't be read, where the log alone does not say so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Its time is further than `max_ahead` beyond the wall clock.
    TooFarAhead,
    /// The registry did not know its schema id.
    UnknownSchema(u32),
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Verdict::TooFarAhead => write!(f, "its time is further ahead of the clock than max_ahead allows"),
            Verdict::UnknownSchema(id) => write!(f, "the registry knows no schema with id {id}"),
        }
    }
}

impl Entry {
    /// As it stands in the topic; appended.
    pub fn encode(&self, into: &mut Vec<u8>) {
        into.push(FORMAT.newest);
        // It can't fail: plain data into a growing vector.
        let bytes = postcard::to_stdvec(self).expect("plain data");
        into.extend_from_slice(&bytes);
    }

    /// From the topic.
    pub fn decode(bytes: &[u8]) -> Result<Entry, Unreadable> {
        let (_, rest) = FORMAT.open(bytes)?;
        FORMAT.read(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back() {
        let anchor = StepKey::Timer {
            time: 7,
            key: (*b"k").into(),
            kind: 1,
            tag: (*b"t").into(),
        };
        let reply = Happening::Reply {
            id: (*b"id").into(),
            answer: Ending::Body(b"{}".to_vec()),
        };
        for entry in [
            Entry::Heartbeat {
                rank: 2,
                position: 10,
                time: -5,
            },
            Entry::Verdict {
                rank: 0,
                offset: 3,
                verdict: Verdict::UnknownSchema(9),
            },
            Entry::After {
                anchor: anchor.clone(),
                sequence: 1,
                what: reply,
            },
            Entry::After {
                anchor: StepKey::Start,
                sequence: 0,
                what: Happening::Rules {
                    version: [3; 32],
                    number: 2,
                },
            },
            Entry::Trapped {
                step: anchor,
                sequence: None,
                version: [1; 32],
                reason: "unreachable".into(),
            },
        ] {
            let mut bytes = vec![];
            entry.encode(&mut bytes);
            assert_eq!(Entry::decode(&bytes), Ok(entry));
        }
        let newer = Entry::decode(&[9, 1]).expect_err("an unknown version").to_string();
        assert!(newer.starts_with("a journal entry has format version 9"), "{newer}");
    }
}
