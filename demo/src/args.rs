//! What the demo is told on its command line.

use clap::Parser;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Run the money pipeline on generated traffic, without Kafka.
#[derive(Parser)]
pub(crate) struct Args {
    /// How long to run, in seconds.
    #[arg(long, default_value_t = 30)]
    pub seconds: u64,
    /// For programs that start the demo: run until standard input ends, and print nothing but the HTTP address.
    #[arg(long, conflicts_with = "seconds")]
    pub attached: bool,
    /// Money events per second, without users, sessions and duplicates. Default: 20,000, or 2,000 with --attached.
    #[arg(long)]
    pub rate: Option<u64>,
    /// Number of users.
    #[arg(long, default_value_t = 20_000)]
    pub users: u32,
    /// The same seed makes the same traffic.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The pipeline's file.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/pelton.toml"))]
    pub file: PathBuf,
    /// Override a key of the file: --set rules.settings.dedup_ttl=10s
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// Address for /metrics, /health and `pelton rules`.
    #[arg(long, default_value = "127.0.0.1:9464")]
    pub http: SocketAddr,
}

impl Args {
    /// Money events per second.
    pub fn rate(&self) -> u64 {
        self.rate.unwrap_or(if self.attached { 2_000 } else { 20_000 })
    }
}

/// Partitions of every topic.
pub(crate) const PARTITIONS: i32 = 4;
