//! The records of the control topic.
//!
//! Rule: the topic is compacted, so the key says what may replace what. A task's answer replaces its earlier answer, an
//! instance's report its earlier report, and a chunk the same chunk. Deploys and decisions depend on their order on the
//! topic, so each has a key of its own for ever.

use super::deploy::{Deploy, DeployProgress};
use super::shadow::ShadowRecord;
use crate::record::encoding::{CONTROL, UnreadableFormat};
use crate::record::{Millis, Number, Partition};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Size of a component's chunk in one record. Two such records, with framing, fit into the broker's default limit of 1
/// MiB.
pub const CHUNK_BYTES: usize = 512 << 10;

/// A record, except for chunks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ControlRecord {
    /// A version that should take over.
    Deploy(Deploy),
    /// A decision about a deploy.
    #[serde(rename = "Order")]
    Decision {
        /// Number of the deploy.
        number: Number,
        /// The decision.
        #[serde(rename = "order")]
        decision: Decision,
    },
    /// A task holds for a deploy. Until the decision, it takes no input at or after the deploy's time. If the deploy
    /// has no time, it takes no input after `position`.
    Answer {
        /// Number of the deploy.
        number: Number,
        /// The task.
        task: Partition,
        /// Time of the task's last step. If the deploy has no time, time of the last step that the task may take.
        position: Millis,
    },
    /// How far an instance has come with a deploy.
    Report {
        /// Number of the deploy.
        number: Number,
        /// Name of the instance.
        instance: String,
        /// Stage and tasks of the instance.
        report: DeployProgress,
    },
    /// A task has taken over a deploy.
    Taken {
        /// The task.
        task: Partition,
        /// Number of the deploy.
        number: Number,
    },
    /// The components that only deploys up to this one use are removed.
    Pruned {
        /// Number of the last such deploy.
        number: Number,
    },
    /// A record about a shadow.
    Shadow(ShadowRecord),
}

/// A decision about a deploy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    /// All tasks take over the deploy at this time.
    Commit(Millis),
    /// No task takes it over, for this reason.
    Cancel(String),
    /// A committed deploy is withdrawn, for this reason. Tasks that have taken it over go back, and no other task takes
    /// it over.
    Withdraw(String),
}

/// The meaning of a record's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A chunk of a component: SHA-256 of the component, and number of the chunk.
    Chunk([u8; 32], u32),
    /// Any other record. Its value says what it is.
    Other,
}

impl ControlRecord {
    /// The key of the record. `nonce` makes the key of a decision unique.
    pub fn key(&self, nonce: &[u8; 16]) -> Vec<u8> {
        let numbered = |kind: u8, number: Number| [&[kind][..], &number.to_be_bytes()].concat();
        match self {
            ControlRecord::Deploy(deploy) => [numbered(b'd', deploy.number), deploy.nonce.to_vec()].concat(),
            ControlRecord::Decision { number, .. } => [numbered(b'o', *number), nonce.to_vec()].concat(),
            ControlRecord::Answer { number, task, .. } => {
                [numbered(b'a', *number), task.0.to_be_bytes().to_vec()].concat()
            }
            ControlRecord::Report { number, instance, .. } => {
                [numbered(b'r', *number), instance.as_bytes().to_vec()].concat()
            }
            ControlRecord::Taken { task, .. } => [&b"t"[..], &task.0.to_be_bytes()].concat(),
            ControlRecord::Pruned { .. } => b"p".to_vec(),
            ControlRecord::Shadow(said) => said.key(nonce),
        }
    }

    /// The value of the record.
    pub fn value(&self) -> Vec<u8> {
        // Plain data into a growing vector can't fail.
        postcard::to_extend(self, vec![CONTROL.newest]).expect("plain data")
    }

    /// Decodes a value of the topic.
    pub fn decode(value: &[u8]) -> Result<ControlRecord, UnreadableFormat> {
        let (_, rest) = CONTROL.open(value)?;
        CONTROL.read(rest)
    }
}

impl Key {
    /// Decodes a key of the topic.
    pub fn decode(key: &[u8]) -> Key {
        let chunk = || {
            let rest = key.strip_prefix(b"c")?;
            let (hash, number) = rest.split_first_chunk::<32>()?;
            Some(Key::Chunk(*hash, u32::from_be_bytes(number.try_into().ok()?)))
        };
        chunk().unwrap_or(Key::Other)
    }

    /// The key of a chunk of a component.
    pub fn chunk(component: &[u8; 32], number: u32) -> Vec<u8> {
        [&b"c"[..], component, &number.to_be_bytes()].concat()
    }
}

/// A unique number, made from who, what and when.
pub fn nonce(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let hash: [u8; 32] = hash.finalize().into();
    std::array::from_fn(|at| hash[at])
}
