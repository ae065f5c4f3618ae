//! `pelton check`: everything that can be known without running.

use super::{FINDINGS, OK, errors, say};
use crate::config::{Config, Finding, SchemaSource};
use crate::pipeline::preflight;
use crate::registry::confluent::Confluent;
use crate::registry::folder::Folder;
use crate::registry::{NoSchema, Schemas};
use std::io::Write;
use std::path::Path;

/// Prints the findings; the exit code.
pub(super) fn check(file: &Path, sets: &[String], json: bool, out: &mut dyn Write) -> u8 {
    let (config, mut findings) = Config::examine(file, sets);
    if let Some(config) = &config {
        findings.extend(preflight::rules_file(config));
        findings.extend(schemas(config));
    }
    let errors = errors(&findings);
    if json {
        say(
            out,
            &format!("{}\n", serde_json::json!({ "ok": errors == 0, "findings": findings })),
        );
    } else {
        findings.iter().for_each(|finding| say(out, &format!("{finding}\n")));
        let verdict = match (errors, findings.len()) {
            (0, 0) => "nothing to mend".to_string(),
            (0, warnings) => format!("it would run; {warnings} to look at"),
            (errors, _) => format!("it would not run; {errors} to mend"),
        };
        say(out, &format!("{}: {verdict}\n", file.display()));
    }
    if errors == 0 { OK } else { FINDINGS }
}

fn schemas(config: &Config) -> Vec<Finding> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            return vec![Finding::error(
                "(machine)",
                "",
                format!("no thread for the registry: {error}"),
            )];
        }
    };
    let (key, value, source): (_, _, Result<Box<dyn Schemas>, NoSchema>) = match &config.schemas {
        None => return vec![],
        Some(SchemaSource::Registry(url)) => {
            let registry = Confluent::new(url, runtime.handle().clone());
            (
                "schemas.registry",
                url.clone(),
                registry.map(|registry| Box::new(registry) as _),
            )
        }
        Some(SchemaSource::Folder(path)) => {
            let folder = Folder::open(path);
            (
                "schemas.folder",
                path.display().to_string(),
                folder.map(|folder| Box::new(folder) as _),
            )
        }
    };
    match source {
        Ok(source) => preflight::schemas(config, source.as_ref()),
        Err(why) => vec![Finding::error(key, value, why.to_string())],
    }
}
