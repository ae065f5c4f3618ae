//! A compiler of rules that remembers them, so that each component is compiled once for all scenarios.

use super::error::Result;
use crate::rules::{Engine, Rules, RulesError, SandboxLimits};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// The component, the settings, the limits.
type Key = (Vec<u8>, String, String);

/// A compiler of rules that remembers them. Clones share what they remember.
#[derive(Clone)]
pub struct Compiler(Arc<Inner>);

struct Inner {
    engine: Engine,
    /// The rules, or why they were refused.
    compiled: Mutex<HashMap<Key, std::result::Result<Rules, RulesError>>>,
}

impl Compiler {
    /// A compiler that has compiled nothing yet.
    pub fn new() -> Result<Compiler> {
        let inner = Inner {
            engine: Engine::new()?,
            compiled: Mutex::default(),
        };
        Ok(Compiler(Arc::new(inner)))
    }

    /// Compiles the rules of a component, or says why they are refused.
    pub fn compile(
        &self,
        component: &[u8],
        settings: &serde_json::Value,
        limits: SandboxLimits,
    ) -> std::result::Result<Rules, RulesError> {
        let settings = settings.to_string();
        let key = (component.to_vec(), settings.clone(), format!("{limits:?}"));
        // The lock is held during the compilation, so that another test with the same rules waits for it.
        let mut compiled = self.0.compiled.lock();
        let known = compiled.entry(key);
        known
            .or_insert_with(|| self.0.engine.compile(component, &settings, limits))
            .clone()
    }
}
