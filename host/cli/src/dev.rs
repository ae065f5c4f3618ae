//! `pelton dev`: builds each save, plays its scenarios, and swaps it into the running pipeline.
//!
//! Rule: the newest save wins. Rules that don't build, fail a scenario or don't fit the state change nothing; the old
//! ones keep running.

mod args;
mod build;
mod built;
mod change;
mod cycle;
mod demo;
mod project;
mod reporter;
mod saves;
mod swap;

pub(super) use args::Dev;

use super::exit::{FAILED, FINDINGS, OK, Trouble, USAGE};
use super::print::say;
use super::rules::via::Via;
use anyhow::anyhow;
use cycle::Cycle;
use pelton::instance::stop_signal;
use project::Project;
use reporter::Reporter;
use saves::{Batch, Next, Saves};
use std::io::Write;
use std::time::Duration;
use swap::Live;

/// How often the running pipeline is checked while nothing is saved.
const LOOK: Duration = Duration::from_secs(2);

/// Runs until it is told to stop, and returns the exit code.
pub(super) fn dev(dev: &Dev, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    match run(dev, out) {
        Ok(()) => OK,
        Err(Trouble(code, why)) => {
            say(err, &format!("{why}\n"));
            code
        }
    }
}

fn run(dev: &Dev, out: &mut dyn Write) -> Result<(), Trouble> {
    if dev.hold && dev.shadow == 0 {
        return Err(Trouble(
            USAGE,
            "--hold needs rules that run beside the live ones: --shadow 10m".into(),
        ));
    }
    let project = Project::find(dev).map_err(|why| Trouble(FINDINGS, why.to_string()))?;
    let live = live(dev)?;
    let failed = |why: anyhow::Error| Trouble(FAILED, why.to_string());
    let signals = stop_signal().map_err(|why| failed(anyhow!("signals can't be heard: {why}")))?;
    let mut saves = Saves::new(signals).map_err(failed)?;
    saves.follow(project.sources(None)).map_err(failed)?;
    let mut reporter = Reporter::new(out, dev.json);
    let mut cycle = Cycle::new(dev, project, live);
    let mut goes_on = cycle.take(Batch::all(), &mut saves, &mut reporter);
    while goes_on {
        match saves.next(LOOK) {
            Next::Saved(batch) => goes_on = cycle.take(batch, &mut saves, &mut reporter),
            Next::Quiet => cycle.look(&mut reporter).map_err(failed)?,
            Next::Stop => goes_on = false,
        }
    }
    cycle.end();
    Ok(())
}

/// The pipeline to swap into, if it runs already.
fn live(dev: &Dev) -> Result<Option<Live>, Trouble> {
    let live = match (&dev.url, &dev.config) {
        (Some(url), _) => Live::new(Via::http(url)?, format!("--to {url}")),
        (_, Some(file)) => Live::new(Via::kafka(file)?, format!("--config {}", file.display())),
        (None, None) => return Ok(None),
    };
    // A mistyped address fails now instead of after the build.
    live.status().map_err(|Trouble(_, why)| Trouble(FAILED, why))?;
    Ok(Some(live))
}
