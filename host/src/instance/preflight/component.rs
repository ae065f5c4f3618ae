//! Checks that the rules fit the pipeline.

use super::names;
use crate::binding::Wiring;
use crate::config::{Config, Finding, Format, Severity};
use crate::deploy::compile;
use crate::registry::{NoSchema, Schemas};
use crate::rules::{Engine, Rules, RulesError};
use pelton_convert as convert;
use std::sync::Arc;

/// Compiles and describes the rules, and compares the names. Returns no rules if a finding is an error.
pub fn rules(
    engine: &Engine,
    component: &[u8],
    settings: &serde_json::Value,
    config: &Config,
) -> (Option<Rules>, Vec<Finding>) {
    let compiled = engine.compile(component, &settings.to_string(), compile::limits(config));
    let rules = match compiled {
        Ok(rules) => rules,
        Err(refused) => {
            let (key, value) = match &refused {
                RulesError::Settings(_) => ("rules.settings", settings.to_string()),
                _ => ("rules.file", config.rules.file.display().to_string()),
            };
            return (None, vec![Finding::error(key, value, refused.to_string())]);
        }
    };
    let description = rules.description();
    let findings = names(
        config,
        &description
            .inputs
            .iter()
            .map(|input| input.name.as_str())
            .collect::<Vec<_>>(),
        &description
            .outputs
            .iter()
            .map(|output| output.name.as_str())
            .collect::<Vec<_>>(),
        &description
            .lookups
            .iter()
            .map(|lookup| lookup.name.as_str())
            .collect::<Vec<_>>(),
    );
    let good = findings.iter().all(|finding| finding.level != Severity::Error);
    (good.then_some(rules), findings)
}

/// Binds the rules to the pipeline. The error lists everything that does not fit.
pub fn wiring(
    rules: Rules,
    config: &Config,
    schemas: Option<&dyn Schemas>,
    partitions: &[i32],
) -> Result<Wiring, Vec<Finding>> {
    Wiring::new(rules, config, schemas, partitions).map_err(|misfits| {
        let finding = |misfit: crate::binding::Misfit| {
            // The key for `output 'enriched'` is `outputs.enriched`.
            let key = match misfit.what.split_once(" '") {
                Some((kind, name)) => format!("{kind}s.{}", name.trim_end_matches('\'')),
                None => "inputs".into(),
            };
            Finding::error(key, "", misfit.why)
        };
        misfits.0.into_iter().map(finding).collect()
    })
}

/// Checks that the rules can read what is currently written to the topics.
pub fn fit(wiring: &Wiring, config: &Config, schemas: &dyn Schemas) -> Vec<Finding> {
    let mut findings = vec![];
    for (input, wired) in config.inputs.iter().zip(&wiring.inputs) {
        let (Format::Avro, Some((_, reader))) = (input.format, wired) else {
            continue;
        };
        // A missing schema is reported by another check.
        let Ok((id, writer)) = schemas.latest(&input.topic) else {
            continue;
        };
        for why in convert::incompatibilities(&writer, reader) {
            let cure =
                format!("records of its schema {id} can't be read by the rules, and go to the dead letters: {why}");
            findings.push(Finding::warning(
                format!("inputs.{}.topic", input.name),
                &input.topic,
                cure,
            ));
        }
    }
    findings
}

/// Schemas for a check without side effects: what the start would register counts as registered.
pub struct Looking<'a>(pub &'a dyn Schemas);

impl Schemas for Looking<'_> {
    fn by_id(&self, id: u32) -> Result<Arc<str>, NoSchema> {
        self.0.by_id(id)
    }

    fn id_for(&self, topic: &str, _: &str) -> Result<u32, NoSchema> {
        match self.0.latest(topic) {
            Ok((id, _)) => Ok(id),
            Err(NoSchema::Unknown(_)) => Ok(0),
            Err(other) => Err(other),
        }
    }

    fn latest(&self, topic: &str) -> Result<(u32, Arc<str>), NoSchema> {
        self.0.latest(topic)
    }
}
