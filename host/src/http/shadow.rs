//! `/rules/diff`: what is seen of rules that run beside the live ones.
//!
//! Rule: of this instance's tasks what it knows itself, of the others' what they have said last.

use super::{Shared, refuse};
use crate::control::shadow::{Report, Seen};
use crate::record::{Millis, Partition};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A shadow, and what is seen of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shadowing {
    /// Shadows are numbered by themselves.
    pub number: u64,
    /// Its version: the first 12 hex digits.
    pub version: String,
    /// The version that it runs beside.
    pub live: String,
    /// For so long, in event time of each task, in milliseconds.
    pub duration: Millis,
    /// Who has begun it.
    pub author: String,
    /// Why it is over; none: it is not.
    pub over: Option<String>,
    /// How far instances are with it, `fetched` or `ready`.
    pub instances: BTreeMap<String, String>,
    /// Number of tasks of the pipeline.
    pub of: usize,
    /// By task; those that have not begun are left out.
    pub tasks: BTreeMap<Partition, Report>,
    /// Of all tasks together.
    pub total: Seen,
}

impl Shadowing {
    /// Without what differs.
    pub fn brief(mut self) -> Shadowing {
        for report in self.tasks.values_mut() {
            report.differences.clear();
            report.traps.clear();
            report.notes.clear();
        }
        self
    }
}

/// What a cancel has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cancelled {
    /// A deploy that was not decided.
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
