//! The compiler, and the compiled rules that sandboxes are made from.
//!
//! Rule: there is one compiler configuration, and it is deterministic: no threads, no relaxed SIMD, canonical NaNs, and
//! a limit traps instead of telling the guest. The clock for time limits runs as long as there are rules.
#![expect(
    clippy::disallowed_methods,
    reason = "the time limit of a call needs a thread that counts"
)]

use super::sandbox::{self, Inside};
use super::{Description, Refused, Version, load, wasi};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Config, OptLevel};

/// Resolution of the time limits. Unless the machine is overloaded, a call runs at most this much longer than its
/// limit.
const TICK: Duration = Duration::from_millis(10);

/// Native stack of a guest, in bytes. It is a quarter of a thread's 2 MiB. The host needs the rest.
const STACK: usize = 512 << 10;

/// Limits of one sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory in bytes. The host also copies no more than this from one call.
    pub memory: usize,
    /// Time limit of a call.
    pub time: Duration,
    /// Added to it for each input of the batch.
    pub time_per_input: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            memory: 64 << 20,
            time: Duration::from_secs(1),
            time_per_input: Duration::from_millis(1),
        }
    }
}

impl Limits {
    /// Number of ticks until a call is interrupted. The current tick does not count.
    pub(super) fn ticks(&self, inputs: usize, patience: u32) -> u64 {
        let share = self
            .time_per_input
            .saturating_mul(u32::try_from(inputs).unwrap_or(u32::MAX));
        let time = self.time.saturating_add(share).saturating_mul(patience);
        // Half of the maximum can't be reached, and can be added to the current number of ticks without an overflow.
        u64::try_from(time.as_nanos().div_ceil(TICK.as_nanos()))
            .unwrap_or(u64::MAX / 4)
            .min(u64::MAX / 4)
            + 1
    }
}

/// Compiles rules. It is cheap to clone. Its thread stops when the engine and all its rules and sandboxes are dropped.
#[derive(Clone)]
pub struct Engine(Arc<Ticking>);

/// SHA-256 of a component.
type Hash = [u8; 32];

/// A compiler with the clock for time limits.
pub(super) struct Ticking {
    pub(super) engine: wasmtime::Engine,
    /// Compiled components by hash, while they are in use. Rules with other settings share the code.
    made: Mutex<Vec<(Hash, Weak<Compiled>)>>,
    /// Dropping it tells the thread to stop.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // The thread only counts and waits, so it can't have panicked.
            let _ = thread.join();
        }
    }
}

/// Compiled, linked and described rules. Cheap to clone.
#[derive(Clone)]
pub struct Rules(pub(super) Arc<Compiled>);

/// What all sandboxes of one version share.
pub(super) struct Compiled {
    pub(super) pre: InstancePre<Inside>,
    pub(super) version: Version,
    pub(super) settings: String,
    pub(super) limits: Limits,
    pub(super) description: Arc<Description>,
    pub(super) clock: Arc<Ticking>,
}

impl Rules {
    /// The version of the rules.
    pub fn version(&self) -> Version {
        self.0.version
    }

    /// What the rules say about themselves.
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    /// The limits of each sandbox.
    pub fn limits(&self) -> Limits {
        self.0.limits
    }
}

impl Engine {
    /// A compiler for this machine, with its clock. Fails if the machine is not supported, or the thread can't be
    /// started.
    pub fn new() -> Result<Engine, String> {
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
            .wasm_memory64(false)
            // Other tasks run during a compilation, so it must not take all cores.
            .parallel_compilation(false);
        #[cfg(feature = "profiling")]
        config.profiler(wasmtime::ProfilingStrategy::PerfMap);
        let engine = wasmtime::Engine::new(&config).map_err(|error| format!("{error:#}"))?;
        let (stop, stopped) = mpsc::channel();
        let clock = engine.clone();
        let tick = move || {
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                clock.increment_epoch();
            }
        };
        let thread = std::thread::Builder::new().name("rules-clock".into()).spawn(tick);
        Ok(Engine(Arc::new(Ticking {
            engine,
            made: Mutex::default(),
            stop: Some(stop),
            thread: Some(thread.map_err(|error| format!("no thread for the time limits: {error}"))?),
        })))
    }

    /// Makes rules from a component, or from a core module with a component-type section. It checks imports and
    /// exports, starts the component once, and checks its description. It takes a second for each MiB, unless the
    /// component is compiled already, so it must not run on a worker's thread.
    pub fn compile(&self, wasm: &[u8], settings: &str, limits: Limits) -> Result<Rules, Refused> {
        let hash: Hash = Sha256::digest(wasm).into();
        let pre = match self.made(&hash) {
            Some(pre) => pre,
            None => self.link(wasm)?,
        };
        let mut compiled = Compiled {
            pre,
            version: Version::of(wasm, settings),
            settings: settings.into(),
            limits,
            description: Arc::default(),
            clock: self.0.clone(),
        };
        let description = sandbox::describe(&compiled)?;
        load::describe(&description)?;
        compiled.description = Arc::new(description);
        let compiled = Arc::new(compiled);
        let mut made = self.0.made.lock();
        made.push((hash, Arc::downgrade(&compiled)));
        Ok(Rules(compiled))
    }

    /// The compiled code of a component, if any rules use it.
    fn made(&self, hash: &Hash) -> Option<InstancePre<Inside>> {
        let mut made = self.0.made.lock();
        made.retain(|(_, compiled)| compiled.strong_count() > 0);
        let mut same = made.iter().filter(|(known, _)| known == hash);
        same.find_map(|(_, compiled)| Some(compiled.upgrade()?.pre.clone()))
    }

    /// Compiles a component, and checks and links its imports.
    fn link(&self, wasm: &[u8]) -> Result<InstancePre<Inside>, Refused> {
        let engine = &self.0.engine;
        let component = load::component(engine, wasm)?;
        let component =
            Component::from_binary(engine, &component).map_err(|error| Refused::Component(format!("{error:#}")))?;
        load::check(&component)?;
        let mut linker = Linker::<Inside>::new(engine);
        let unlinked = |error: wasmtime::Error| Refused::ImportType(format!("{error:#}"));
        crate::wit::host::link(&mut linker).map_err(unlinked)?;
        wasi::link(&mut linker, &component).map_err(unlinked)?;
        linker.instantiate_pre(&component).map_err(unlinked)
    }
}
