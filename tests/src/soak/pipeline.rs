//! The money pipeline of a soak test: its topics, schemas and file.
//!
//! Rule: pipelines share only the broker. A replay also shares the inputs.

use super::options::{PARTITIONS, Program};
use super::versions;
use crate::rig::Rig;
use anyhow::{Context, Result};
use pelton::config::Config;
use pelton_demo::traffic::Stream;
use std::path::PathBuf;
use tempfile::TempDir;

/// The schemas of the topics, with their ids: the inputs by rank, then the output by version.
const SCHEMAS: [(u32, &str); 5] = [
    (2, include_str!("../../../examples/schemas/2-user-session-events.avsc")),
    (3, include_str!("../../../examples/schemas/3-user-events.avsc")),
    (1, include_str!("../../../examples/schemas/1-wallet-events.avsc")),
    (
        4,
        include_str!("../../../examples/schemas/4-money-enriched-events.avsc"),
    ),
    (
        5,
        include_str!("../../../guest-enrich/schemas/money-enriched-events-counted.avsc"),
    ),
];

/// One pipeline of the soak test.
pub struct Pipeline<'a> {
    pub rig: &'a Rig,
    /// What the processes "a" and "b" run.
    pub programs: [&'a Program; 2],
    pub name: String,
    /// By rank.
    pub inputs: [String; 3],
    pub output: String,
    /// Whether its processes have a local store.
    pub stored: bool,
    /// How long sessions are kept, if not as long as the first version of the rules keeps them.
    session_ttl: Option<&'static str>,
    service: String,
    folder: TempDir,
}

impl<'a> Pipeline<'a> {
    /// A pipeline with its own topics.
    pub fn new(rig: &'a Rig, program: &'a Program, service: &str) -> Result<Pipeline<'a>> {
        let name = Rig::unique("soak");
        let inputs = Stream::ALL.map(|stream| format!("{name}-{}", stream.topic()));
        for topic in &inputs {
            rig.create(topic, PARTITIONS, &[("compression.type", "lz4")])?;
        }
        Pipeline::with(rig, [program; 2], service, name, inputs)
    }

    /// The process "a" runs another program than "b".
    pub fn beside(mut self, first: &'a Program) -> Pipeline<'a> {
        self.programs[0] = first;
        self
    }

    /// Another pipeline that reads the same inputs.
    pub fn again(&self) -> Result<Pipeline<'a>> {
        let name = format!("{}-again", self.name);
        Pipeline::with(self.rig, self.programs, &self.service, name, self.inputs.clone())
    }

    fn with(
        rig: &'a Rig,
        programs: [&'a Program; 2],
        service: &str,
        name: String,
        inputs: [String; 3],
    ) -> Result<Pipeline<'a>> {
        let output = format!("{name}-enriched");
        rig.create(&output, PARTITIONS, &[("compression.type", "lz4")])?;
        let pipeline = Pipeline {
            rig,
            programs,
            name,
            inputs,
            output,
            stored: true,
            session_ttl: None,
            service: service.to_owned(),
            folder: tempfile::tempdir()?,
        };
        let topics = pipeline.inputs.iter().chain([&pipeline.output; 2]);
        for ((id, schema), topic) in SCHEMAS.iter().zip(topics) {
            std::fs::write(pipeline.path(&format!("{id}-{topic}.avsc")), schema)?;
        }
        std::fs::write(pipeline.file(), pipeline.text())?;
        Ok(pipeline)
    }

    /// The pipeline, with the changelog alone, and with rules that forget everything after a minute: its memory must
    /// stop growing.
    pub fn forgetful(mut self) -> Result<Pipeline<'a>> {
        self.stored = false;
        self.session_ttl = Some("60000ms");
        std::fs::write(self.file(), self.text())?;
        Ok(self)
    }

    fn text(&self) -> String {
        let mut settings = versions::settings("first-", versions::PENDING[0]);
        if let Some(ttl) = self.session_ttl {
            settings["session_ttl"] = ttl.into();
        }
        let [session, user, wallet] = &self.inputs;
        format!(
            r#"name = "{name}"
http = "off"
workers = 1
[kafka]
bootstrap.servers = "{brokers}"
session.timeout.ms = 10000
[schemas]
folder = "."
[defaults]
format = "avro"
time = "value.processedAt"
out_of_orderness = "20s"
# How much comes out must not depend on how long a process was away.
idle_after = "1h"
[inputs]
session.topic = "{session}"
user.topic = "{user}"
wallet.topic = "{wallet}"
[outputs]
enriched.topic = "{output}"
[lookups.session]
url = "{service}"
[rules]
file = "{rules}"
# A machine that is overloaded decides nothing.
time_limit = "10s"
[rules.settings]
{settings}
"#,
            name = self.name,
            brokers = self.rig.brokers(),
            output = self.output,
            service = self.service,
            rules = env!("GUEST_ENRICH_WASM"),
            settings = settings
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, value)| format!("{name} = {value}\n"))
                .collect::<String>(),
        )
    }

    /// A path in its folder.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// The path of its file.
    pub fn file(&self) -> PathBuf {
        self.path("pelton.toml")
    }

    /// The content of its file.
    pub fn config(&self) -> Result<Config> {
        Config::load(&self.file(), &[])
            .map_err(|findings| anyhow::anyhow!("{findings:?}"))
            .context("the pipeline's file")
    }
}
