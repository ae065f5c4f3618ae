//! Checks before the start: do the topics, the schemas and the rules fit the config?
//!
//! Rule: checks change nothing, and all are made, so that no finding hides another. `run` refuses to start on the same
//! findings that `pelton check` shows.

mod component;
mod names;
#[cfg(test)]
mod tests;

pub use component::{Looking, fit, rules, wiring};
pub use names::names;

use crate::config::{Config, Finding, Format, OnDataLoss, OwnedTopic, SchemaSource, TimeSource};
use crate::error::{Failure, Result};
use crate::log::TopicInfo;
use crate::registry::{NoSchema, Schemas};
use pelton_avro_schema::{Invalid, Kind, Logical, Schema};
use thiserror::Error;

/// Why a schema has no event time in a field.
#[derive(Debug, Error)]
enum NoEventTime {
    #[error(transparent)]
    Schema(#[from] Invalid),
    #[error("a record, or a union of records, is needed for a time in a field; or give time = \"timestamp\"")]
    NotARecord,
    #[error("{record} has no field {field}; it has {fields}")]
    NoField {
        record: String,
        field: String,
        fields: String,
    },
    #[error("{record}.{field} must be a long with the logical type timestamp-millis or timestamp-micros, is {found}")]
    NotATime {
        record: String,
        field: String,
        found: String,
    },
}

/// Checks that the component's file exists and is WebAssembly.
pub fn rules_file(config: &Config) -> Vec<Finding> {
    let file = &config.rules.file;
    let shown = file.display().to_string();
    match std::fs::read(file) {
        Ok(bytes) if bytes.starts_with(b"\0asm") => vec![],
        Ok(_) => vec![Finding::error(
            "rules.file",
            shown,
            "is not WebAssembly; name the .wasm file that the build of the rules made",
        )],
        Err(error) => vec![Finding::error(
            "rules.file",
            shown,
            format!("can't be read ({error}); build the rules, or name their .wasm file"),
        )],
    }
}

/// Checks that Avro topics have schemas, and that these have the event time.
pub fn schemas(config: &Config, schemas: &dyn Schemas) -> Vec<Finding> {
    let mut findings = Vec::new();
    for input in config.inputs.iter().filter(|input| input.format == Format::Avro) {
        let key = format!("inputs.{}", input.name);
        match schemas.latest(&input.topic) {
            Ok((id, text)) => {
                if let Err(error) = apache_avro::Schema::parse_str(&text) {
                    let cure = format!("its schema {id} is not a valid Avro schema: {error}");
                    findings.push(Finding::error(format!("{key}.topic"), &input.topic, cure));
                } else if let TimeSource::Field(field) = &input.time
                    && let Err(cure) = event_time(&text, field)
                {
                    let cure = format!("schema {id}: {cure}");
                    findings.push(Finding::error(format!("{key}.time"), format!("value.{field}"), cure));
                }
            }
            Err(NoSchema::Unknown(why)) => {
                let cure = format!("{why}; it must be there before the first record");
                findings.push(Finding::warning(format!("{key}.topic"), &input.topic, cure));
            }
            // It is not available for the other topics either.
            Err(NoSchema::Unavailable(why)) => return vec![Finding::error("schemas.registry", "", why)],
            Err(NoSchema::Invalid(why)) => findings.push(Finding::error(format!("{key}.topic"), &input.topic, why)),
        }
    }
    for output in config.outputs.iter().filter(|output| output.format == Format::Avro) {
        let key = format!("outputs.{}.topic", output.name);
        match (schemas.latest(&output.topic), &config.schemas) {
            // The start registers it.
            (Ok(_), _) | (Err(NoSchema::Unknown(_)), Some(SchemaSource::Registry(_))) => {}
            (Err(NoSchema::Unavailable(why)), _) => return vec![Finding::error("schemas.registry", "", why)],
            (Err(why), _) => findings.push(Finding::error(key, &output.topic, why.to_string())),
        }
    }
    findings
}

/// Checks that the source of schemas answers. Other checks judge what it says.
pub fn answers(config: &Config, schemas: &dyn Schemas) -> Result<()> {
    let topic = config
        .outputs
        .iter()
        .find(|output| output.format == Format::Avro)
        .map(|output| &output.topic);
    match topic.map(|topic| schemas.latest(topic)) {
        Some(Err(NoSchema::Unavailable(why))) => Err(Failure::Retry(why)),
        _ => Ok(()),
    }
}

/// Checks that every record of the schema has the field, as a time.
fn event_time(schema: &str, field: &str) -> std::result::Result<(), NoEventTime> {
    let schema = Schema::parse(schema)?;
    let root = [schema.root()];
    let records = match schema.kind(schema.root()) {
        Kind::Union(branches) => branches,
        _ => &root[..],
    };
    for record in records {
        let Kind::Record(name, fields) = schema.kind(*record) else {
            return Err(NoEventTime::NotARecord);
        };
        let name = name.short();
        let Some(found) = fields.iter().find(|candidate| *candidate.name == *field) else {
            let names: Vec<&str> = fields.iter().map(|field| &*field.name).collect();
            return Err(NoEventTime::NoField {
                record: name.to_string(),
                field: field.into(),
                fields: names.join(", "),
            });
        };
        let time = schema.node(found.node).logical;
        if !matches!(time, Logical::TimestampMillis | Logical::TimestampMicros) {
            return Err(NoEventTime::NotATime {
                record: name.to_string(),
                field: field.into(),
                found: schema.describe(found.node).to_string(),
            });
        }
    }
    Ok(())
}

/// Checks the topics of the cluster. `topic` looks one up, and returns `None` if there is no such topic.
pub fn topics(config: &Config, topic: &dyn Fn(&str) -> Result<Option<TopicInfo>>) -> Vec<Finding> {
    match look(config, topic) {
        Ok(findings) => findings,
        Err(failure) => vec![Finding::error(
            "kafka.bootstrap.servers",
            servers(config),
            failure.to_string(),
        )],
    }
}

fn servers(config: &Config) -> &str {
    config
        .kafka
        .iter()
        .find(|(key, _)| key == "bootstrap.servers")
        .map_or("", |(_, servers)| servers)
}

/// The same, but fails if the brokers don't answer.
pub fn look(config: &Config, topic: &dyn Fn(&str) -> Result<Option<TopicInfo>>) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut counts: Vec<(&str, i32)> = Vec::new();
    for input in &config.inputs {
        let key = format!("inputs.{}.topic", input.name);
        let Some(info) = topic(&input.topic)? else {
            findings.push(Finding::error(
                key,
                &input.topic,
                "there is no such topic; create it, or correct the name",
            ));
            continue;
        };
        let compacted = setting(&info, "cleanup.policy").is_some_and(|policy| policy.contains("compact"));
        if compacted {
            let cure = "is compacted: records vanish, and a replay gives other results; set cleanup.policy=delete";
            findings.push(match input.on_data_loss {
                OnDataLoss::Stop => Finding::error(key, &input.topic, format!("{cure}, or on_data_loss = \"skip\"")),
                OnDataLoss::Skip => Finding::warning(key, &input.topic, cure),
            });
        }
        counts.push((&input.topic, info.partitions));
    }
    if counts.iter().any(|(_, count)| *count != counts[0].1) {
        let list: Vec<String> = counts.iter().map(|(topic, count)| format!("{topic} {count}")).collect();
        let cure =
            "must have the same number of partitions: a key's records of all inputs are joined by partition number";
        findings.push(Finding::error("inputs", list.join(", "), cure));
    }
    for output in &config.outputs {
        if topic(&output.topic)?.is_none() {
            let key = format!("outputs.{}.topic", output.name);
            findings.push(Finding::error(
                key,
                &output.topic,
                "there is no such topic; create it, or correct the name",
            ));
        }
    }
    if let Some((_, partitions)) = counts.first() {
        for owned in config.owned_topics(*partitions) {
            // A missing one is created at the start.
            if let Some(info) = topic(&owned.name)? {
                findings.extend(self::owned(&owned, &info));
            }
        }
    }
    Ok(findings)
}

/// Checks one of Pelton's own topics.
pub fn owned(owned: &OwnedTopic, info: &TopicInfo) -> Vec<Finding> {
    let mut findings = Vec::new();
    if info.partitions != owned.partitions {
        let cure = format!(
            "must have {} partitions; it belongs to Pelton: was it made by hand, or did the inputs change?",
            owned.partitions
        );
        findings.push(Finding::error(
            &owned.name,
            format!("{} partitions", info.partitions),
            cure,
        ));
    }
    for (name, wanted) in &owned.required {
        // Settings that the broker does not report can't be checked.
        let Some(is) = setting(info, name).filter(|is| is != wanted) else {
            continue;
        };
        let cure = format!(
            "must be {wanted}: kafka-configs.sh --alter --topic {} --add-config {name}={wanted}",
            owned.name
        );
        findings.push(Finding::error(format!("{}.{name}", owned.name), is, cure));
    }
    findings
}

fn setting<'i>(info: &'i TopicInfo, name: &str) -> Option<&'i str> {
    info.config
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}
