//! A pipeline under test that speaks JSON.
//!
//! Rule: what goes wrong is a sentence that a test can show.

use crate::record::Millis;
use crate::testkit::error::{Result, ScenarioError};
use crate::testkit::json::{Fields, Values};
use crate::testkit::{Setup, Stage};
use std::collections::BTreeMap;

/// A pipeline under test that speaks JSON.
pub struct Scenario {
    pub(super) stage: Stage,
    pub(super) values: Values,
    /// For each input: fields that its values get unless they have them.
    pub(super) bases: BTreeMap<String, Fields>,
    /// The event time that the last `advance` set, since the start.
    pub(super) advanced: Millis,
    pub(super) swapped: bool,
}

impl Scenario {
    /// Starts the pipeline. Fails if something does not fit.
    pub fn new(setup: Setup) -> Result<Scenario> {
        Ok(Scenario {
            stage: Stage::new(setup)?,
            values: Values::default(),
            bases: BTreeMap::new(),
            advanced: 0,
            swapped: false,
        })
    }

    /// The pipeline.
    pub fn stage(&mut self) -> &mut Stage {
        &mut self.stage
    }

    /// Runs until everything is processed and committed.
    pub fn settle(&mut self) -> Result<()> {
        Ok(self.stage.settle()?)
    }
}

/// The message for an unknown name, with the known ones: `there is no input 'x'; there are: a, b`.
pub fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a String>) -> ScenarioError {
    let known: Vec<&str> = known.map(String::as_str).collect();
    let there_are = match known.is_empty() {
        true => ": there is none at all".to_owned(),
        false => format!("; there are: {}", known.join(", ")),
    };
    format!("there is no {what} '{name}'{there_are}").into()
}
