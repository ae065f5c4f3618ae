//! What is on the stage: the pipeline, its rules, and the ways in which a scenario is run.

use super::schemas::Declared;
use super::{Compiler, Stage};
use crate::binding::Wiring;
use crate::config::{Config, SchemaSource};
use crate::deploy::compile::limits;
use crate::log::embedded::{Call, Fate, Fetch, Truth, What};
use crate::record::Millis;
use crate::registry::Schemas;
use crate::registry::folder::Folder;
use crate::service::Services;
use crate::store::memory::Disk;
use serde_json::Value;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Milliseconds: a hundred years, beyond all that scenarios play in.
const ANY_TIME: Millis = 36_500 * 86_400_000;

/// For a call of the rules, at least: on a busy machine a limit of time must not decide how a scenario ends.
const PATIENCE: Duration = Duration::from_secs(2);

/// Makes the external services of a life.
pub type MakeServices = Arc<dyn Fn() -> Box<dyn Services>>;

/// A pipeline about to start.
#[derive(Clone)]
pub struct Setup {
    /// Compiles the rules.
    pub compiler: Compiler,
    /// The pipeline's file.
    pub config: Config,
    /// The rules.
    pub component: Vec<u8>,
    /// Where schemas come from.
    pub schemas: Option<Arc<dyn Schemas>>,
    /// Stands for the identity of the cluster.
    pub cluster: String,
    /// What the clock says at the start: milliseconds since 1970.
    pub start: Millis,
    /// Of every topic but the outputs.
    pub partitions: i32,
    /// Of the outputs.
    pub output_partitions: i32,
    /// True: the broker says when a record of an input was appended.
    pub append_time: bool,
    /// Local state; none: the changelog alone.
    pub disk: Option<Disk>,
    /// Other services than the script.
    pub services: Option<MakeServices>,
    /// False: where fetches are cut at random, epochs are still never aborted, and nobody crashes. For scenarios in which time
    /// passes, because silence is measured anew after each of these.
    pub restless: bool,
    /// How the run goes.
    pub way: Way,
}

/// How a run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Everything that is there at once.
    Burst,
    /// One input a call of the rules, each by a fresh instance.
    OneByOne,
    /// By a seed: a few inputs a call, a few records a fetch; aborted and ambiguous epochs, crashes with fresh instances.
    Restless(u64),
}

/// For people: how the inputs are cut.
impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Way::Burst => write!(f, "in large batches"),
            Way::OneByOne => write!(f, "with one input a batch, each in a fresh instance"),
            Way::Restless(seed) => write!(f, "with random cuts, aborts and crashes (seed {seed})"),
        }
    }
}

impl Way {
    /// The way of tests that look at one run, then one input a batch, then random ones from this seed on.
    pub fn all(seed: u64) -> impl Iterator<Item = Way> {
        /// Random runs of a scenario.
        const RANDOM: u64 = 4;
        let random = (0..RANDOM).map(move |more| Way::Restless(seed.wrapping_add(more)));
        [Way::Burst, Way::OneByOne].into_iter().chain(random)
    }
}

impl Setup {
    /// A pipeline with one partition a topic, everything that is there at once.
    pub fn new(compiler: Compiler, config: Config, component: Vec<u8>, schemas: Option<Arc<dyn Schemas>>) -> Setup {
        Setup {
            compiler,
            config,
            component,
            schemas,
            cluster: "stage".to_owned(),
            start: super::time::START,
            partitions: 1,
            output_partitions: 1,
            append_time: false,
            disk: None,
            services: None,
            restless: true,
            way: Way::Burst,
        }
    }

    /// A pipeline by its file, with `key=value` overrides, and its rules: `component`, else those that the file names. What a test
    /// does not have is left out: more workers, a folder for state, HTTP, a registry of schemas (instead: what the rules declare), and
    /// the limit to the future, because the clock stands still while event time leaps. Err: everything that must be mended.
    pub fn open(compiler: Compiler, file: &Path, component: Option<&Path>, sets: &[String]) -> Result<Setup, String> {
        let findings = |findings: Vec<crate::config::Finding>| {
            let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
            format!("{}:\n{}", file.display(), lines.join("\n"))
        };
        let mut config = Config::load(file, sets).map_err(findings)?;
        (config.workers, config.http, config.state.dir) = (1, None, None);
        for input in &mut config.inputs {
            input.max_ahead = ANY_TIME;
        }
        config.rules.time_limit = config.rules.time_limit.max(PATIENCE);
        let path = component.unwrap_or(&config.rules.file);
        let component = std::fs::read(path);
        let component =
            component.map_err(|why| format!("{} can't be read: {why}; build the rules first", path.display()))?;
        let schemas: Arc<dyn Schemas> = match &config.schemas {
            Some(SchemaSource::Folder(path)) => Arc::new(Folder::open(path).map_err(|why| why.to_string())?),
            _ => {
                let rules = compiler.compile(&component, &config.rules.settings, limits(&config))?;
                Arc::new(Declared::new(&config, rules.description()))
            }
        };
        Ok(Setup::new(compiler, config, component, Some(schemas)))
    }

    /// Compiles rules and binds them to the pipeline. Err: everything that doesn't fit.
    pub(super) fn wire(&self, component: &[u8], settings: &Value) -> Result<Wiring, String> {
        let rules = self.compiler.compile(component, settings, limits(&self.config))?;
        let outputs = vec![self.output_partitions; self.config.outputs.len()];
        let wiring = Wiring::new(rules, &self.config, self.schemas.as_deref(), &outputs);
        let mut wiring =
            wiring.map_err(|misfits| misfits.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
        wiring.batch = match self.way {
            Way::Burst => wiring.batch,
            Way::OneByOne => 1,
            Way::Restless(seed) => 1 + (seed % 5) as usize,
        };
        wiring.fresh = self.way == Way::OneByOne;
        Ok(wiring)
    }
}

/// Chance, by a seed.
#[derive(Clone, Debug)]
pub struct Dice(fastrand::Rng);

impl Dice {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Dice {
        Dice(fastrand::Rng::with_seed(seed))
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0.u64(..n)
    }
}

impl Stage {
    /// Makes the log as restless as the way says.
    pub(super) fn let_loose(&self) {
        let Way::Restless(seed) = self.setup.way else { return };
        let mut dice = Dice::new(seed);
        self.cluster
            .set_limits(Some(Box::new(move |_: Fetch<'_>| dice.below(5) as usize)));
        if !self.setup.restless {
            return;
        }
        let mut dice = Dice::new(seed.wrapping_add(1000));
        self.cluster.set_fates(Some(Box::new(move |call: Call<'_>| {
            let truth = match dice.below(8) {
                0 => Truth::Abort,
                1 if call.what == What::Submit => Truth::Dangle,
                _ => Truth::Commit,
            };
            let doubt = call.what == What::Submit && dice.below(6) == 0;
            let polls = dice.below(3) as u32;
            Fate {
                truth,
                doubt,
                polls,
                ..Fate::GOOD
            }
        })));
    }
}
