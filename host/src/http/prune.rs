//! `/rules/prune` removes components from the control topic that are not needed any more.
//!
//! Rule: every version that may still run stays. The pipeline decides which versions these are, not the request.

use super::rules::{answer, is_json};
use super::{Shared, refuse};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};

/// What to keep in addition to the versions that may still run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prune {
    /// How many of the last versions, at least two.
    pub keep: usize,
    /// Deploys to keep.
    pub also: Vec<u64>,
    /// Whether to only report what would be removed.
    pub dry_run: bool,
}

/// A component that is not needed any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// First 12 hex digits of its SHA-256.
    pub component: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// The deploys that used it.
    pub deploys: Vec<u64>,
}

pub(super) async fn prune(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err(refused) = is_json(&headers) {
        return refused;
    }
    match serde_json::from_slice::<Prune>(&body) {
        Ok(wish) => answer(tokio::task::spawn_blocking(move || (shared.surface.prune)(wish)).await),
        Err(why) => refuse(StatusCode::BAD_REQUEST, format!("what to keep can't be read: {why}")),
    }
}
