//! Compiles a component into rules that fit this pipeline.
//!
//! Rule: it does not run on the workers' threads. Every instance with the same file comes to the same verdict on a
//! component.

use super::reader::Fetch;
use crate::binding::{Misfits, Wiring};
use crate::config::Config;
use crate::deploy::protocol::{Declarations, DeclaredStore};
use crate::error::Failure;
use crate::record::VersionId;
use crate::registry::Schemas;
use crate::rules::{Engine, RulesError, SandboxLimits, Shape, Version};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SendError, Sender, channel};
use std::time::Duration;
use thiserror::Error;

/// Compiles a component with its settings (JSON), and binds it to the pipeline. The error lists everything that does
/// not fit.
pub type Compile = Arc<dyn Fn(&[u8], &str) -> Result<Arc<Wiring>, Unfit> + Send + Sync>;

/// Why a component can't be made rules of this pipeline.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Unfit {
    /// It can't be used as rules.
    #[error(transparent)]
    Refused(#[from] RulesError),
    /// The pipeline has no place for something that the rules use.
    #[error(transparent)]
    Misfits(#[from] Misfits),
    /// It could not be fetched.
    #[error(transparent)]
    Fetch(#[from] Failure),
    /// It is not the component that the author of the deploy sent.
    #[error("the component on the control topic makes version {made}, and {announced} was announced")]
    OtherVersion {
        /// The version of what was fetched.
        made: Version,
        /// The version that the deploy names.
        announced: Version,
    },
}

/// Starts a compilation, which blocks for seconds. Fails if that is not possible now.
pub type SpawnCompile = Box<dyn FnMut(Box<dyn FnOnce() + Send>) -> std::io::Result<()> + Send>;

/// Maximum duration of each wait for a component's chunks.
const WAIT: Duration = Duration::from_millis(50);

/// The compiler of a pipeline. `partitions` has the number of each output's partitions, by index.
pub fn compiler(
    engine: Engine,
    config: Arc<Config>,
    schemas: Option<Arc<dyn Schemas>>,
    partitions: Vec<i32>,
) -> Compile {
    Arc::new(move |component, settings| {
        let rules = engine.compile(component, settings, limits(&config))?;
        let wiring = Wiring::new(rules, &config, schemas.as_deref(), &partitions)?;
        Ok(Arc::new(wiring))
    })
}

/// Runs each compilation on its own thread. Threads are kept for later compilations, because the allocator keeps freed
/// memory by thread.
#[expect(
    clippy::disallowed_methods,
    reason = "a compilation takes seconds, off the other threads"
)]
pub fn on_threads() -> SpawnCompile {
    type CompileJob = Box<dyn FnOnce() + Send>;
    // As many threads as compilations have run at once. An agent starts one for each version that its tasks or a deploy
    // need.
    let mut threads: Vec<(Sender<CompileJob>, Arc<AtomicBool>)> = vec![];
    Box::new(move |job| {
        // A thread that has panicked stays busy for ever.
        let idle = threads.iter().find(|(_, busy)| !busy.swap(true, Ordering::AcqRel));
        let job = match idle {
            Some((jobs, _)) => match jobs.send(job) {
                Ok(()) => return Ok(()),
                Err(SendError(job)) => job,
            },
            None => job,
        };
        let (jobs, todo) = channel::<CompileJob>();
        let busy = Arc::new(AtomicBool::new(true));
        let shared = busy.clone();
        let work = move || {
            for job in todo {
                job();
                shared.store(false, Ordering::Release);
            }
        };
        std::thread::Builder::new().name("compile".into()).spawn(work)?;
        // The receiver exists as long as the thread.
        let _ = jobs.send(job);
        threads.push((jobs, busy));
        Ok(())
    })
}

/// The limits of a sandbox.
pub fn limits(config: &Config) -> SandboxLimits {
    SandboxLimits {
        memory: config.rules.memory_limit,
        time: config.rules.time_limit,
        ..SandboxLimits::default()
    }
}

/// What these rules declare, for checks of later versions.
pub fn declared(wiring: &Wiring) -> Arc<Declarations> {
    let description = wiring.rules.description();
    let channels = |list: &[crate::rules::Channel]| {
        let one = |channel: &crate::rules::Channel| (channel.name.clone(), channel.schema.clone());
        list.iter().map(one).collect()
    };
    Arc::new(Declarations {
        inputs: channels(&description.inputs),
        outputs: channels(&description.outputs),
        stores: description
            .stores
            .iter()
            .map(|store| DeclaredStore {
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
    })
}

/// The SHA-256 of a component's file.
pub fn hash(component: &[u8]) -> [u8; 32] {
    Sha256::digest(component).into()
}

/// Makes sure that the fetched component is the one that the author sent.
fn expected(wiring: Arc<Wiring>, announced: &VersionId) -> Result<Arc<Wiring>, Unfit> {
    let made = wiring.rules.version();
    match made.0 == *announced {
        true => Ok(wiring),
        false => Err(Unfit::OtherVersion {
            made,
            announced: Version(*announced),
        }),
    }
}

/// A version that must be fetched and compiled.
pub struct CompileJob {
    pub version: VersionId,
    pub settings: String,
    pub source: ComponentSource,
}

/// Where a component comes from.
pub enum ComponentSource {
    /// It is in memory.
    Here(Arc<Vec<u8>>),
    /// It is on the control topic.
    Topic(Fetch),
}

/// The result of a job.
pub enum CompileOutcome {
    /// The component was fetched.
    Fetched(VersionId, Arc<Vec<u8>>),
    /// The version was compiled, or can't be, for this reason.
    Compiled(VersionId, Result<Arc<Wiring>, Unfit>),
    /// The topic could not be read, for this reason. Try again.
    Again(VersionId, String),
}

impl CompileJob {
    /// Runs the job, which blocks for seconds.
    pub fn run(self, compile: &Compile, outcomes: &Sender<CompileOutcome>) {
        let version = self.version;
        let component = match self.source {
            ComponentSource::Here(component) => Ok(component),
            ComponentSource::Topic(fetch) => fetch.run(WAIT).map(Arc::new),
        };
        let outcome = match component {
            Ok(component) => {
                let _ = outcomes.send(CompileOutcome::Fetched(version, component.clone()));
                let made = compile(&component, &self.settings);
                CompileOutcome::Compiled(version, made.and_then(|wiring| expected(wiring, &version)))
            }
            Err(Failure::Retry(why)) => CompileOutcome::Again(version, why),
            Err(other) => CompileOutcome::Compiled(version, Err(other.into())),
        };
        // If nobody listens, the instance is ending.
        let _ = outcomes.send(outcome);
    }
}
