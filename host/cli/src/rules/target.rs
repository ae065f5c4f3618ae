//! The pipeline that a command is for.

use clap::Args;
use std::path::PathBuf;

/// The pipeline that a command is for.
#[derive(Debug, Args)]
pub struct Target {
    /// Address of a running instance (`http` in its file).
    #[arg(long = "to", value_name = "URL", default_value = "http://127.0.0.1:9464")]
    pub url: String,
    /// The pipeline's file: use only Kafka, without asking an instance.
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    pub config: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}
