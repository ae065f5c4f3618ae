//! The journal's entries: inputs of a task that are not in its input topics.
//!
//! Rule: whatever influences a result but is not in the input topics is first written here, in the transaction of its
//! effects. From then on it is an input like any other. Recovery does not read the journal, because the meta has what
//! it needs. A replay from the start follows it.

use crate::record::encoding::{JOURNAL, UnreadableFormat};
use crate::record::{Millis, Number, Offset, Rank, StepKey, VersionId};
use serde::{Deserialize, Serialize};

/// A journaled input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JournalEntry {
    /// Moves a partition's watermark although no record came. It applies before the record at `position`.
    Heartbeat {
        /// Rank of the input.
        rank: Rank,
        /// Offset of the partition's next record.
        position: Offset,
        /// What the watermark is raised to.
        time: Millis,
    },
    /// The record at `offset` can't be read, for a reason that the log alone does not show.
    Verdict {
        /// Rank of the input.
        rank: Rank,
        /// Offset of the record.
        offset: Offset,
        /// Why it can't be read.
        verdict: Verdict,
    },
    /// An input that comes right after the step `anchor`, as number `sequence` of those that come after it.
    After {
        /// The last step that was taken when the input came.
        anchor: StepKey,
        /// Counts from 0.
        sequence: u64,
        /// The input.
        what: JournalInput,
    },
    /// The rules trapped on this step twice, so it went to the dead letters.
    Trapped {
        /// The step. For a reply, the step that it came after.
        step: StepKey,
        /// For a reply, its sequence number after that step.
        sequence: Option<u64>,
        /// The version of the rules that trapped.
        version: [u8; 32],
        /// The message of the trap.
        reason: String,
    },
}

/// An input that can come after a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JournalInput {
    /// A lookup has ended.
    Reply {
        /// Id of the lookup.
        id: Box<[u8]>,
        /// How it ended.
        answer: LookupEnding,
    },
    /// The rules are this version from here on.
    Rules {
        /// SHA-256 over component and settings.
        version: VersionId,
        /// Number of the deploy.
        number: Number,
    },
}

/// How a lookup ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LookupEnding {
    /// The reply's body as it came, not decoded.
    Body(Vec<u8>),
    /// The service answered that there is nothing.
    Absent,
    /// There was no answer.
    Unavailable,
}

/// Why a record can't be read, if the log alone does not show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Its time is further beyond the clock than `max_ahead` allows.
    TooFarAhead,
    /// The registry did not know the record's schema id.
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

impl JournalEntry {
    /// Appends the entry in the format of the topic.
    pub fn encode(&self, into: &mut Vec<u8>) {
        into.push(JOURNAL.newest);
        // Plain data into a growing vector can't fail.
        let bytes = postcard::to_stdvec(self).expect("plain data");
        into.extend_from_slice(&bytes);
    }

    /// Decodes an entry of the topic.
    pub fn decode(bytes: &[u8]) -> Result<JournalEntry, UnreadableFormat> {
        let (_, rest) = JOURNAL.open(bytes)?;
        JOURNAL.read(rest)
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
        let reply = JournalInput::Reply {
            id: (*b"id").into(),
            answer: LookupEnding::Body(b"{}".to_vec()),
        };
        for entry in [
            JournalEntry::Heartbeat {
                rank: Rank(2),
                position: Offset(10),
                time: -5,
            },
            JournalEntry::Verdict {
                rank: Rank(0),
                offset: Offset(3),
                verdict: Verdict::UnknownSchema(9),
            },
            JournalEntry::After {
                anchor: anchor.clone(),
                sequence: 1,
                what: reply,
            },
            JournalEntry::After {
                anchor: StepKey::Start,
                sequence: 0,
                what: JournalInput::Rules {
                    version: [3; 32],
                    number: 2,
                },
            },
            JournalEntry::Trapped {
                step: anchor,
                sequence: None,
                version: [1; 32],
                reason: "unreachable".into(),
            },
        ] {
            let mut bytes = vec![];
            entry.encode(&mut bytes);
            assert_eq!(JournalEntry::decode(&bytes), Ok(entry));
        }
        let newer = JournalEntry::decode(&[9, 1])
            .expect_err("an unknown version")
            .to_string();
        assert!(newer.starts_with("a journal entry has format version 9"), "{newer}");
    }
}
