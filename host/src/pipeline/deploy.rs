//! New rules for a running instance.
//!
//! Rule: compiled and checked off the workers; activated between two steps, and journaled there; refused, the old ones run on.
//! (Here one instance, over its own HTTP; the protocol over all instances, by the control topic, comes on top of this.)

use super::threads::Command;
use crate::config::Config;
use crate::http::{Deploy, Deployed};
use crate::registry::Schemas;
use crate::rules::{Engine, Limits};
use crate::task::Wiring;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A worker that does not answer within this is stuck.
const ANSWER: Duration = Duration::from_secs(30);

/// See the module.
pub struct Deployer {
    engine: Engine,
    config: Arc<Config>,
    schemas: Option<Arc<dyn Schemas>>,
    /// Partitions of the outputs.
    partitions: Vec<i32>,
    commands: Vec<Sender<Command>>,
    /// What tasks open with.
    wiring: Arc<Mutex<Arc<Wiring>>>,
    /// What runs: its wiring and its settings. Locked while a deploy is under way: one after the other.
    now: Mutex<(Arc<Wiring>, serde_json::Value)>,
    /// Where deployed rules are kept for the next start.
    keep: Option<PathBuf>,
}

impl Deployer {
    /// For an instance that runs these rules. `partitions`: of the outputs, by index.
    pub fn new(
        engine: Engine,
        config: Arc<Config>,
        schemas: Option<Arc<dyn Schemas>>,
        partitions: Vec<i32>,
        running: &super::Running,
        now: (Arc<Wiring>, serde_json::Value),
    ) -> Deployer {
        let keep = config.state.dir.as_ref().map(|dir| dir.join("rules"));
        Deployer {
            engine,
            config,
            schemas,
            partitions,
            commands: running.commands.clone(),
            wiring: running.wiring.clone(),
            now: Mutex::new(now),
            keep,
        }
    }

    /// The version that runs.
    pub fn version(&self) -> String {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.0.rules.version().to_string()
    }

    /// Compiles, checks, activates. Err: why not, and what to do; nothing has changed.
    pub fn deploy(&self, deploy: Deploy) -> Result<Deployed, String> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let settings = deploy.settings.unwrap_or_else(|| now.1.clone());
        let wiring = wire(
            &self.engine,
            &deploy.component,
            &settings,
            &self.config,
            self.schemas.as_deref(),
            &self.partitions,
        )?;
        let wiring = Arc::new(wiring);
        misfits(&now.0, &wiring)?;
        let (answer, answers) = channel();
        for worker in &self.commands {
            let _ = worker.send(Command::Accepts(wiring.clone(), answer.clone()));
        }
        for _ in &self.commands {
            answers
                .recv_timeout(ANSWER)
                .map_err(|_| "a worker did not answer: see the log".to_owned())??;
        }
        if let Some(keep) = &self.keep {
            save(keep, &deploy.component, &settings, &wiring.rules.version().to_string())
                .map_err(|e| format!("the rules can't be kept in {} for the next start: {e}", keep.display()))?;
        }
        *self.wiring.lock().unwrap_or_else(PoisonError::into_inner) = wiring.clone();
        for worker in &self.commands {
            let _ = worker.send(Command::Activate(wiring.clone()));
        }
        let previous = now.0.rules.version().to_string();
        let version = wiring.rules.version().to_string();
        tracing::info!(%version, %previous, "rules deployed");
        *now = (wiring, settings);
        Ok(Deployed { version, previous })
    }
}

/// What a sandbox may use.
pub fn limits(config: &Config) -> Limits {
    Limits {
        memory: config.rules.memory_limit,
        time: config.rules.time_limit,
        ..Limits::default()
    }
}

/// A component, compiled and bound to the pipeline. Err: everything that doesn't fit.
pub fn wire(
    engine: &Engine,
    component: &[u8],
    settings: &serde_json::Value,
    config: &Config,
    schemas: Option<&dyn Schemas>,
    partitions: &[i32],
) -> Result<Wiring, String> {
    let rules = engine
        .compile(component, &settings.to_string(), limits(config))
        .map_err(|e| e.to_string())?;
    Wiring::new(rules, config, schemas, partitions)
        .map_err(|misfits| misfits.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

/// What a new version may not change: shapes of stores, and values of stores that can't be read any more.
pub(crate) fn misfits(old: &Wiring, new: &Wiring) -> Result<(), String> {
    for before in &old.rules.description().stores {
        let Some(after) = new
            .rules
            .description()
            .stores
            .iter()
            .find(|store| store.name == before.name)
        else {
            continue;
        };
        if before.shape != after.shape {
            return Err(format!(
                "store '{}': its shape was {:?} and would be {:?}; give the new one another name",
                before.name, before.shape, after.shape
            ));
        }
        for (reader, writer, which) in [
            (after, before, "stored values"),
            (before, after, "new values, after a rollback,"),
        ] {
            let findings = crate::convert::incompatibilities(&writer.schema, &reader.schema);
            if let Some(finding) = findings.first() {
                return Err(format!(
                    "store '{}': {which} could not be read: {finding}. Add fields with a default, remove only fields with one",
                    before.name
                ));
            }
        }
    }
    Ok(())
}

fn save(
    folder: &std::path::Path,
    component: &[u8],
    settings: &serde_json::Value,
    version: &str,
) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join(format!("{version}.wasm")), component)?;
    std::fs::write(folder.join(format!("{version}.json")), settings.to_string())?;
    let new = folder.join("current.new");
    std::fs::write(&new, version)?;
    std::fs::rename(new, folder.join("current"))
}

/// The rules deployed last, as an earlier life of this instance kept them: component and settings.
pub fn kept(config: &Config) -> std::io::Result<Option<(Vec<u8>, serde_json::Value)>> {
    let Some(folder) = config.state.dir.as_ref().map(|dir| dir.join("rules")) else {
        return Ok(None);
    };
    let version = match std::fs::read_to_string(folder.join("current")) {
        Ok(version) => version,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let component = std::fs::read(folder.join(format!("{version}.wasm")))?;
    let settings = std::fs::read(folder.join(format!("{version}.json")))?;
    Ok(Some((component, serde_json::from_slice(&settings)?)))
}
