//! The compiler.
//!
//! Rule: there is one compiler configuration, and it is deterministic: no threads, no relaxed SIMD, canonical NaNs, and
//! a limit traps instead of telling the guest.

use super::clock::Ticking;
use super::compiled::{Rules, SandboxLimits, SharedRules};
use super::inside::Inside;
use super::{RulesError, Version, load, sandbox, wasi};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Weak};
use thiserror::Error;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Config, OptLevel};

/// Native stack of a guest, in bytes. It is a quarter of a thread's 2 MiB. The host needs the rest.
const STACK: usize = 512 << 10;

/// Why this machine can't compile rules.
#[derive(Debug, Error)]
pub enum EngineError {
    /// Wasmtime does not support it.
    #[error("{0:#}")]
    Unsupported(wasmtime::Error),
    /// The clock's thread can't be started.
    #[error("no thread for the time limits: {0}")]
    NoClock(std::io::Error),
}

/// Compiles rules. It is cheap to clone. Its thread stops when the engine and all its rules and sandboxes are dropped.
#[derive(Clone)]
pub struct Engine {
    clock: Arc<Ticking>,
    /// Compiled components by hash, while they are in use. Rules with other settings share the code.
    made: Arc<Mutex<Vec<CachedCode>>>,
}

/// SHA-256 of a component.
type Hash = [u8; 32];

/// A component, and rules that use its code, as long as there are any.
type CachedCode = (Hash, Weak<SharedRules>);

impl Engine {
    /// A compiler for this machine, with its clock. Fails if the machine is not supported, or the thread can't be
    /// started.
    pub fn new() -> Result<Engine, EngineError> {
        let mut config = Config::new();
        config
            .wasm_component_model(true)
            // It would triple the cost of a call.
            .concurrency_support(false)
            .epoch_interruption(true)
            .max_wasm_stack(STACK)
            .cranelift_opt_level(OptLevel::Speed)
            .cranelift_nan_canonicalization(true)
            .wasm_relaxed_simd(false)
            .wasm_memory64(false);
        #[cfg(feature = "profiling")]
        config.profiler(wasmtime::ProfilingStrategy::PerfMap);
        let engine = wasmtime::Engine::new(&config).map_err(EngineError::Unsupported)?;
        Ok(Engine {
            clock: Arc::new(Ticking::start(engine).map_err(EngineError::NoClock)?),
            made: Arc::default(),
        })
    }

    /// Makes rules from a component, or from a core module with a component-type section. It checks imports and
    /// exports, starts the component once, and checks its description. It takes a second for each MiB, unless the
    /// component is compiled already, so it must not run on a worker's thread.
    pub fn compile(&self, wasm: &[u8], settings: &str, limits: SandboxLimits) -> Result<Rules, RulesError> {
        let hash: Hash = Sha256::digest(wasm).into();
        let pre = match self.made(&hash) {
            Some(pre) => pre,
            None => self.link(wasm)?,
        };
        let mut compiled = SharedRules {
            pre,
            version: Version::of(wasm, settings),
            settings: settings.into(),
            limits,
            description: Arc::default(),
            clock: self.clock.clone(),
        };
        let description = sandbox::describe(&compiled)?;
        load::describe(&description)?;
        compiled.description = Arc::new(description);
        let compiled = Arc::new(compiled);
        let mut made = self.made.lock();
        made.push((hash, Arc::downgrade(&compiled)));
        Ok(Rules(compiled))
    }

    /// The compiled code of a component, if any rules use it.
    fn made(&self, hash: &Hash) -> Option<InstancePre<Inside>> {
        let mut made = self.made.lock();
        made.retain(|(_, compiled)| compiled.strong_count() > 0);
        let mut same = made.iter().filter(|(known, _)| known == hash);
        same.find_map(|(_, compiled)| Some(compiled.upgrade()?.pre.clone()))
    }

    /// Compiles a component, and checks and links its imports.
    fn link(&self, wasm: &[u8]) -> Result<InstancePre<Inside>, RulesError> {
        let engine = &self.clock.engine;
        let component = load::component(engine, wasm)?;
        let component =
            Component::from_binary(engine, &component).map_err(|error| RulesError::Component(format!("{error:#}")))?;
        load::check(&component)?;
        let mut linker = Linker::<Inside>::new(engine);
        let unlinked = |error: wasmtime::Error| RulesError::ImportType(format!("{error:#}"));
        crate::wit::host::link(&mut linker).map_err(unlinked)?;
        wasi::link(&mut linker, &component).map_err(unlinked)?;
        linker.instantiate_pre(&component).map_err(unlinked)
    }
}
