//! `pelton test`: plays scenario files in every way.

use super::exit::{FINDINGS, OK};
use super::print::say;
use anyhow::{anyhow, bail};
use clap::Args;
use pelton::testkit::file::ScenarioFile;
use pelton::testkit::play::{PlayReport, Problem, play};
use pelton::testkit::{Compiler, Setup, Way};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Default seed of the random batch sizes and crashes.
pub(super) const SEED: u64 = 1;

#[derive(Debug, Args)]
pub(super) struct Test {
    /// Folders of files NAME.scenario, or single files.
    #[arg(default_value = "scenarios")]
    paths: Vec<PathBuf>,
    /// The pipeline's file. Default: the pelton.toml next to the scenarios, or the nearest one above.
    #[arg(long, value_name = "FILE")]
    pipeline: Option<PathBuf>,
    /// The rules. Default: those that the pipeline's file names.
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Override a key of the pipeline's file: --set rules.settings.dedup_ttl=10s
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Write the actual results into the files, in place of the expected ones.
    #[arg(long)]
    update: bool,
    /// Seed of the random batch sizes and crashes. A failure prints it.
    #[arg(long, default_value_t = SEED)]
    seed: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// A file that was played.
pub(super) struct Played {
    path: PathBuf,
    pub(super) report: PlayReport,
    took: Duration,
    /// Whether the file was changed.
    written: bool,
}

/// Plays the files, and returns the exit code.
pub(super) fn test(test: &Test, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let begun = Instant::now();
    let setup = match open(test) {
        Ok(setup) => setup,
        Err(why) => {
            say(err, &format!("{why}\n"));
            return FINDINGS;
        }
    };
    let files = match files(&test.paths) {
        Ok(files) => files,
        Err(why) => {
            say(err, &format!("{why}\n"));
            return FINDINGS;
        }
    };
    let ready = begun.elapsed();
    let mut all = vec![];
    for path in files {
        let played = one(&setup, path, test.seed, test.update);
        if !test.json {
            say(out, &shown(&played));
        }
        all.push(played);
    }
    let failed = all.iter().filter(|played| !played.report.problems.is_empty()).count();
    if test.json {
        say(out, &format!("{}\n", as_json(&all, ready)));
    } else {
        let took: Duration = all.iter().map(|played| played.took).sum();
        let (count, ways) = (all.len(), Way::all(test.seed).count());
        let verdict = match (failed, count) {
            (0, 1) => "the scenario holds".to_owned(),
            (0, count) => format!("all {count} scenarios hold"),
            (failed, count) => format!("{} of {count} scenarios hold", count - failed),
        };
        say(
            out,
            &format!(
                "{verdict}; each was played in {ways} ways: {} ms, after {} ms to compile the rules\n",
                took.as_millis(),
                ready.as_millis()
            ),
        );
    }
    if failed == 0 { OK } else { FINDINGS }
}

fn open(test: &Test) -> anyhow::Result<Setup> {
    let pipeline = match &test.pipeline {
        Some(file) => file.clone(),
        None => nearest(test.paths.first().map_or(Path::new("."), PathBuf::as_path))?,
    };
    let setup = Setup::open(Compiler::new()?, &pipeline, test.rules.as_deref(), &test.sets)?;
    // Compiles the rules once, so that scenarios are timed without it. What does not fit is reported only once.
    pelton::testkit::Scenario::new(setup.clone()).map_err(|why| anyhow!("{}: {why}", pipeline.display()))?;
    Ok(setup)
}

/// The pelton.toml in this folder or next to this file, or the nearest one above.
pub(super) fn nearest(path: &Path) -> anyhow::Result<PathBuf> {
    let from = path
        .canonicalize()
        .map_err(|why| anyhow!("{} can't be read: {why}", path.display()))?;
    let found = from
        .ancestors()
        .map(|folder| folder.join("pelton.toml"))
        .find(|file| file.is_file());
    found.ok_or_else(|| {
        let path = path.display();
        anyhow!("there is no pelton.toml next to {path} or above it; name the pipeline's file with --pipeline FILE")
    })
}

/// The scenario files of all paths. Fails if a path can't be read or has none.
fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = vec![];
    for path in paths {
        let its = inside(path).map_err(|why| anyhow!("{} can't be read: {why}", path.display()))?;
        if its.is_empty() {
            bail!(
                "{} has no files NAME.scenario; `pelton test --help` describes them",
                path.display()
            );
        }
        files.extend(its);
    }
    Ok(files)
}

