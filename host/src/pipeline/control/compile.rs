//! From a component to rules that fit this pipeline.
//!
//! Rule: off the workers' threads; what it says of a component is the same on every instance with the same file.

use super::checks;
use super::follow::Fetch;
use crate::config::Config;
use crate::control::{Declared, Store, VersionId};
use crate::error::Failure;
use crate::registry::Schemas;
use crate::rules::{Engine, Limits, Shape};
use crate::task::Wiring;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

/// Makes wired rules of a component and its settings (JSON). Err: everything that doesn't fit.
pub type Compile = Arc<dyn Fn(&[u8], &str) -> Result<Arc<Wiring>, String> + Send + Sync>;

/// Runs a compilation, which blocks for seconds, at some time. Err: it can't now.
pub type Start = Box<dyn FnMut(Box<dyn FnOnce() + Send>) -> std::io::Result<()> + Send>;

/// Each wait for the pieces of a component.
const WAIT: Duration = Duration::from_millis(50);

/// The compiler of a pipeline. `partitions`: of the outputs, by index.
pub fn compiler(
    engine: Engine,
    config: Arc<Config>,
    schemas: Option<Arc<dyn Schemas>>,
    partitions: Vec<i32>,
) -> Compile {
    Arc::new(move |component, settings| {
        let rules = engine
            .compile(component, settings, limits(&config))
            .map_err(|why| why.to_string())?;
        Wiring::new(rules, &config, schemas.as_deref(), &partitions)
            .map(Arc::new)
            .map_err(|misfits| misfits.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}

/// Each compilation on a thread of its own.
pub fn on_threads() -> Start {
    Box::new(|job| {
        let started = std::thread::Builder::new().name("compile".into()).spawn(job);
        started.map(drop)
    })
}

/// What a sandbox may use.
pub fn limits(config: &Config) -> Limits {
    Limits {
        memory: config.rules.memory_limit,
        time: config.rules.time_limit,
        ..Limits::default()
    }
}

/// What later versions are checked against.
pub fn declared(wiring: &Wiring) -> Declared {
    let description = wiring.rules.description();
    let channels = |list: &[crate::rules::Channel]| {
        let one = |channel: &crate::rules::Channel| (channel.name.clone(), channel.schema.clone());
        list.iter().map(one).collect()
    };
    Declared {
        inputs: channels(&description.inputs),
        outputs: channels(&description.outputs),
        stores: description
            .stores
            .iter()
            .map(|store| Store {
                name: store.name.clone(),
                map: store.shape == Shape::Map,
                schema: store.schema.clone(),
            })
            .collect(),
        lookups: description
            .lookups
            .iter()
            .map(|lookup| (lookup.name.clone(), lookup.reply.clone()))
            .collect(),
        timers: description.timers.clone(),
    }
}

/// SHA-256 of a component's file.
pub fn hash(component: &[u8]) -> [u8; 32] {
    Sha256::digest(component).into()
}

/// A version that is fetched and compiled.
pub struct Job {
    pub version: VersionId,
    pub settings: String,
    pub fetch: Fetch,
}

/// What became of a job.
pub enum Told {
    /// The component is here.
    Fetched(VersionId),
    /// It is compiled; or can't be, why.
    Compiled(VersionId, Result<Arc<Wiring>, String>),
    /// The topic could not be read: again.
    Again(VersionId, String),
}

impl Job {
    /// Does it. Blocks for seconds.
    pub fn run(self, compile: &Compile, tell: &Sender<Told>) {
        let version = self.version;
        let told = match self.fetch.run(WAIT) {
            Ok(component) => {
                let _ = tell.send(Told::Fetched(version));
                let made = compile(&component, &self.settings);
                Told::Compiled(version, made.and_then(|wiring| checks::is(&version, wiring)))
            }
            Err(Failure::Retry(why)) => Told::Again(version, why),
            Err(other) => Told::Compiled(version, Err(other.to_string())),
        };
        // Nobody listens: the instance ends.
        let _ = tell.send(told);
    }
}
