//! What `pelton dev` is told on its command line.

use clap::Args;
use pelton::config::parse_duration;
use pelton::record::Millis;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Dev {
    /// Folder of the rules' crate.
    #[arg(default_value = ".")]
    pub folder: PathBuf,
    /// The pipeline's file. Default: the pelton.toml in the folder, or the nearest one above.
    #[arg(long, value_name = "FILE")]
    pub pipeline: Option<PathBuf>,
    /// A folder of files NAME.scenario, or one such file. Default: the crate's folder `scenarios`.
    #[arg(long, value_name = "PATH")]
    pub scenarios: Vec<PathBuf>,
    /// Override a key of the pipeline's file: --set rules.settings.window=5s
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// Cargo's profile. Default: that of the component that the pipeline's file names.
    #[arg(long)]
    pub profile: Option<String>,
    /// Swap into a pipeline that already runs: address of an instance (`http` in its file). Default: start the demo.
    #[arg(long = "to", value_name = "URL")]
    pub url: Option<String>,
    /// Swap into a pipeline that already runs, through Kafka alone: the file of that pipeline.
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    pub config: Option<PathBuf>,
    /// Address at which the demo serves /metrics, /health and /rules.
    #[arg(long, default_value = "127.0.0.1:9464", conflicts_with_all = ["url", "config"])]
    pub http: SocketAddr,
    /// How long new rules first run beside the live ones, in event time, to show what they do differently. With 0, they
    /// take over at once.
    #[arg(long, default_value = "1s", value_name = "DURATION", value_parser = duration)]
    pub shadow: Millis,
    /// Don't let new rules take over; wait for `pelton rules promote`.
    #[arg(long)]
    pub hold: bool,
    /// Let new rules take over even if a scenario fails, or if they trap beside the live ones.
    #[arg(long, conflicts_with = "hold")]
    pub anyway: bool,
    /// Allow state and outputs that earlier versions can't read. Then there may be no way back.
    #[arg(long)]
    pub one_way: bool,
    /// Send pending timers and lookups that the new rules don't know to the dead letters.
    #[arg(long)]
    pub drop_timers: bool,
    /// Print one JSON object per line.
    #[arg(long)]
    pub json: bool,
    /// Arguments for the demo: pelton dev -- --rate 20000
    #[arg(last = true, value_name = "DEMO", conflicts_with_all = ["url", "config"])]
    pub demo: Vec<String>,
}

fn duration(text: &str) -> Result<Millis, String> {
    let millis = parse_duration(text).and_then(|duration| Millis::try_from(duration.as_millis()).ok());
    millis.ok_or_else(|| "expected 1s, 500ms, 1m, or 0".into())
}

impl Dev {
    /// Whether we start and stop the demo.
    pub fn is_own(&self) -> bool {
        self.url.is_none() && self.config.is_none()
    }
}
