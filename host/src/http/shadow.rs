//! `/rules/diff` shows what a shadow does differently.
//!
//! Rule: for tasks of this instance, it shows what the instance knows itself. For other tasks, it shows what their
//! instances have last reported.

use super::refusal::refuse;
use super::surface::Shared;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

pub(super) async fn get(State(shared): State<Shared>) -> Response {
    match (shared.surface.shadow)() {
        Some(shadowing) => Json(shadowing).into_response(),
        None => refuse(
            StatusCode::NOT_FOUND,
            "no shadow has run yet; `pelton rules deploy FILE --shadow 1h` starts one",
        ),
    }
}
