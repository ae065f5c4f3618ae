//! `/rules/diff` shows what a shadow does differently.
//!
//! Rule: for tasks of this instance, it shows what the instance knows itself. For other tasks, it shows what their
//! instances have last reported.

use super::{Shared, refuse};
use crate::record::{Millis, Partition};
use crate::shadow::{Report, Seen};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A shadow, and its results so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shadowing {
    /// Its number. Shadows have their own numbers.
    pub number: u64,
    /// First 12 hex digits of its version.
    pub version: String,
    /// The version that it is compared with.
    pub live: String,
    /// How long it runs, in the event time of each task, in milliseconds.
    pub duration: Millis,
    /// Who started it.
    pub author: String,
    /// Why it has ended, if it has.
    pub over: Option<String>,
    /// How far each instance has come with it, `fetched` or `ready`.
    pub instances: BTreeMap<String, String>,
    /// Number of the pipeline's tasks.
    pub of: usize,
    /// The reports by task. Tasks that have not begun are left out.
    pub tasks: BTreeMap<Partition, Report>,
    /// The counts of all tasks together.
    pub total: Seen,
}

impl Shadowing {
    /// The same without the individual differences.
    pub fn brief(mut self) -> Shadowing {
        for report in self.tasks.values_mut() {
            report.differences.clear();
            report.traps.clear();
            report.notes.clear();
        }
        self
    }
}

/// What a cancel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cancelled {
    /// An undecided deploy.
    #[serde(rename = "cancelled")]
    Deploy(u64),
    /// A shadow.
    Shadow(u64),
}

pub(super) async fn get(State(shared): State<Shared>) -> Response {
    match (shared.surface.shadow)() {
        Some(shadowing) => Json(shadowing).into_response(),
        None => refuse(
            StatusCode::NOT_FOUND,
            "no shadow has run yet; `pelton rules deploy FILE --shadow 1h` starts one",
        ),
    }
}
