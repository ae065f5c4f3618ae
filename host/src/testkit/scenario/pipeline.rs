//! A pipeline under test that speaks JSON.
//!
//! Rule: what goes wrong is text that a test can show.

use crate::error::Failure;
use crate::record::Millis;
use crate::testkit::json::{Fields, Values};
use crate::testkit::{Setup, Stage};
use std::collections::BTreeMap;

pub type Result<T> = std::result::Result<T, String>;

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
            stage: Stage::new(setup).map_err(said)?,
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
        self.stage.settle().map_err(said)
    }
}

/// A failure as text.
pub fn said(failure: Failure) -> String {
    failure.to_string()
}

/// The message for an unknown name, with the known ones: `there is no input 'x'; there are: a, b`.
pub fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a String>) -> String {
    let known: Vec<&str> = known.map(String::as_str).collect();
    match known.is_empty() {
        true => format!("there is no {what} '{name}': there is none at all"),
        false => format!("there is no {what} '{name}'; there are: {}", known.join(", ")),
    }
}
