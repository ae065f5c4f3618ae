//! The setup of a stage: the pipeline, its rules, and how to run it.

use super::Compiler;
use super::error::Result;
use super::schemas::DeclaredSchemas;
use crate::binding::Wiring;
use crate::config::{Config, SchemaSource};
use crate::deploy::compile::{Unfit, limits};
use crate::log::embedded::{CallKind, Embedded, Fate, FetchCall, Truth, TxnCall};
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

/// A hundred years in milliseconds, longer than any scenario.
const ANY_TIME: Millis = 36_500 * 86_400_000;

/// Minimum time limit for a call of the rules, so that a busy machine does not change the result.
const PATIENCE: Duration = Duration::from_secs(2);

/// Makes the external services of an instance.
pub type MakeServices = Arc<dyn Fn() -> Box<dyn Services>>;

/// Everything that a stage needs to start.
#[derive(Clone)]
pub struct Setup {
    /// Compiles the rules.
    pub compiler: Compiler,
    /// The configuration.
    pub config: Config,
    /// The rules.
    pub component: Vec<u8>,
    /// Where schemas come from.
    pub schemas: Option<Arc<dyn Schemas>>,
    /// Id of the cluster.
    pub cluster: String,
    /// The clock's time at the start, in milliseconds since 1970.
    pub start: Millis,
    /// What its topics are like.
    pub topics: SetupTopics,
    /// Local state, or `None` to use only the changelog.
    pub disk: Option<Disk>,
    /// Services to use instead of the script.
    pub services: Option<MakeServices>,
    /// Whether a random run may also abort epochs and crash. Not for scenarios in which time passes, because idleness
    /// is measured again after each crash.
    pub restless: bool,
    /// How to run it.
    pub way: Way,
}

/// The topics of a pipeline under test.
#[derive(Clone, Copy, Debug)]
pub struct SetupTopics {
    /// Number of partitions of every topic except the outputs.
    pub partitions: i32,
    /// Number of partitions of the outputs.
    pub output_partitions: i32,
    /// Whether the broker sets the timestamps of inputs, at append.
    pub append_time: bool,
}

/// A way to run a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// All available records at once.
    Burst,
    /// One input for each call of the rules, each with a new instance of them.
    OneByOne,
    /// Random, from this seed: a few inputs for each call, a few records for each fetch, aborted and ambiguous epochs,
    /// crashes, and new instances of the rules.
    Restless(u64),
}

/// Says how the inputs are cut, for people.
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
    /// All ways: the one with large batches, then one input for each call, then random ones whose seeds begin with this
    /// one.
    pub fn all(seed: u64) -> impl Iterator<Item = Way> {
        /// Number of random runs.
        const RANDOM: u64 = 4;
        let random = (0..RANDOM).map(move |more| Way::Restless(seed.wrapping_add(more)));
        [Way::Burst, Way::OneByOne].into_iter().chain(random)
    }
}

impl Setup {
    /// A pipeline with one partition for each topic, run with all available records at once.
    pub fn new(compiler: Compiler, config: Config, component: Vec<u8>, schemas: Option<Arc<dyn Schemas>>) -> Setup {
        Setup {
            compiler,
            config,
            component,
            schemas,
            cluster: "stage".to_owned(),
            start: super::time::START,
            topics: SetupTopics {
                partitions: 1,
                output_partitions: 1,
                append_time: false,
            },
            disk: None,
            services: None,
            restless: true,
            way: Way::Burst,
        }
    }

    /// A pipeline from its file, with `key=value` overrides, and its rules: `component`, or else the file that it
    /// names. A test does without multiple workers, a folder for state, HTTP, and a schema registry (it uses the
    /// schemas of the rules). It also does without `max_ahead`, because its clock stands still while event time jumps.
    /// The error says everything that must be fixed.
    pub fn open(compiler: Compiler, file: &Path, component: Option<&Path>, sets: &[String]) -> Result<Setup> {
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
                let rules = compiler.compile(&component, &config.rules.settings, limits(&config));
                let rules = rules.map_err(|why| why.to_string())?;
                Arc::new(DeclaredSchemas::new(&config, rules.description()))
            }
        };
        Ok(Setup::new(compiler, config, component, Some(schemas)))
    }

    /// Compiles rules and binds them to the pipeline. The error says everything that does not fit.
    pub(super) fn wire(&self, component: &[u8], settings: &Value) -> std::result::Result<Wiring, Unfit> {
        let rules = self.compiler.compile(component, settings, limits(&self.config))?;
        let outputs = vec![self.topics.output_partitions; self.config.outputs.len()];
        let mut wiring = Wiring::new(rules, &self.config, self.schemas.as_deref(), &outputs)?;
        wiring.batch = match self.way {
            Way::Burst => wiring.batch,
            Way::OneByOne => 1,
            Way::Restless(seed) => 1 + (seed % 5) as usize,
        };
        wiring.fresh = self.way == Way::OneByOne;
        Ok(wiring)
    }

    /// Makes the cluster as unreliable as the way says.
    pub(super) fn let_loose(&self, cluster: &Embedded) {
        let Way::Restless(seed) = self.way else { return };
        let mut dice = Dice::new(seed);
        cluster.set_limits(Some(Box::new(move |_: FetchCall<'_>| dice.below(5) as usize)));
        if !self.restless {
            return;
        }
        let mut dice = Dice::new(seed.wrapping_add(1000));
        cluster.set_fates(Some(Box::new(move |call: TxnCall<'_>| {
            let truth = match dice.below(8) {
                0 => Truth::Abort,
                1 if call.what == CallKind::Submit => Truth::Dangle,
                _ => Truth::Commit,
            };
            let doubt = call.what == CallKind::Submit && dice.below(6) == 0;
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

/// A random generator with a seed.
#[derive(Clone, Debug)]
pub struct Dice(fastrand::Rng);

impl Dice {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Dice {
        Dice(fastrand::Rng::with_seed(seed))
    }

    /// A random number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0.u64(..n)
    }
}
