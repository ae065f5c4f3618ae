//! Compiles the rules in the file at the start.
//!
//! Rule: this takes about as long as everything that the brokers are asked, so it runs on its own thread meanwhile.

use crate::config::{Config, Finding};
use crate::instance::preflight;
use crate::rules::{Engine, Rules};
use anyhow::Context;
use std::sync::Arc;
use std::thread::JoinHandle;

/// The rules that the file names.
pub struct FileRules {
    pub engine: Engine,
    pub component: Vec<u8>,
    /// `None` if a finding is an error.
    pub rules: Option<Rules>,
    pub findings: Vec<Finding>,
}

/// The thread that compiles the rules.
pub type Compiling = JoinHandle<anyhow::Result<FileRules>>;

/// Starts to compile the rules on their own thread.
pub fn compile(config: Arc<Config>) -> std::io::Result<Compiling> {
    std::thread::Builder::new().name("compile".into()).spawn(move || {
        let engine = Engine::new()?;
        let component = match component(&config) {
            Ok(component) => component,
            Err(why) => {
                let finding = Finding::error("rules.file", "", format!("{why:#}"));
                return Ok(FileRules {
                    engine,
                    component: vec![],
                    rules: None,
                    findings: vec![finding],
                });
            }
        };
        let (rules, findings) = preflight::rules(&engine, &component, &config.rules.settings, &config);
        Ok(FileRules {
            engine,
            component,
            rules,
            findings,
        })
    })
}

/// Reads the component that the file names.
fn component(config: &Config) -> anyhow::Result<Vec<u8>> {
    let file = &config.rules.file;
    std::fs::read(file).with_context(|| format!("rules.file = \"{}\" can't be read; build it first", file.display()))
}
