//! Refusals: a status, and why.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

/// The body of a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Why it was refused, and what to do about it.
    pub error: String,
}

/// A refusal.
pub(super) fn refuse(status: StatusCode, why: impl Into<String>) -> Response {
    (status, Json(Refusal { error: why.into() })).into_response()
}
