//! `/rules` shows which rules run, and deploys other versions.
//!
//! Rule: the answer to a deploy comes when it is decided. A request that changes something must have a content type
//! that a page in a browser can't send without a preflight.

use super::refusal::refuse;
use super::surface::Shared;
use crate::deploy::DeployRefused;
use crate::deploy::api::{DeployRequest, Deploys, RulesStatus};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

/// Content type of a component.
pub const COMPONENT_TYPE: &str = "application/wasm";

/// Header of `POST /rules` with the rest of the [`DeployRequest`], as JSON.
pub const DEPLOY_HEADER: &str = "pelton-deploy";

pub(super) async fn get(State(shared): State<Shared>) -> Response {
    let health = (shared.surface.health)();
    let troubles = health.tasks.iter();
    let troubles = troubles
        .filter_map(|task| Some((task.partition, task.message.clone()?)))
        .collect();
    let tasks = health
        .tasks
        .into_iter()
        .filter_map(|task| Some((task.partition, task.version?)));
    let Deploys { deploys, taken, shadow } = (shared.surface.deploys)();
    Json(RulesStatus {
        pipeline: health.pipeline,
        instance: health.instance,
        version: health.version,
        tasks: tasks.collect(),
        deploys,
        taken,
        shadow,
        troubles,
    })
    .into_response()
}

/// Accepts a component, with the rest of the request in a header, or a request without a component, as JSON.
pub(super) async fn deploy(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let kind = headers.get(header::CONTENT_TYPE).map(|kind| kind.as_bytes());
    let (request, component) = match kind {
        Some(kind) if kind == COMPONENT_TYPE.as_bytes() => {
            let request = headers
                .get(DEPLOY_HEADER)
                .map_or(&b"{}"[..], |request| request.as_bytes());
            (request.to_vec(), Some(body.to_vec()))
        }
        Some(b"application/json") => (body.to_vec(), None),
        _ => {
            return refuse(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("send the component as content-type: {COMPONENT_TYPE}, or a change as application/json"),
            );
        }
    };
    let request = match serde_json::from_slice::<DeployRequest>(&request) {
        Ok(request) if request.settings.as_ref().is_none_or(Value::is_object) => DeployRequest { component, ..request },
        Ok(_) => return refuse(StatusCode::BAD_REQUEST, "settings must be a JSON object"),
        Err(why) => return refuse(StatusCode::BAD_REQUEST, format!("the request can't be read: {why}")),
    };
    // The blocking part owns the lock, so that a second deploy can't begin if the client hangs up.
    let Ok(alone) = Arc::clone(&shared.deploying).try_lock_owned() else {
        return refuse(
            StatusCode::CONFLICT,
            "another deploy is in progress; try again when it is finished",
        );
    };
    let result = tokio::task::spawn_blocking(move || {
        let result = (shared.surface.deploy)(request);
        drop(alone);
        result
    });
    answer(result.await)
}

/// Cancels the undecided deploy, or ends the shadow.
pub(super) async fn cancel(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    if let Err(refused) = is_json(&headers) {
        return refused;
    }
    let result = tokio::task::spawn_blocking(move || (shared.surface.cancel)());
    answer(result.await)
}

/// Checks the content type of a change, or refuses the request.
#[expect(
    clippy::result_large_err,
    reason = "the answer is the error, and is returned at once"
)]
pub(super) fn is_json(headers: &HeaderMap) -> Result<(), Response> {
    match headers.get(header::CONTENT_TYPE) {
        Some(kind) if kind == "application/json" => Ok(()),
        _ => Err(refuse(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send it as content-type: application/json",
        )),
    }
}

pub(super) fn answer<T: Serialize>(result: Result<Result<T, DeployRefused>, tokio::task::JoinError>) -> Response {
    match result {
        Ok(Ok(done)) => Json(done).into_response(),
        Ok(Err(why)) => refuse(StatusCode::UNPROCESSABLE_ENTITY, why.to_string()),
        Err(panic) => {
            tracing::error!(%panic, "a deploy failed because of a bug in Pelton; the old rules keep running");
            refuse(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the deploy failed because of a bug in Pelton, see the log; the old rules keep running",
            )
        }
    }
}
