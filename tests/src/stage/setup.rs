//! Sets the stage up: the money pipeline, and the ways in which a scenario is run.

use super::pipeline::Stage;
use super::time::START;
use crate::auditor::Format;
use pelton::config::Config;
use pelton::registry::folder::Folder;
use pelton::testkit::{self, Compiler, Way};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The money rules, as tests/build.rs has built them.
const MONEY: &str = env!("GUEST_ENRICH_WASM");

/// A pipeline before its start.
#[derive(Clone)]
pub struct Setup {
    /// The format of inputs and outputs.
    pub format: Format,
    pipeline: testkit::Setup,
}

impl Deref for Setup {
    type Target = testkit::Setup;

    fn deref(&self) -> &testkit::Setup {
        &self.pipeline
    }
}

impl DerefMut for Setup {
    fn deref_mut(&mut self) -> &mut testkit::Setup {
        &mut self.pipeline
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The compiler of this process. Rules are compiled only once.
pub fn compiler() -> Compiler {
    static COMPILER: OnceLock<Compiler> = OnceLock::new();
    COMPILER.get_or_init(|| Compiler::new().expect("an engine")).clone()
}

impl Setup {
    /// The money pipeline as in its example file, but with one partition for each topic, and with no limit to the
    /// future, so that event time may leap.
    pub fn money(format: Format) -> Setup {
        let file = match format {
            Format::Avro => "examples/money-avro/folder.toml",
            Format::Json => "examples/money-json/pelton.toml",
        };
        let sets = ["workers=1", "http=off", "defaults.max_ahead=36500d"].map(String::from);
        let config = Config::load(&root().join(file), &sets).unwrap_or_else(|findings| panic!("{file}: {findings:?}"));
        let schemas = Folder::open(&root().join("examples/schemas")).expect("the schemas of the examples");
        let component = std::fs::read(MONEY).expect("tests/build.rs has made it");
        let pipeline = testkit::Setup::new(compiler(), config, component, Some(Arc::new(schemas)));
        Setup {
            format,
            pipeline: testkit::Setup {
                start: START,
                ..pipeline
            },
        }
    }

    /// Sets the settings of the rules, such as `dedup_ttl` to `10s`.
    pub fn settings(&mut self, settings: &[(&str, &str)]) {
        let object = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).into()));
        self.config.rules.settings = serde_json::Value::Object(object.collect());
    }

    /// Starts it.
    pub fn start(self) -> Stage {
        let engine = testkit::Stage::new(self.pipeline);
        Stage::of(engine.unwrap_or_else(|why| panic!("{why}")), self.format)
    }
}

/// Runs a scenario of the money pipeline in every way, in Avro and in JSON. The results must be the same. At the end, a
/// replay of inputs and journal from their start must give the same outputs.
pub fn always(scenario: impl Fn(&mut Stage)) {
    always_with(|_| {}, scenario);
}

/// Like [`always`], with a change to the pipeline.
pub fn always_with(change: impl Fn(&mut Setup), scenario: impl Fn(&mut Stage)) {
    for way in Way::all(1) {
        for format in [Format::Avro, Format::Json] {
            let mut setup = Setup::money(format);
            setup.way = way;
            change(&mut setup);
            let _said = OnPanic(format!("the run: {format:?}, {way}"));
            let mut stage = setup.start();
            scenario(&mut stage);
            stage.check_replay();
        }
    }
}

/// Says which run it was if a scenario fails.
struct OnPanic(String);

impl Drop for OnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}
