//! A deploy as its author writes it, and the instances' progress with it.
//!
//! Rule: later versions are checked only against what it declares.

use crate::record::{Millis, Number, Partition, VersionId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A version that should take over.
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
    /// The time at which it takes over. Without it, that is the latest position in the tasks' answers.
    pub at: Option<Millis>,
    /// Whether earlier versions may be unable to read what it writes.
    pub one_way: bool,
    /// Whether pending timers and lookups that it does not know go to the dead letters when it takes over.
    pub drop_timers: bool,
    /// Who wrote it, and why, for people.
    pub author: String,
    /// When it was written, by the author's clock. For people.
    pub written: Millis,
    /// For checks of later versions. Deploys with the same declarations share them.
    #[serde(with = "shared")]
    pub declared: Arc<Declarations>,
}

/// Serialises the shared value itself.
mod shared {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::sync::Arc;

    pub fn serialize<T: Serialize, S: Serializer>(shared: &Arc<T>, to: S) -> Result<S::Ok, S::Error> {
        shared.as_ref().serialize(to)
    }

    pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Arc<T>, D::Error> {
        T::deserialize(from).map(Arc::new)
    }
}

/// What rules declare that other versions must be compatible with. Pairs are (name, Avro schema).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declarations {
    /// Schemas with which the rules read inputs.
    pub inputs: Vec<(String, String)>,
    /// Schemas of the outputs.
    pub outputs: Vec<(String, String)>,
    /// Declared stores.
    pub stores: Vec<DeclaredStore>,
    /// Schemas with which the rules read replies.
    pub lookups: Vec<(String, String)>,
    /// Kinds of timers.
    pub timers: Vec<String>,
}

/// A declared store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredStore {
    /// Its name.
    pub name: String,
    /// Whether it is a map instead of a single value for each key.
    pub map: bool,
    /// Avro schema of its values.
    pub schema: String,
}

/// How far an instance has come with a deploy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployProgress {
    /// Stage and tasks of the instance.
    pub stage: DeployStage,
    /// The tasks that the instance has.
    pub tasks: Vec<Partition>,
}

/// How far an instance has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DeployStage {
    /// It has fetched the component.
    Fetched,
    /// It has compiled and checked the version, so tasks may hold.
    Ready,
}
