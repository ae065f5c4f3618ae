//! The configuration: everything that other modules need from a pipeline's file, checked, with defaults filled in.
//!
//! Rule: raw text becomes a [`Config`] once, at the start. After that, nothing is parsed or checked again. Reading does
//! not stop at the first mistake: each mistake is a [`Finding`], with its key and its cure.

mod finding;
mod overlay;
mod pipeline;
pub mod properties;
mod read;
mod section;
mod tables;
#[cfg(test)]
mod tests;
mod topics;
mod units;

pub(crate) use finding::without_secrets;
pub use finding::{Finding, Severity};
pub use pipeline::{
    Budget, Config, EpochConfig, Format, InputConfig, LogFormat, LookupConfig, OnDataLoss, OutputConfig, RulesFile,
    SchemaSource, StartAt, StateConfig, TimeSource, TopicsConfig,
};
pub use topics::OwnedTopic;
pub use units::parse_duration;

use std::path::Path;

impl Config {
    /// Reads a pipeline's file, with `key=value` overrides. The error lists every mistake, not only the first.
    pub fn load(path: &Path, sets: &[String]) -> Result<Config, Vec<Finding>> {
        match Config::examine(path, sets) {
            (Some(config), _) => Ok(config),
            (None, findings) => Err(findings),
        }
    }

    /// Like [`load`](Config::load), but also returns the warnings. There is a config unless a finding is an error.
    pub fn examine(path: &Path, sets: &[String]) -> (Option<Config>, Vec<Finding>) {
        match std::fs::read_to_string(path) {
            Ok(text) => read::config(&text, path.parent().unwrap_or(Path::new("")), sets, &|name| {
                std::env::var(name).ok()
            }),
            Err(error) => {
                let cure =
                    format!("can't be read ({error}); name an existing file: pelton config > pelton.toml makes one");
                (None, vec![Finding::error("(file)", path.display().to_string(), cure)])
            }
        }
    }
}
