//! The records of the control topic.
//!
//! Rule: the topic is compacted, so the key says what may replace what. A task's answer replaces its earlier answer, an instance's
//! report its earlier report, a chunk the same chunk. Deploys and orders are decided by their order on the topic, so each of them
//! has a key of its own for ever.

use super::shadow::Said;
use crate::record::encoding::{Encoding, Unreadable};
use crate::record::{Millis, Number, Partition, VersionId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Of every value but a chunk's. An instance that finds a newer version than it knows ends, and says so: whatever it did would
/// be decided by half of what the topic says.
const FORMAT: Encoding = Encoding {
    what: "a record of the control topic",
    newest: 1,
    oldest: 1,
};

/// Bytes of a component in one record. Two such records fit the broker's default limit of 1 MiB, with their framing.
pub const CHUNK_BYTES: usize = 512 << 10;

/// A record, except for chunks.
#[expect(
    clippy::large_enum_variant,
    reason = "records are decoded one at a time, a few for each deploy, so a box would save nothing"
)]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// A version that shall take over.
    Deploy(Deploy),
    /// An order about a deploy.
    Order {
        /// Which deploy.
        number: Number,
        /// The order.
        order: Order,
    },
    /// A task holds for a deploy. It takes no input of the deploy's time or later before the order. If the deploy has no time, it takes
    /// no input after `position`.
    Answer {
        /// Which deploy.
        number: Number,
        /// Which task.
        task: Partition,
        /// Time of the task's last step. If the deploy has no time, time of the last step that the task may take.
        position: Millis,
    },
    /// How far an instance is with a deploy.
    Report {
        /// Which deploy.
        number: Number,
        /// Which instance.
        instance: String,
        /// Stage and tasks of the instance.
        report: Report,
    },
    /// A task has taken a deploy over.
    Taken {
        /// Which task.
        task: Partition,
        /// Which deploy.
        number: Number,
    },
    /// The components that only deploys up to this one have are removed.
    Pruned {
        /// Number of the last such deploy.
        number: Number,
    },
    /// A record about a shadow.
    Shadow(Said),
}

/// An order that decides a deploy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// All tasks take the deploy over at this time.
    Commit(Millis),
    /// No task takes it over, for this reason.
    Cancel(String),
    /// A committed deploy is taken back, for this reason. Tasks that have taken it over go back, and no other task takes it over.
    Withdraw(String),
}

/// A version that shall take over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deploy {
    /// The number after the last one that its author saw.
    pub number: Number,
    /// Distinguishes deploys with the same number.
    pub nonce: [u8; 16],
    /// SHA-256 over component and settings.
    pub version: VersionId,
    /// SHA-256 of the component's file, which is the key of its chunks.
    pub component: [u8; 32],
    /// Size of the component in bytes.
    pub bytes: u64,
    /// The settings, as JSON.
    pub settings: String,
    /// It takes over from this time on. Without it, from the latest position that a task answers.
    pub at: Option<Millis>,
    /// Earlier versions may be unable to read what it writes.
    pub one_way: bool,
    /// Pending timers and lookups that it does not know go to the dead letters when it takes over.
    pub drop_timers: bool,
    /// Who wrote it, and why, for people.
    pub author: String,
    /// When it was written, by the author's clock, for people.
    pub written: Millis,
    /// What later versions are checked against. Deploys that declare the same share it.
    #[serde(with = "shared")]
    pub declared: Arc<Declared>,
}

/// On the topic it is written as a value, not as a reference.
mod shared {
    use super::{Arc, Declared};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(declared: &Arc<Declared>, to: S) -> Result<S::Ok, S::Error> {
        declared.as_ref().serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<Declared>, D::Error> {
        Declared::deserialize(from).map(Arc::new)
    }
}

/// What rules declare, as far as other versions must be compatible with it. Each pair is (name, Avro schema).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declared {
    /// Schemas with which the rules read inputs.
    pub inputs: Vec<(String, String)>,
    /// Schemas of the outputs.
    pub outputs: Vec<(String, String)>,
    /// Stores.
    pub stores: Vec<Store>,
    /// Schemas with which the rules read replies.
    pub lookups: Vec<(String, String)>,
    /// Kinds of timers.
    pub timers: Vec<String>,
}

/// A declared store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    /// Its name.
    pub name: String,
    /// Whether it is a map, instead of one value for each key.
    pub map: bool,
    /// Avro schema of its values.
    pub schema: String,
}

/// How far an instance is with a deploy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Stage and tasks of the instance.
    pub stage: Stage,
    /// The tasks that the instance has.
    pub tasks: Vec<Partition>,
}

/// Stage and tasks of the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stage {
    /// The component is fetched.
    Fetched,
    /// It is compiled and checked; tasks may hold.
    Ready,
}

/// The meaning of a record's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A chunk of a component: SHA-256 of the whole, and the number of the chunk.
    Chunk([u8; 32], u32),
    /// Any other record. Its value says what it is.
    Other,
}

impl Record {
    /// The key of the record. `nonce` makes the key of an order unique.
    pub fn key(&self, nonce: &[u8; 16]) -> Vec<u8> {
        let numbered = |kind: u8, number: Number| [&[kind][..], &number.to_be_bytes()].concat();
        match self {
            Record::Deploy(deploy) => [numbered(b'd', deploy.number), deploy.nonce.to_vec()].concat(),
            Record::Order { number, .. } => [numbered(b'o', *number), nonce.to_vec()].concat(),
            Record::Answer { number, task, .. } => [numbered(b'a', *number), task.to_be_bytes().to_vec()].concat(),
            Record::Report { number, instance, .. } => [numbered(b'r', *number), instance.as_bytes().to_vec()].concat(),
            Record::Taken { task, .. } => [&b"t"[..], &task.to_be_bytes()].concat(),
            Record::Pruned { .. } => b"p".to_vec(),
            Record::Shadow(said) => said.key(nonce),
        }
    }

    /// Its value.
    pub fn value(&self) -> Vec<u8> {
        // This can't fail: it writes plain data into a growing vector.
        postcard::to_extend(self, vec![FORMAT.newest]).expect("plain data")
    }

    /// Reads it from the topic.
    pub fn decode(value: &[u8]) -> Result<Record, Unreadable> {
        let (_, rest) = FORMAT.open(value)?;
        FORMAT.read(rest)
    }
}

impl Key {
    /// Reads it from the topic.
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

/// A number that nobody else has, made of who, what and when.
pub fn nonce(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let hash: [u8; 32] = hash.finalize().into();
    std::array::from_fn(|at| hash[at])
}