/// The scenario files in a folder, sorted by name; or the file itself.
pub(super) fn inside(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut files = vec![];
    for entry in std::fs::read_dir(path)? {
        let file = entry?.path();
        if file.extension().is_some_and(|ending| ending == "scenario") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// Plays a file in every way. If `update`, the file may be changed.
pub(super) fn one(setup: &Setup, path: PathBuf, seed: u64, update: bool) -> Played {
    let begun = Instant::now();
    let problem = |line, text| PlayReport {
        problems: vec![Problem { line, text }],
        ..PlayReport::default()
    };
    let mut written = false;
    let report = match std::fs::read_to_string(&path).map(|text| (ScenarioFile::parse(&text), text)) {
        Err(why) => problem(0, format!("it can't be read: {why}")),
        Ok((Err(wrong), _)) => PlayReport {
            problems: wrong
                .into_iter()
                .map(|wrong| Problem {
                    line: wrong.line,
                    text: wrong.why,
                })
                .collect(),
            ..PlayReport::default()
        },
        Ok((Ok(file), text)) => {
            let folder = path.parent().unwrap_or(Path::new(""));
            let report = play(&file, setup, folder, seed, update);
            match &report.updated {
                Some(updated) if *updated != text => match std::fs::write(&path, updated) {
                    Ok(()) => {
                        written = true;
                        report
                    }
                    Err(why) => problem(0, format!("it can't be written: {why}")),
                },
                _ => report,
            }
        }
    };
    Played {
        path,
        report,
        took: begun.elapsed(),
        written,
    }
}

/// The result as text for people.
pub(super) fn shown(played: &Played) -> String {
    let (path, report) = (played.path.display(), &played.report);
    let mut text = match (report.problems.is_empty(), played.written) {
        (false, _) => format!("FAIL    {path}\n"),
        (true, true) => format!("updated {path}\n"),
        (true, false) => format!("ok      {path}\n"),
    };
    for Problem { line, text: why } in &report.problems {
        text += &format!("  line {line}: {}\n", why.replace('\n', "\n    "));
    }
    if !report.misses.is_empty() {
        let stores: Vec<String> = report
            .misses
            .iter()
            .map(|(store, count)| format!("{store} {count}"))
            .collect();
        text += &format!(
            "  read without being named before (prefetch misses): {}\n",
            stores.join(", ")
        );
    }
    text
}

fn as_json(all: &[Played], ready: Duration) -> serde_json::Value {
    let scenario = |played: &Played| {
        let problems = played.report.problems.iter();
        let misses: serde_json::Map<_, _> = played
            .report
            .misses
            .iter()
            .map(|(store, count)| (store.clone(), json!(count)))
            .collect();
        json!({
            "file": played.path.display().to_string(),
            "ok": played.report.problems.is_empty(),
            "problems": problems.map(|problem| json!({ "line": problem.line, "text": problem.text })).collect::<Vec<_>>(),
            "misses": misses,
            "updated": played.written,
            "ms": played.took.as_millis() as u64,
        })
    };
    json!({
        "ok": all.iter().all(|played| played.report.problems.is_empty()),
        "compile_ms": ready.as_millis() as u64,
        "scenarios": all.iter().map(scenario).collect::<Vec<_>>(),
    })
}
