//! The project under development: a crate of rules, its pipeline's file and its scenarios.
//!
//! Rule: paths are determined once, but the files are read again each time.

use super::args::Dev;
use super::built::{Built, target_folder};
use super::change::Sources;
use crate::test;
use anyhow::{Result, anyhow, bail};
use pelton::config::{Config, SchemaSource};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Paths of a project.
pub struct Project {
    /// The crate's folder.
    pub folder: PathBuf,
    /// The pipeline's file.
    pub pipeline: PathBuf,
    /// Folders of scenarios, or single files. A folder need not exist.
    pub scenarios: Vec<PathBuf>,
    /// Overrides of the pipeline's file.
    pub sets: Vec<String>,
    /// Cargo's profile.
    pub profile: String,
    /// Rust's target.
    pub target: String,
}

/// Content of the files that are not built.
#[derive(Clone, Debug, PartialEq)]
pub struct Stands {
    /// The settings of the rules.
    pub settings: Value,
    /// Everything that can't change while a pipeline runs.
    pub fixed: Fixed,
    /// The scenario files.
    pub scenarios: Vec<PathBuf>,
}

/// The configuration without the rules, and the schemas.
#[derive(Clone, Debug, PartialEq)]
pub struct Fixed {
    config: Config,
    schemas: BTreeMap<PathBuf, Vec<u8>>,
}

impl Project {
    /// Finds the project, as the arguments say. The error says what is missing and how to name it.
    pub fn find(dev: &Dev) -> Result<Project> {
        let found = |path: &Path| {
            let found = path.canonicalize();
            found.map_err(|why| anyhow!("{} can't be read: {why}", path.display()))
        };
        let folder = found(&dev.folder)?;
        if !folder.join("Cargo.toml").is_file() {
            bail!(
                "there is no Cargo.toml in {}; name the folder of the rules' crate: pelton dev FOLDER (`pelton new` makes one)",
                dev.folder.display()
            );
        }
        let pipeline = match &dev.pipeline {
            Some(file) => found(file)?,
            None => test::nearest(&folder)?,
        };
        let scenarios = match dev.scenarios.is_empty() {
            true => vec![folder.join("scenarios")],
            false => dev.scenarios.iter().map(|path| found(path)).collect::<Result<_, _>>()?,
        };
        let mut project = Project {
            sets: dev.sets.clone(),
            profile: String::new(),
            target: String::new(),
            folder,
            pipeline,
            scenarios,
        };
        let (target, profile) = built_as(&project.config()?.rules.file);
        project.target = target;
        project.profile = dev.profile.clone().unwrap_or(profile);
        Ok(project)
    }

    fn config(&self) -> Result<Config> {
        Config::load(&self.pipeline, &self.sets).map_err(|findings| {
            let lines = findings.iter().map(|finding| format!("\n{finding}"));
            anyhow!("{}:{}", self.pipeline.display(), lines.collect::<String>())
        })
    }

    /// Reads the files. The error says everything that must be fixed.
    pub fn read(&self) -> Result<Stands> {
        let mut config = self.config()?;
        let settings = config.rules.settings.take();
        config.rules.file = PathBuf::new();
        let mut schemas = BTreeMap::new();
        if let Some(SchemaSource::Folder(folder)) = &config.schemas {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                // An unreadable schema is reported when it is needed.
                let path = entry.path();
                if path.extension().is_some_and(|ending| ending == "avsc") {
                    let text = std::fs::read(&path).unwrap_or_default();
                    schemas.insert(path, text);
                }
            }
        }
        let mut scenarios = vec![];
        for path in &self.scenarios {
            match test::inside(path) {
                Ok(its) => scenarios.extend(its),
                Err(why) if why.kind() == std::io::ErrorKind::NotFound => {}
                Err(why) => bail!("{} can't be read: {why}", path.display()),
            }
        }
        Ok(Stands {
            settings,
            scenarios,
            fixed: Fixed { config, schemas },
        })
    }

    /// The files to watch.
    pub fn sources(&self, built: Option<&Built>) -> Sources {
        let schemas = match self.config().map(|config| config.schemas) {
            Ok(Some(SchemaSource::Folder(folder))) => folder.canonicalize().ok(),
            _ => None,
        };
        Sources {
            folder: self.folder.clone(),
            target: built.and_then(|built| target_folder(&built.path)),
            pipeline: self.pipeline.clone(),
            scenarios: self.scenarios.clone(),
            schemas,
            used: built.map_or_else(BTreeSet::new, |built| built.used.clone()),
        }
    }

    /// A short name for a path of the project.
    pub fn name(&self, path: &Path) -> String {
        let inside = path.strip_prefix(&self.folder);
        inside.unwrap_or(path).display().to_string()
    }
}

/// The target and profile of a component with the path TARGET/PROFILE/NAME.wasm.
fn built_as(file: &Path) -> (String, String) {
    let mut above = file
        .ancestors()
        .skip(1)
        .filter_map(|folder| folder.file_name()?.to_str());
    match (above.next(), above.next()) {
        (Some(profile), Some(target)) if target.starts_with("wasm32-") => {
            let profile = if profile == "debug" { "dev" } else { profile };
            (target.to_owned(), profile.to_owned())
        }
        _ => ("wasm32-unknown-unknown".to_owned(), "release".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_says_how_it_is_built() {
        for (file, target, profile) in [
            (
                "target/wasm32-unknown-unknown/release/a.wasm",
                "wasm32-unknown-unknown",
                "release",
            ),
            (
                "/x/wasm32-unknown-unknown/guest/a.wasm",
                "wasm32-unknown-unknown",
                "guest",
            ),
            ("/x/wasm32-wasip1/debug/a.wasm", "wasm32-wasip1", "dev"),
            ("rules/a.wasm", "wasm32-unknown-unknown", "release"),
            ("a.wasm", "wasm32-unknown-unknown", "release"),
        ] {
            assert_eq!(
                built_as(Path::new(file)),
                (target.to_owned(), profile.to_owned()),
                "{file}"
            );
        }
    }
}
