//! The three components and their settings.
//!
//! Rule: each deploy except a rollback has a unique label, which is written in all of its outputs.

use crate::auditor::{Code, Millis, Settings};
use crate::translate;
use pelton::deploy::compile::hash;
use pelton::deploy::protocol::Deploy;
use serde_json::{Value, json};

/// How long money may wait for its session. The versions take turns.
pub const PENDING: [Millis; 2] = [3_600_000, 1_800_000];

/// The components of a soak test.
pub struct Versions([(Code, Vec<u8>); 3]);

impl Versions {
    /// Reads the files that the build of the tests has made.
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

    /// A component by its number. Numbers wrap around, and 0 is the plain one.
    pub fn component(&self, number: usize) -> &[u8] {
        &self.0[number % self.0.len()].1
    }

    /// The settings of a deploy. `None` if it is not one of ours.
    pub fn of(&self, deploy: &Deploy) -> Option<Settings> {
        let (code, _) = self.0.iter().find(|(_, known)| hash(known) == deploy.component)?;
        Some(Settings {
            code: *code,
            ..translate::settings(&deploy.settings)?
        })
    }
}

/// The settings of the rules.
pub fn settings(label: &str, pending: Millis) -> Value {
    json!({
        "dedup_ttl": "60000ms", "session_ttl": "86400000ms", "pending_ttl": format!("{pending}ms"), "label": label,
    })
}
