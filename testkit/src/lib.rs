//! Tests of rules in Rust: with the real task and the real component, step by step, without Kafka, in milliseconds.
//!
//! A scenario says what happens and what must result. [`Pipeline::always`] plays it in every way in which a pipeline
//! may cut its inputs: as they come, one by one with a new instance each, and at random with crashes. The results must
//! always be the same.
//!
//! ```no_run
//! use pelton_testkit::{Pipeline, json};
//!
//! let pipeline = Pipeline::new("pelton.toml", pelton_testkit::build(".", "release"));
//! pipeline.always(|s| {
//!     s.send("wallet", "u1", "0s", json!({ "id": "m1", "amount": 12.5 }));
//!     s.advance_to("1m");
//!     assert_eq!(s.outputs("alerts"), [json!({ "id": "m1" })]);
//!     s.crash();
//!     s.send("wallet", "u1", "2m", json!({ "id": "m1", "amount": 12.5 }));
//!     s.advance_to("3m");
//!     assert_eq!(s.outputs("alerts").len(), 1, "a duplicate");
//!     s.expect_state("seen", [r#"u1 m1 true until 1h2m"#]);
//! });
//! ```
//!
//! Rule: anything unexpected ends the test with a text that says why. Scenario files (`pelton test`) can express the
//! same, with the same words.
#![warn(missing_docs)]

mod build;
mod done;
mod scenario;

pub use build::build;
pub use pelton::service::Answer;
pub use pelton::testkit::{ScenarioError, Way};
pub use scenario::{Scenario, Time};
pub use serde_json::{Value, json};

use done::done;
use pelton::testkit::file::ScenarioFile;
use pelton::testkit::play::play;
use pelton::testkit::{self, Compiler, Setup, differences};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A pipeline with its rules, for scenarios.
#[derive(Clone, Debug)]
pub struct Pipeline {
    file: PathBuf,
    rules: PathBuf,
    sets: Vec<String>,
    seed: u64,
    restless: bool,
}

/// The compiler of this process. All tests share it, so each component is compiled once.
fn compiler() -> Compiler {
    static COMPILER: OnceLock<Compiler> = OnceLock::new();
    COMPILER.get_or_init(|| done(Compiler::new())).clone()
}

impl Pipeline {
    /// A pipeline's file with a component. Paths are relative to the working directory, which is the package's folder
    /// with cargo.
    pub fn new(file: impl Into<PathBuf>, rules: impl Into<PathBuf>) -> Pipeline {
        Pipeline {
            file: file.into(),
            rules: rules.into(),
            sets: vec![],
            seed: 1,
            restless: true,
        }
    }

    /// Leaves aborts and crashes out of random runs. Scenarios that [`wait`](Scenario::wait) need this, because
    /// idleness is measured again after each.
    pub fn steady(mut self) -> Pipeline {
        self.restless = false;
        self
    }

    /// Overrides a key of the file: `rules.settings.dedup_ttl=10s`.
    pub fn set(mut self, assignment: &str) -> Pipeline {
        self.sets.push(assignment.to_owned());
        self
    }

    /// Uses this seed for the random cuts. A failure prints its seed.
    pub fn seed(mut self, seed: u64) -> Pipeline {
        self.seed = seed;
        self
    }

    fn setup(&self) -> Result<Setup, ScenarioError> {
        Setup::open(compiler(), &self.file, Some(&self.rules), &self.sets)
    }

    /// A scenario that is played with all available records at once.
    #[track_caller]
    pub fn scenario(&self) -> Scenario {
        self.scenario_in(Way::Burst)
    }

    /// A scenario that is played in this way.
    #[track_caller]
    pub fn scenario_in(&self, way: Way) -> Scenario {
        let setup = Setup {
            way,
            restless: self.restless,
            ..done(self.setup())
        };
        Scenario::of(done(testkit::Scenario::new(setup)))
    }

    /// Plays a scenario in every way. At the end, all results (outputs, dead letters, state, timers) must be the same
    /// in each, and also in a replay of the inputs and the journal from the start.
    pub fn always(&self, scenario: impl Fn(&mut Scenario)) {
        let mut first: Option<Vec<(String, Vec<String>)>> = None;
        for way in Way::all(self.seed) {
            let _said = OnPanic(way);
            let mut playing = self.scenario_in(way);
            scenario(&mut playing);
            let came = playing.everything();
            for ((what, before), (_, now)) in first.iter().flatten().zip(&came) {
                if let Some(text) = differences(before, now) {
                    panic!(
                        "the rules are not deterministic: {what} differs (- {}, + {way})\n{text}",
                        Way::Burst
                    );
                }
            }
            playing.check_replay();
            first.get_or_insert(came);
        }
    }

    /// Plays the scenarios of a folder (`*.scenario`) like `pelton test`.
    pub fn files(&self, folder: impl AsRef<Path>) {
        let folder = folder.as_ref();
        let setup = done(self.setup());
        let unreadable = |why: std::io::Error| format!("{} can't be read: {why}", folder.display());
        let entries = done(std::fs::read_dir(folder).map_err(unreadable));
        let mut files: Vec<PathBuf> = entries.map(|entry| done(entry.map_err(unreadable)).path()).collect();
        files.retain(|file| file.extension().is_some_and(|ending| ending == "scenario"));
        files.sort();
        assert!(!files.is_empty(), "{} has no files NAME.scenario", folder.display());
        let mut problems = String::new();
        for path in files {
            let text = done(std::fs::read_to_string(&path).map_err(unreadable));
            let lines: Vec<String> = match ScenarioFile::parse(&text) {
                Err(wrong) => wrong.iter().map(ToString::to_string).collect(),
                Ok(file) => {
                    let found = play(&file, &setup, folder, self.seed, false).problems.into_iter();
                    found
                        .map(|problem| format!("line {}: {}", problem.line, problem.text))
                        .collect()
                }
            };
            for line in lines {
                problems += &format!("\n{}, {line}", path.display());
            }
        }
        assert!(problems.is_empty(), "{problems}");
    }
}

/// If a scenario fails, says in which way it was played.
struct OnPanic(Way);

impl Drop for OnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the scenario was played {}", self.0);
        }
    }
}
