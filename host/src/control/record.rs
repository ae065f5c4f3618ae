//! What stands on the control topic.
//!
//! Rule: the topic is compacted, so the key says what may replace what: a task's answer its earlier one, an instance's report
//! its earlier one, a chunk the same chunk. Deploys and orders are decided by their order, so each has a key of its own
//! for ever.

use super::shadow::Said;
use super::{Number, VersionId};
use crate::record::{Millis, Partition};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use thiserror::Error;

/// First byte of every value but a chunk's.
const FORMAT: u8 = 1;

/// Bytes of a component in one record: two fit the broker's default of 1 MiB with their framing.
pub const CHUNK_BYTES: usize = 512 << 10;

/// A record, but for chunks.
// Decoded one at a time, a few a deploy: a box would be in the way and save nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// A version that shall take over.
    Deploy(Deploy),
    /// What shall become of a deploy.
    Order {
        /// Which deploy.
        number: Number,
        /// What.
        order: Order,
    },
    /// A task holds for a deploy: no input of its time, or a later one, was or will be taken before the order. Where the deploy has
    /// no time: none behind `position`.
    Answer {
        /// Which deploy.
        number: Number,
        /// Which task.
        task: Partition,
        /// Time of its last step; where the deploy has no time, of the last one that it may take.
        position: Millis,
    },
    /// How far an instance is with a deploy.
    Report {
        /// Which deploy.
        number: Number,
        /// Which instance.
        instance: String,
        /// How far.
        report: Report,
    },
    /// A task has taken a deploy over.
    Taken {
        /// Which task.
        task: Partition,
        /// Which deploy.
        number: Number,
    },
    /// Components that only deploys up to this one have are removed.
    Pruned {
        /// The last of them.
        number: Number,
    },
    /// Of a version that runs beside.
    Shadow(Said),
}

/// What decides a deploy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// All tasks take it over at this time.
    Commit(Millis),
    /// No task does. Why.
    Cancel(String),
    /// Of a deploy that is committed: whoever has taken it over goes back, and nobody takes it over any more. Why.
    Withdraw(String),
}

/// A version that shall take over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deploy {
    /// The number after the last one that its author saw.
    pub number: Number,
    /// Tells deploys of one number apart.
    pub nonce: [u8; 16],
    /// SHA-256 over component and settings.
    pub version: VersionId,
    /// SHA-256 of the component's file: the chunks' key.
    pub component: [u8; 32],
    /// Its bytes.
    pub bytes: u64,
    /// JSON.
    pub settings: String,
    /// From this time on; none: from the latest position that a task answers.
    pub at: Option<Millis>,
    /// What it writes can't be read by earlier versions.
    pub one_way: bool,
    /// Pending timers and lookups that it does not know are removed when it takes over.
    pub drop_timers: bool,
    /// Who wrote it, and why, for people.
    pub author: String,
    /// When, by the author's clock, for people.
    pub written: Millis,
    /// What later versions are checked against; deploys that declare the same share it.
    #[serde(with = "shared")]
    pub declared: Arc<Declared>,
}

/// On the topic it stands as itself.
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

/// What rules declare, as far as other versions of them must fit it. (name, Avro schema) each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declared {
    /// The schemas that they read inputs with.
    pub inputs: Vec<(String, String)>,
    /// The schemas of what they write.
    pub outputs: Vec<(String, String)>,
    /// Their stores.
    pub stores: Vec<Store>,
    /// The schemas that they read replies with.
    pub lookups: Vec<(String, String)>,
    /// Kinds of timers.
    pub timers: Vec<String>,
}

/// A declared store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    /// Its name.
    pub name: String,
    /// True: a map; false: one value a key.
    pub map: bool,
    /// Avro schema of its values.
    pub schema: String,
}

/// How far an instance is with a deploy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// How far.
    pub stage: Stage,
    /// The tasks that it has.
    pub tasks: Vec<Partition>,
}

/// How far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stage {
    /// The component is fetched.
    Fetched,
    /// It is compiled and checked; tasks may hold.
    Ready,
}

/// What a record's key says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A piece of a component: SHA-256 of the whole, number of the piece.
    Chunk([u8; 32], u32),
    /// Everything else: see the value.
    Other,
}

/// Bytes that are not a record of this format.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("not a control record of format {FORMAT}: written by another version of Pelton")]
pub struct NotARecord;

impl Record {
    /// Its key. `nonce`: makes the key of an order its own; see the module.
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
        // It can't fail: plain data into a growing vector.
        postcard::to_extend(self, vec![FORMAT]).expect("plain data")
    }

    /// From the topic.
    pub fn decode(value: &[u8]) -> Result<Record, NotARecord> {
        match value.split_first() {
            Some((&FORMAT, rest)) => postcard::from_bytes(rest).map_err(|_| NotARecord),
            _ => Err(NotARecord),
        }
    }
}

impl Key {
    /// From the topic.
    pub fn decode(key: &[u8]) -> Key {
        let chunk = || {
            let rest = key.strip_prefix(b"c")?;
            let (hash, number) = rest.split_first_chunk::<32>()?;
            Some(Key::Chunk(*hash, u32::from_be_bytes(number.try_into().ok()?)))
        };
        chunk().unwrap_or(Key::Other)
    }

    /// Of a piece of a component.
    pub fn chunk(component: &[u8; 32], number: u32) -> Vec<u8> {
        [&b"c"[..], component, &number.to_be_bytes()].concat()
    }
}

/// A number that nobody else has: from who, what and when.
pub fn nonce(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let hash: [u8; 32] = hash.finalize().into();
    std::array::from_fn(|at| hash[at])
}
