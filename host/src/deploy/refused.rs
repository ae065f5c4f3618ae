//! Why something that was asked of a pipeline's deploys was not done.

use super::api::DeployFinding;
use super::compile::Unfit;
use crate::error::Failure;
use thiserror::Error;

/// Why a deploy, a shadow, a cancel or a prune was not done. The rules that run keep running.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DeployRefused {
    /// The request does not fit the state of the deploys.
    #[error("{0}")]
    Request(String),
    /// The component can't be made rules of this pipeline.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// The rules change what they must not. Notes are among the findings.
    #[error("{}", lines(.0))]
    Findings(Vec<DeployFinding>),
    /// Somebody else was faster.
    #[error("{0}")]
    Overtaken(String),
    /// It was cancelled, or withdrawn, or has ended.
    #[error("{0}")]
    Over(String),
    /// The control topic can't be read or written.
    #[error("{0}")]
    Topic(String),
}

impl DeployRefused {
    /// The request does not fit the state of the deploys, for this reason.
    pub fn request(why: impl Into<String>) -> DeployRefused {
        DeployRefused::Request(why.into())
    }
}

impl From<Failure> for DeployRefused {
    fn from(failure: Failure) -> DeployRefused {
        DeployRefused::Topic(failure.to_string())
    }
}

/// The findings, one per line.
fn lines(findings: &[DeployFinding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
