//! The agent's data: its parts, and what it knows about the pipeline.
//!
//! Rule: this file only keeps the data. The files above act on it.

use super::compiled_versions::CompiledVersions;
use super::control_writer::ControlWriter;
use crate::binding::{Layout, Wiring};
use crate::config::InputConfig;
use crate::deploy::RulesSchedule;
use crate::deploy::compile::{Compile, SpawnCompile, declared};
use crate::deploy::protocol::{Control, Declarations};
use crate::deploy::reader::ControlReader;
use crate::error::Result;
use crate::log::Log;
use crate::record::{Number, Offset, Partition, VersionId};
use crate::registry::Schemas;
use crate::shadow::Trial;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The rules that the pipeline's file names. They are the first deploy if there is none yet.
pub struct ConfiguredRules {
    /// The bytes of the component's file.
    pub component: Vec<u8>,
    /// The settings, as JSON.
    pub settings: String,
    /// The compiled rules.
    pub wiring: Arc<Wiring>,
    /// What they declare, for checks of later versions.
    pub declared: Arc<Declarations>,
}

impl ConfiguredRules {
    /// From the component in the file, with these settings.
    pub fn new(component: Vec<u8>, settings: &serde_json::Value, wiring: Arc<Wiring>) -> ConfiguredRules {
        ConfiguredRules {
            component,
            settings: settings.to_string(),
            declared: declared(&wiring),
            wiring,
        }
    }
}

/// Starts a thread that runs a shadow until it is over.
pub type Play = fn(Arc<Trial>) -> Result<()>;

/// What an agent is made from.
pub struct AgentParts {
    pub log: Arc<dyn Log>,
    pub layout: Arc<Layout>,
    /// What was read from the topic so far.
    pub reader: ControlReader,
    /// Name of the pipeline.
    pub pipeline: String,
    /// Name of the instance.
    pub instance: String,
    pub compile: Compile,
    /// `None` if there is a deploy already.
    pub first: Option<ConfiguredRules>,
    /// A deploy that is not decided within this time is cancelled.
    pub limit: Duration,
    /// The inputs, and where their schemas come from.
    pub inputs: Vec<InputConfig>,
    pub schemas: Option<Arc<dyn Schemas>>,
    /// Starts the thread for a shadow. If `None`, shadows don't run here.
    pub play: Option<Play>,
    /// Starts compilations.
    pub start: SpawnCompile,
}

/// An instance's part in deploys.
pub struct DeployAgent {
    pub(super) parts: AgentParts,
    /// The end of the topic when the instance started.
    pub(super) begun: Option<Offset>,
    /// Whether the file's rules were compared with the deployed ones.
    pub(super) looked: bool,
    pub(super) schedule: Arc<RulesSchedule>,
    pub(super) control: Arc<Control>,
    pub(super) versions: CompiledVersions,
    /// Nothing more is written before its last records were read.
    pub(super) writer: ControlWriter,
    /// How many decisions it has written, to make each key unique.
    pub(super) decisions_made: u64,
    pub(super) open: Option<OpenDeploy>,
    pub(super) shadow: LocalShadow,
}

/// The undecided deploy.
#[derive(Clone, Copy)]
pub struct OpenDeploy {
    pub(super) number: Number,
    /// When it was first seen.
    pub(super) since: Duration,
    /// When its commit became due.
    pub(super) due_since: Option<Duration>,
}

/// The state of the shadow on this instance.
#[derive(Default)]
pub struct LocalShadow {
    pub(super) trial: Option<Arc<Trial>>,
    /// When each task's report was last written.
    pub(super) reported: BTreeMap<Partition, Duration>,
}

impl Drop for LocalShadow {
    fn drop(&mut self) {
        // The thread of the shadow must end with the instance.
        self.trial.iter().for_each(|trial| trial.end());
    }
}

impl DeployAgent {
    /// The agent of an instance that starts.
    pub fn new(parts: AgentParts) -> DeployAgent {
        let first = parts.first.as_ref().map(|first| &first.wiring);
        DeployAgent {
            begun: None,
            looked: false,
            schedule: Arc::default(),
            control: Arc::new(parts.reader.control().clone()),
            versions: CompiledVersions::new(first),
            writer: ControlWriter::new(),
            decisions_made: 0,
            open: None,
            shadow: LocalShadow::default(),
            parts,
        }
    }

    /// What its tasks must do.
    pub fn schedule(&self) -> &Arc<RulesSchedule> {
        &self.schedule
    }

    /// The current state of the topic.
    pub fn control(&self) -> &Arc<Control> {
        &self.control
    }

    /// How far the topic was read.
    pub fn position(&self) -> Offset {
        self.parts.reader.position()
    }

    /// Versions that don't fit here, with the reasons.
    pub fn failed(&self) -> &BTreeMap<VersionId, String> {
        self.versions.failed()
    }

    /// The results on this instance, which can be shown at once.
    pub fn shadow(&self) -> Option<&Arc<Trial>> {
        self.shadow.trial.as_ref()
    }
}
