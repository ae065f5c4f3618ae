//! What is wrong in a test.
//!
//! Rule: it is a sentence for the test's author, who does nothing with it but read it. So there is one type for all.

use crate::error::Failure;
use crate::registry::NoSchema;
use crate::rules::EngineError;
use thiserror::Error;

/// What is wrong in a scenario, or in what happened in it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ScenarioError(String);

/// The result of a step of a scenario.
pub type Result<T> = std::result::Result<T, ScenarioError>;

impl From<String> for ScenarioError {
    fn from(text: String) -> ScenarioError {
        ScenarioError(text)
    }
}

impl From<&str> for ScenarioError {
    fn from(text: &str) -> ScenarioError {
        ScenarioError(text.to_owned())
    }
}

impl From<Failure> for ScenarioError {
    fn from(failure: Failure) -> ScenarioError {
        ScenarioError(failure.to_string())
    }
}

impl From<NoSchema> for ScenarioError {
    fn from(why: NoSchema) -> ScenarioError {
        ScenarioError(why.to_string())
    }
}

impl From<EngineError> for ScenarioError {
    fn from(why: EngineError) -> ScenarioError {
        ScenarioError(why.to_string())
    }
}
