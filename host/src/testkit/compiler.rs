//! The compiler of rules, with a memory: each component is compiled once, however many scenarios use it.

use crate::rules::{Engine, Limits, Rules};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Component, settings, limits.
type Key = (Vec<u8>, String, String);

/// See the module. Clones are the same.
#[derive(Clone)]
pub struct Compiler(Arc<Inner>);

struct Inner {
    engine: Engine,
    /// What became of it: rules, or why they were refused.
    compiled: Mutex<HashMap<Key, Result<Rules, String>>>,
}

impl Compiler {
    /// With nothing compiled yet.
    pub fn new() -> Result<Compiler, String> {
        let inner = Inner {
            engine: Engine::new()?,
            compiled: Mutex::default(),
        };
        Ok(Compiler(Arc::new(inner)))
    }

    /// Rules of a component. Err: why they are refused.
    pub fn compile(&self, component: &[u8], settings: &serde_json::Value, limits: Limits) -> Result<Rules, String> {
        let settings = settings.to_string();
        let key = (component.to_vec(), settings.clone(), format!("{limits:?}"));
        // Held while it compiles: another test with the same rules waits for them.
        let mut compiled = self.0.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let known = compiled.entry(key);
        let compile = || {
            let rules = self.0.engine.compile(component, &settings, limits);
            rules.map_err(|why| why.to_string())
        };
        known.or_insert_with(compile).clone()
    }
}
