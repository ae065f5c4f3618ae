//! What is on the stage: the pipeline, its rules, and the ways in which a scenario is run.

use super::{START, Stage};
use crate::auditor::Format;
use pelton::config::Config;
use pelton::log::embedded::{Call, Fate, Fetch, Truth, What};
use pelton::registry::Schemas;
use pelton::registry::folder::Folder;
use pelton::rules::{Engine, Limits, Rules};
use pelton::service::Services;
use pelton::store::memory::Disk;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// The money rules, as built by tests/build.rs.
const MONEY: &str = env!("GUEST_ENRICH_WASM");

/// A pipeline about to start.
#[derive(Clone)]
pub struct Setup {
    /// How inputs and outputs are written.
    pub format: Format,
    /// Stands for the identity of the cluster.
    pub cluster: String,
    /// Of every topic but the outputs.
    pub partitions: i32,
    /// Of the outputs.
    pub output_partitions: i32,
    /// True: the broker says when a record of an input was appended.
    pub append_time: bool,
    /// The pipeline's file.
    pub config: Config,
    /// The rules.
    pub component: Vec<u8>,
    /// Where schemas come from.
    pub schemas: Arc<dyn Schemas>,
    /// Local state; none: the changelog alone.
    pub disk: Option<Disk>,
    /// Other services than the script.
    pub services: Option<Arc<dyn Fn() -> Box<dyn Services>>>,
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
    /// One input a call of the rules.
    OneByOne,
    /// By a seed: a few inputs a call, a few records a fetch; aborted and ambiguous epochs, crashes with fresh instances.
    Restless(u64),
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

impl Setup {
    /// The money pipeline as its example file says, with one partition a topic, and no limit to the future, so that
    /// event time may leap.
    pub fn money(format: Format) -> Setup {
        let file = match format {
            Format::Avro => "examples/money-avro/folder.toml",
            Format::Json => "examples/money-json/pelton.toml",
        };
        let sets = ["workers=1", "http=off", "defaults.max_ahead=36500d"].map(String::from);
        let config = Config::load(&root().join(file), &sets).unwrap_or_else(|findings| panic!("{file}: {findings:?}"));
        let schemas = Folder::open(&root().join("examples/schemas")).expect("the schemas of the examples");
        Setup {
            format,
            cluster: "stage".to_owned(),
            partitions: 1,
            output_partitions: 1,
            append_time: false,
            config,
            component: std::fs::read(MONEY).expect("tests/build.rs has made it"),
            schemas: Arc::new(schemas),
            disk: None,
            services: None,
            restless: true,
            way: Way::Burst,
        }
    }

    /// Other settings of the rules: `dedup_ttl`, `10s`.
    pub fn settings(&mut self, settings: &[(&str, &str)]) {
        let object = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).into()));
        self.config.rules.settings = serde_json::Value::Object(object.collect());
    }

    /// Starts it.
    pub fn start(mut self) -> Stage {
        self.config.rules.batch = match self.way {
            Way::Burst => self.config.rules.batch,
            Way::OneByOne => 1,
            Way::Restless(seed) => 1 + seed as usize % 5,
        };
        Stage::new(self, START)
    }
}

/// Runs a scenario of the money pipeline in every way, in Avro and in JSON: what it finds must be the same. At the end, inputs
/// and journal, read again from their start, must give the same outputs.
pub fn always(scenario: impl Fn(&mut Stage)) {
    always_with(|_| {}, scenario);
}

/// As [`always`], with a change of the pipeline.
pub fn always_with(change: impl Fn(&mut Setup), scenario: impl Fn(&mut Stage)) {
    let seeds = (1..=4).map(Way::Restless);
    for way in [Way::Burst, Way::OneByOne].into_iter().chain(seeds) {
        for format in [Format::Avro, Format::Json] {
            let mut setup = Setup::money(format);
            setup.way = way;
            change(&mut setup);
            let _said = OnPanic(format!("the run: {format:?}, {way:?}"));
            let mut stage = setup.start();
            scenario(&mut stage);
            stage.check_replay();
        }
    }
}

/// Says which run it was, when a scenario fails.
struct OnPanic(String);

impl Drop for OnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}

/// Rules, compiled once in this process.
pub fn compile(component: &[u8], settings: &serde_json::Value, limits: Limits) -> Result<Rules, String> {
    type Key = (Vec<u8>, String, String);
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    static COMPILED: OnceLock<Mutex<HashMap<Key, Rules>>> = OnceLock::new();
    let settings = settings.to_string();
    let key = (component.to_vec(), settings.clone(), format!("{limits:?}"));
    let mut compiled = COMPILED
        .get_or_init(Default::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(rules) = compiled.get(&key) {
        return Ok(rules.clone());
    }
    let engine = ENGINE.get_or_init(|| Engine::new().expect("an engine"));
    let rules = engine
        .compile(component, &settings, limits)
        .map_err(|why| why.to_string())?;
    compiled.insert(key, rules.clone());
    Ok(rules)
}

/// Chance, by a seed.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) % n
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
        let mut dice = Dice::new(seed + 1000);
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

    /// The limits of the rules' sandboxes.
    pub(super) fn limits(&self) -> Limits {
        Limits {
            memory: self.setup.config.rules.memory_limit,
            time: self.setup.config.rules.time_limit,
            ..Limits::default()
        }
    }

    /// Partitions of the outputs, by index.
    pub(super) fn output_partitions(&self) -> Vec<i32> {
        vec![self.setup.output_partitions; self.setup.config.outputs.len()]
    }

    /// How often ends of partitions are proved: four times within the shortest `idle_after`.
    pub(super) fn proofs(&self) -> Duration {
        let shortest = self.setup.config.inputs.iter().map(|input| input.idle_after).min();
        shortest.unwrap_or_default() / 4
    }
}
