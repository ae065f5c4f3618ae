//! Runs a pipeline.

pub mod preflight;

use crate::config::Config;

/// Runs until it is told to stop.
pub fn run(config: Config) -> anyhow::Result<()> {
    anyhow::bail!("the pipeline {} can't run: this build has no pipeline", config.name)
}
