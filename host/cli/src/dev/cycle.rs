//! The way of a save: it is built, played and swapped in.
//!
//! Rule: each step uses the result of the one before. Only rules that have passed all steps change what runs. If a save
//! fails at some step, the next save tries again.

use super::args::Dev;
use super::build::{Unbuilt, build};
use super::built::Built;
use super::change::Meaning;
use super::demo::{Demo, Start, Unstarted};
use super::project::{Fixed, Project, Stands};
use super::reporter::Reporter;
use super::saves::{Batch, Interrupt, Saves};
use super::swap::{Live, Manner, Swapped, Wanted};
use crate::exit::Trouble;
use crate::rules::via::Via;
use crate::test;
use anyhow::{Result, bail};
use pelton::testkit::{Compiler, Scenario, Setup};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The current save, and what runs.
pub struct Cycle<'a> {
    dev: &'a Dev,
    project: Project,
    manner: Manner,
    /// The last build, or `None` if it failed.
    built: Option<Built>,
    /// Dropped before the demo ends.
    live: Option<Live>,
    demo: Option<Demo>,
    /// What we have last made run.
    runs: Option<Runs>,
    /// Number of our last deploy.
    deployed: Option<u64>,
    /// The settings that the pipeline's file had at first.
    first: Option<Value>,
}

/// What runs, or is to run.
#[derive(Clone, PartialEq)]
struct Runs {
    rules: Wanted,
    /// What only a restart changes.
    fixed: Fixed,
}

/// Why a save was not completed.
enum End {
    /// The reason was shown already, or will be shown with the next save.
    Shown,
    /// The command was told to stop.
    Stop,
}

