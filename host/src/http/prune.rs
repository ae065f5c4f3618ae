//! `/rules/prune` removes components from the control topic that are not needed any more.
//!
//! Rule: every version that may still run stays. The pipeline decides which versions these are, not the request.

use super::refusal::refuse;
use super::rules::{answer, is_json};
use super::surface::Shared;
use crate::deploy::api::Prune;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

pub(super) async fn prune(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err(refused) = is_json(&headers) {
        return refused;
    }
    match serde_json::from_slice::<Prune>(&body) {
        Ok(request) => answer(tokio::task::spawn_blocking(move || (shared.surface.prune)(request)).await),
        Err(why) => refuse(StatusCode::BAD_REQUEST, format!("what to keep can't be read: {why}")),
    }
}
