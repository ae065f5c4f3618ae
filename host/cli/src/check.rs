//! `pelton check`: every mistake that can be found without running.

use super::exit::{FINDINGS, OK};
use super::print::say;
use pelton::config::{Config, Finding, SchemaSource};
use pelton::instance::{preflight, schemas};
use pelton::registry::Schemas;
use pelton::rules::Engine;
use std::io::Write;
use std::path::Path;

/// Prints the findings and returns the exit code. If `offline`, it does not connect to the brokers.
pub(super) fn check(file: &Path, sets: &[String], offline: bool, json: bool, out: &mut dyn Write) -> u8 {
    let (config, mut findings) = Config::examine(file, sets);
    if let Some(config) = &config {
        findings.extend(look(config));
        if !offline {
            findings.extend(topics(config));
        }
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
            (0, 0) => "no problems found".to_string(),
            (0, warnings) => format!("it would run, with warnings: {warnings}"),
            (errors, _) => format!("it would not run; errors: {errors}"),
        };
        say(out, &format!("{}: {verdict}\n", file.display()));
    }
    if errors == 0 { OK } else { FINDINGS }
}

/// Checks the schemas and the rules.
fn look(config: &Config) -> Vec<Finding> {
    let machine = |why: String| vec![Finding::error("(machine)", "", why)];
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return machine(format!("no thread for the registry: {error}")),
    };
    let mut findings = preflight::rules_file(config);
    let mut known = true;
    let source = schemas(config, runtime.handle()).unwrap_or_else(|why| {
        let (key, value) = match &config.schemas {
            Some(SchemaSource::Folder(path)) => ("schemas.folder", path.display().to_string()),
            Some(SchemaSource::Registry(url)) => ("schemas.registry", url.clone()),
            None => ("schemas", String::new()),
        };
        findings.push(Finding::error(key, value, why.to_string()));
        known = false;
        None
    });
    if let Some(source) = &source {
        let found = preflight::schemas(config, source.as_ref());
        known = errors(&found) == 0;
        findings.extend(found);
    }
    let component = match preflight::rules_file(config)[..] {
        [] => std::fs::read(&config.rules.file).ok(),
        _ => None,
    };
    let Some(component) = component else { return findings };
    let engine = match Engine::new() {
        Ok(engine) => engine,
        Err(why) => return machine(why.to_string()),
    };
    let (rules, found) = preflight::rules(&engine, &component, &config.rules.settings, config);
    findings.extend(found);
    if let Some(rules) = rules
        && known
    {
        let looking = source.as_deref().map(preflight::Looking);
        let wired = match (&config.schemas, &looking) {
            (Some(SchemaSource::Registry(_)), Some(looking)) => Some(looking as &dyn Schemas),
            _ => source.as_deref().map(|source| source as &dyn Schemas),
        };
        // Only the brokers know the numbers of partitions. Any number is good enough for these checks.
        match preflight::wiring(rules, config, wired, &vec![1; config.outputs.len()]) {
            Ok(wiring) => findings.extend(
                source
                    .iter()
                    .flat_map(|source| preflight::fit(&wiring, config, source.as_ref())),
            ),
            Err(misfits) => findings.extend(misfits),
        }
    }
    findings
}

/// Checks the topics of the cluster. Each query has a time-out of some seconds, and after the first one no other is
/// made.
#[cfg(feature = "kafka")]
fn topics(config: &Config) -> Vec<Finding> {
    use pelton::log::Log;
    match pelton::instance::kafka(config) {
        Ok(kafka) => preflight::topics(config, &|name| kafka.topic(name)),
        Err(why) => vec![Finding::error("kafka", "", why.to_string())],
    }
}

/// Says that this build has no Kafka.
#[cfg(not(feature = "kafka"))]
fn topics(_: &Config) -> Vec<Finding> {
    vec![Finding::warning(
        "kafka",
        "",
        "this build of pelton has no Kafka, so topics were not checked",
    )]
}

/// How many of them are errors.
pub(super) fn errors(findings: &[Finding]) -> usize {
    findings
        .iter()
        .filter(|finding| finding.level == pelton::config::Severity::Error)
        .count()
}
