//! `pelton dev`: builds each save, plays its scenarios, and swaps it into the running pipeline.
//!
//! Rule: the newest save wins. Rules that don't build, fail a scenario or don't fit the state change nothing; the old
//! ones keep running.

mod build;
mod change;
mod cycle;
mod demo;
mod project;
mod saves;
mod swap;
mod tell;

use super::rules::Trouble;
use super::rules::via::Via;
use super::{FAILED, FINDINGS, OK, USAGE, say};
use clap::Args;
use cycle::Cycle;
use pelton::config::parse_duration;
use pelton::instance::stop_signal;
use pelton::record::Millis;
use project::Project;
use saves::{Batch, Next, Saves};
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use swap::Live;
use tell::Telling;

/// How often the running pipeline is checked while nothing is saved.
const LOOK: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(super) struct Dev {
    /// Folder of the rules' crate.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// The pipeline's file. Default: the pelton.toml in the folder, or the nearest one above.
    #[arg(long, value_name = "FILE")]
    pipeline: Option<PathBuf>,
    /// A folder of files NAME.scenario, or one such file. Default: the crate's folder `scenarios`.
    #[arg(long, value_name = "PATH")]
    scenarios: Vec<PathBuf>,
    /// Override a key of the pipeline's file: --set rules.settings.window=5s
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Cargo's profile. Default: that of the component that the pipeline's file names.
    #[arg(long)]
    profile: Option<String>,
    /// Swap into a pipeline that already runs: address of an instance (`http` in its file). Default: start the demo.
    #[arg(long = "to", value_name = "URL")]
    url: Option<String>,
    /// Swap into a pipeline that already runs, through Kafka alone: the file of that pipeline.
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    config: Option<PathBuf>,
    /// Address at which the demo serves /metrics, /health and /rules.
    #[arg(long, default_value = "127.0.0.1:9464", conflicts_with_all = ["url", "config"])]
    http: SocketAddr,
    /// How long new rules first run beside the live ones, in event time, to show what they do differently. With 0, they
    /// take over at once.
    #[arg(long, default_value = "1s", value_name = "DURATION", value_parser = duration)]
    shadow: Millis,
    /// Don't let new rules take over; wait for `pelton rules promote`.
    #[arg(long)]
    hold: bool,
    /// Let new rules take over even if a scenario fails, or if they trap beside the live ones.
    #[arg(long, conflicts_with = "hold")]
    anyway: bool,
    /// Allow state and outputs that earlier versions can't read. Then there may be no way back.
    #[arg(long)]
    one_way: bool,
    /// Send pending timers and lookups that the new rules don't know to the dead letters.
    #[arg(long)]
    drop_timers: bool,
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
    /// Arguments for the demo: pelton dev -- --rate 20000
    #[arg(last = true, value_name = "DEMO", conflicts_with_all = ["url", "config"])]
    demo: Vec<String>,
}

fn duration(text: &str) -> Result<Millis, String> {
    let millis = parse_duration(text).and_then(|duration| Millis::try_from(duration.as_millis()).ok());
    millis.ok_or_else(|| "expected 1s, 500ms, 1m, or 0".into())
}

impl Dev {
    /// Whether we start and stop the demo.
    fn is_own(&self) -> bool {
        self.url.is_none() && self.config.is_none()
    }

    /// The pipeline to swap into, if it runs already.
    fn live(&self) -> Result<Option<Live>, Trouble> {
        let live = match (&self.url, &self.config) {
            (Some(url), _) => Live::new(Via::http(url)?, format!("--to {url}")),
            (_, Some(file)) => Live::new(Via::kafka(file)?, format!("--config {}", file.display())),
            (None, None) => return Ok(None),
        };
        // A mistyped address fails now instead of after the build.
        live.status().map_err(|why| Trouble(FAILED, why))?;
        Ok(Some(live))
    }
}

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
    let project = Project::find(dev).map_err(|why| Trouble(FINDINGS, why))?;
    let live = dev.live()?;
    let failed = |why: String| Trouble(FAILED, why);
    let signals = stop_signal().map_err(|why| failed(format!("signals can't be heard: {why}")))?;
    let mut saves = Saves::new(signals).map_err(failed)?;
    saves.follow(project.sources(None)).map_err(failed)?;
    let mut tell = Telling::new(out, dev.json);
    let mut cycle = Cycle::new(dev, project, live);
    let mut goes_on = cycle.take(Batch::all(), &mut saves, &mut tell);
    while goes_on {
        match saves.next(LOOK) {
            Next::Saved(batch) => goes_on = cycle.take(batch, &mut saves, &mut tell),
            Next::Quiet => cycle.look(&mut tell).map_err(failed)?,
            Next::Stop => goes_on = false,
        }
    }
    cycle.end();
    Ok(())
}
