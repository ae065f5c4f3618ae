//! The three components, and what they are told.
//!
//! Rule: each deploy but a rollback has a label of its own, which stands in all that it makes.

use crate::auditor::{Code, Millis, Settings};
use crate::told;
use pelton::deploy::compile::hash;
use pelton::deploy::protocol::Deploy;
use serde_json::{Value, json};

/// How long money may wait for its session: the versions take turns.
pub const PENDING: [Millis; 2] = [3_600_000, 1_800_000];

/// See the module.
pub struct Versions([(Code, Vec<u8>); 3]);

impl Versions {
    /// From the files that the tests' build has made.
    pub fn read() -> anyhow::Result<Versions> {
        Ok(Versions([
            (Code::Plain, std::fs::read(env!("GUEST_ENRICH_WASM"))?),
            (Code::Counted, std::fs::read(env!("GUEST_COUNTED_WASM"))?),
            (Code::Resident, std::fs::read(env!("GUEST_RESIDENT_WASM"))?),
        ]))
    }

    /// All components.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|(_, component)| component.as_slice())
    }

    /// The one behind this one, in a circle; the first is the plain one.
    pub fn component(&self, number: usize) -> &[u8] {
        &self.0[number % self.0.len()].1
    }

    /// What a deploy comes to. None: it is none of ours.
    pub fn of(&self, deploy: &Deploy) -> Option<Settings> {
        let (code, _) = self.0.iter().find(|(_, known)| hash(known) == deploy.component)?;
        Some(Settings {
            code: *code,
            ..told::settings(&deploy.settings)?
        })
    }
}

/// What the rules are told.
pub fn settings(label: &str, pending: Millis) -> Value {
    json!({
        "dedup_ttl": "60000ms", "session_ttl": "86400000ms", "pending_ttl": format!("{pending}ms"), "label": label,
    })
}