impl<'a> Cycle<'a> {
    /// Starts with nothing built. `live` is the running pipeline. If there is none, the demo is started.
    pub fn new(dev: &'a Dev, project: Project, live: Option<Live>) -> Cycle<'a> {
        Cycle {
            dev,
            project,
            manner: Manner::of(dev),
            built: None,
            live,
            demo: None,
            runs: None,
            deployed: None,
            first: None,
        }
    }

    /// Takes a save through all steps. Returns false if it was told to stop.
    pub fn take(&mut self, batch: Batch, saves: &mut Saves, reporter: &mut Reporter<'_>) -> bool {
        let files: Vec<String> = batch.files.iter().map(|path| self.project.name(path)).collect();
        let what = match &files[..] {
            [] => "start".to_owned(),
            [one] => format!("saved {one}"),
            [one, rest @ ..] => format!("saved {one} and {} more", rest.len()),
        };
        reporter.begin(&what, files, batch.since.unwrap_or_else(Instant::now));
        match self.go(batch.meaning, saves, reporter) {
            Ok(()) | Err(End::Shown) => true,
            Err(End::Stop) => {
                reporter.end("stopped", "stopped");
                false
            }
        }
    }

    fn go(&mut self, meaning: Meaning, saves: &mut Saves, reporter: &mut Reporter<'_>) -> Result<(), End> {
        if meaning == Meaning::Build || self.built.is_none() {
            self.build(saves, reporter)?;
        }
        // The build may have used files outside of the folder.
        if let Err(why) = saves.follow(self.project.sources(self.built.as_ref())) {
            reporter.block(&why.to_string());
        }
        let Some(built) = self.built.clone() else {
            return Err(End::Shown);
        };
        let stands = match self.project.read() {
            Ok(stands) => stands,
            Err(why) => return Err(self.remains(reporter, "config", &why.to_string(), "not deployed")),
        };
        let first = self.first.get_or_insert_with(|| stands.settings.clone());
        let own = self.dev.is_own();
        let rules = Wanted {
            component: built.component.clone(),
            settings: (own || *first != stands.settings).then(|| stands.settings.clone()),
        };
        let fixed = stands.fixed.clone();
        let wanted = Runs { rules, fixed };
        let same = self.runs.as_ref() == Some(&wanted);
        if same && meaning == Meaning::Build {
            reporter.end("unchanged", "nothing changed");
            return Ok(());
        }
        self.play(&built, &stands, saves, reporter)?;
        if same {
            reporter.end("unchanged", "nothing to swap");
            return Ok(());
        }
        match own && self.runs.as_ref().is_none_or(|runs| runs.fixed != wanted.fixed) {
            true => self.start(&built, wanted, saves, reporter),
            false => self.swap(wanted, saves, reporter),
        }
    }

    fn build(&mut self, saves: &mut Saves, reporter: &mut Reporter<'_>) -> Result<(), End> {
        let quiet = self.built.take().is_some() || self.runs.is_some();
        let begun = Instant::now();
        if !quiet {
            reporter.block("building; the first build takes longest");
        }
        // Cargo prints errors and warnings on lines of their own.
        reporter.close();
        match build(&self.project, quiet, saves) {
            Ok(built) => self.built = Some(built),
            Err(Unbuilt::Interrupted(interrupt)) => return Err(interrupted(interrupt, reporter)),
            Err(Unbuilt::Errors) => return Err(self.remains(reporter, "build", "", "does not build")),
            Err(Unbuilt::Failed(why)) => return Err(self.remains(reporter, "build", &why, "does not build")),
        }
        reporter.step("build", "built", begun.elapsed());
        Ok(())
    }

    fn play(&self, built: &Built, stands: &Stands, saves: &mut Saves, reporter: &mut Reporter<'_>) -> Result<(), End> {
        let begun = Instant::now();
        // A new compiler each time, because an old build is never played again.
        let setup = Compiler::new().and_then(|compiler| {
            let mut setup = Setup::open(compiler, &self.project.pipeline, Some(&built.path), &self.project.sets)?;
            // Another process may have built in the meantime.
            setup.component.clone_from(&built.component);
            Scenario::new(setup.clone()).map(|_| setup)
        });
        let setup = match setup {
            Ok(setup) => setup,
            Err(why) => {
                return Err(self.remains(reporter, "rules", &why.to_string(), "the rules don't fit the pipeline"));
            }
        };
        let mut failed = vec![];
        for path in &stands.scenarios {
            if let Some(interrupt) = saves.interrupt(Duration::ZERO) {
                return Err(interrupted(interrupt, reporter));
            }
            let played = test::one(&setup, path.clone(), test::SEED, false);
            if !played.report.problems.is_empty() {
                failed.push(test::shown(&played));
            }
        }
        let count = stands.scenarios.len();
        let text = match (failed.len(), count) {
            (0, 0) => "no scenarios".to_owned(),
            (0, 1) => "1 scenario holds".to_owned(),
            (0, count) => format!("{count} scenarios hold"),
            (failed, count) => format!("{failed} of {count} scenarios FAIL"),
        };
        reporter.step("scenarios", &text, begun.elapsed());
        if failed.is_empty() {
            return Ok(());
        }
        let shown = failed.concat();
        if self.dev.anyway {
            reporter.block(&shown);
            return Ok(());
        }
        Err(self.remains(
            reporter,
            "scenarios",
            &shown,
            "not deployed (use --anyway to deploy all the same)",
        ))
    }

    /// Starts the demo with these rules.
    fn start(
        &mut self,
        built: &Built,
        wanted: Runs,
        saves: &mut Saves,
        reporter: &mut Reporter<'_>,
    ) -> Result<(), End> {
        let begun = Instant::now();
        let anew = self.demo.is_some();
        (self.live, self.demo, self.runs, self.deployed) = (None, None, None, None);
        let start = Start {
            pipeline: &self.project.pipeline,
            sets: &self.project.sets,
            component: &built.path,
            http: self.dev.http,
            more: &self.dev.demo,
        };
        let building = &mut || reporter.block("building the demo, once; that takes some minutes");
        let demo = match Demo::start(&start, saves, building) {
            Ok(demo) => demo,
            Err(Unstarted::Stopped) => return Err(End::Stop),
            Err(Unstarted::Failed(why)) => return Err(self.remains(reporter, "demo", &why, "no demo runs")),
        };
        let via = match Via::http(&demo.url) {
            Ok(via) => via,
            Err(Trouble(_, why)) => return Err(self.remains(reporter, "demo", &why, "no demo runs")),
        };
        let live = Live::new(via, format!("--to {}", demo.url));
        reporter.step(
            "start",
            if anew {
                "the demo restarts, because the pipeline or its schemas have changed,"
            } else {
                "the demo starts"
            },
            begun.elapsed(),
        );
        reporter.note("url", json!(demo.url));
        let version = live.status().map(|running| running.version).unwrap_or_default();
        let url = demo.url.clone();
        (self.live, self.demo, self.runs) = (Some(live), Some(demo), Some(wanted));
        reporter.runs(&version);
        reporter.line(
            "serves",
            &format!("{url}/metrics, /health, /rules; save to swap the rules; Ctrl-C ends it"),
        );
        Ok(())
    }

    fn swap(&mut self, wanted: Runs, saves: &mut Saves, reporter: &mut Reporter<'_>) -> Result<(), End> {
        let Some(live) = &mut self.live else {
            return Err(End::Shown);
        };
        let address = live.address.clone();
        if !self.dev.is_own() && self.runs.as_ref().is_some_and(|runs| runs.fixed != wanted.fixed) {
            reporter.block(
                "more than the settings has changed in the pipeline or its schemas; restart the pipeline for that",
            );
        }
        match live.has(&wanted.rules) {
            Ok(false) => {}
            Ok(true) => {
                self.runs = Some(wanted);
                reporter.end("unchanged", "it runs already");
                return Ok(());
            }
            Err(Trouble(_, why)) => return Err(self.remains(reporter, "refused", &why, "not deployed")),
        }
        match live.swap(&wanted.rules, &self.manner, saves, reporter) {
            Swapped::Runs(promoted) => {
                (self.runs, self.deployed) = (Some(wanted), Some(promoted.number));
                reporter.runs(&promoted.version);
                Ok(())
            }
            Swapped::Slow(promoted) => {
                (self.runs, self.deployed) = (Some(wanted), Some(promoted.number));
                let text = format!(
                    "{} takes over as events arrive: see pelton rules status {address}",
                    promoted.version
                );
                reporter.end("slow", &text);
                Ok(())
            }
            Swapped::Held(version) => {
                reporter.end(
                    "held",
                    &format!("{version} is held; to let it take over: pelton rules promote {address}"),
                );
                Ok(())
            }
            Swapped::Withdrawn(why) => Err(self.remains(reporter, "withdrawn", &why, "withdrawn automatically")),
            Swapped::Trap => Err(self.remains(
                reporter,
                "traps",
                "",
                "it traps; not deployed (use --anyway to deploy all the same)",
            )),
            Swapped::Refused(why) => {
                let text = match self.dev.is_own() {
                    true => "not deployed (a restart of pelton dev begins without state)",
                    false => "not deployed",
                };
                Err(self.remains(reporter, "refused", &why, text))
            }
            Swapped::Interrupted(interrupt) => Err(interrupted(interrupt, reporter)),
        }
    }

    /// Called now and then while nothing is saved. Fails if there is no way to go on.
    pub fn look(&mut self, reporter: &mut Reporter<'_>) -> Result<()> {
        if self.demo.as_mut().is_some_and(Demo::has_ended) {
            bail!("the demo has ended: see above");
        }
        if let (Some(live), Some(number)) = (&self.live, self.deployed)
            && let Some(why) = live.withdrawn(number)
        {
            self.deployed = None;
            // It is not known what runs now, but it is known where.
            if let Some(runs) = &mut self.runs {
                runs.rules = Wanted {
                    component: vec![],
                    settings: None,
                };
            }
            reporter.line(
                "withdrawn",
                &format!("deploy {number} was withdrawn automatically, and the previous rules keep running: {why}"),
            );
        }
        Ok(())
    }

    /// Ends everything that this command has started.
    pub fn end(mut self) {
        if let Some(live) = &mut self.live {
            live.end_shadow();
        }
    }

    /// Ends the save without a swap, and shows why.
    fn remains(&self, reporter: &mut Reporter<'_>, outcome: &str, why: &str, text: &str) -> End {
        if !why.is_empty() {
            reporter.block(why);
        }
        let rest = match self.runs.is_some() || !self.dev.is_own() {
            true => "; the previous rules keep running",
            false => "; nothing runs yet",
        };
        reporter.end(outcome, &format!("{text}{rest}"));
        End::Shown
    }
}

fn interrupted(interrupt: Interrupt, reporter: &mut Reporter<'_>) -> End {
    match interrupt {
        Interrupt::Stop => End::Stop,
        Interrupt::Saved => {
            reporter.end("superseded", "there is a newer save");
            End::Shown
        }
    }
}
