//! `/rules` shows which rules run, and deploys other versions.
//!
//! Rule: the answer to a deploy comes when it is decided. A request that changes something must have a content type
//! that a page in a browser can't send without a preflight.

use super::{COMPONENT_TYPE, Shadowing, Shared, refuse};
use crate::record::{Millis, Partition};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Header of `POST /rules` with the rest of the [`Wish`], as JSON.
pub const WISH_HEADER: &str = "pelton-deploy";

/// A request to deploy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wish {
    /// A component, or a core module. Default: the running one.
    #[serde(skip)]
    pub component: Option<Vec<u8>>,
    /// Settings, as an object. Default: the running settings.
    pub settings: Option<Value>,
    /// Changes to single settings, applied after `settings`.
    pub set: BTreeMap<String, Value>,
    /// Take component and settings from an earlier deploy, unless they are given.
    pub back: Option<Back>,
    /// Take over at this event time, in milliseconds since 1970. Default: where the tasks are now.
    pub at: Option<Millis>,
    /// Whether earlier versions may be unable to read what it writes.
    pub one_way: bool,
    /// Whether pending timers and lookups that it does not know go to the dead letters.
    pub drop_timers: bool,
    /// Whether to only check it.
    pub dry_run: bool,
    /// Instead of taking over, run as a shadow for this long in event time, in milliseconds.
    pub shadow: Option<Millis>,
    /// Whether to take component and settings from the running shadow.
    pub promote: bool,
}

/// Which deploy to go back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Back {
    /// The last deploy of a different version.
    Before,
    /// The deploy with this number.
    To(u64),
}

/// The result of a deploy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    /// The version that runs, or will run: first 12 hex digits of the SHA-256 over component and settings.
    pub version: String,
    /// The version that ran before.
    pub previous: String,
    /// Number of the deploy. If nothing had to be done, the number of the current one.
    pub number: u64,
    /// Event time at which it takes over, in milliseconds since 1970. Absent if nothing was done.
    pub at: Option<Millis>,
    /// Notes about the deploy.
    pub findings: Vec<Finding>,
    /// How long it runs as a shadow, if it does. The number is then the shadow's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Millis>,
}

/// One finding about a deploy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Whether it keeps the deploy from being accepted.
    pub error: bool,
    /// What it is about: `store 'sessions'`.
    pub what: String,
    /// Why, and what to do.
    pub why: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let level = if self.error { "error" } else { "note" };
        write!(f, "{level}: {}: {}", self.what, self.why)
    }
}

/// The state of a pipeline's deploys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Deploys {
    /// All valid deploys, in order.
    pub deploys: Vec<OneDeploy>,
    /// For each task, the last deploy that it has taken over.
    pub taken: BTreeMap<Partition, u64>,
    /// The last shadow, without the single differences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Shadowing>,
}

/// A deploy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OneDeploy {
    /// Its number.
    pub number: u64,
    /// First 12 hex digits of its version.
    pub version: String,
    /// First 12 hex digits of the SHA-256 of its component.
    pub component: String,
    /// The rules' settings.
    pub settings: Value,
    /// `open`, `committed`, `cancelled` or `withdrawn`.
    pub state: String,
    /// Event time at which it takes over. Absent for the first deploy, and for "now" until it is decided.
    pub at: Option<Millis>,
    /// Why it was cancelled or withdrawn.
    pub why: Option<String>,
    /// Who deployed it.
    pub author: String,
    /// When it was written, in milliseconds since 1970, by its author's clock.
    pub written: Millis,
    /// Whether it was deployed one-way.
    pub one_way: bool,
    /// If it is open: the tasks that hold for it, each with the time of its last step. For "now", it is the last step
    /// that the task may take.
    pub prepared: BTreeMap<Partition, Option<Millis>>,
    /// If it is open: how far each instance has come with it, `fetched` or `ready`.
    pub instances: BTreeMap<String, String>,
}

/// The answer of `GET /rules`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Running {
    /// Name of the pipeline.
    pub pipeline: String,
    /// Name of the instance that answers.
    pub instance: String,
    /// The version that runs, or will run.
    pub version: String,
    /// The versions that this instance's tasks run.
    pub tasks: BTreeMap<Partition, String>,
    /// All valid deploys, in order.
    pub deploys: Vec<OneDeploy>,
    /// For each task of the pipeline, the last deploy that it has taken over.
    pub taken: BTreeMap<Partition, u64>,
    /// The last shadow, without the single differences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Shadowing>,
    /// Problems of this instance's tasks.
    #[serde(default)]
    pub troubles: BTreeMap<Partition, String>,
}

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
    Json(Running {
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
    let (wish, component) = match kind {
        Some(kind) if kind == COMPONENT_TYPE.as_bytes() => {
            let wish = headers.get(WISH_HEADER).map_or(&b"{}"[..], |wish| wish.as_bytes());
            (wish.to_vec(), Some(body.to_vec()))
        }
        Some(b"application/json") => (body.to_vec(), None),
        _ => {
            return refuse(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("send the component as content-type: {COMPONENT_TYPE}, or a change as application/json"),
            );
        }
    };
    let wish = match serde_json::from_slice::<Wish>(&wish) {
        Ok(wish) if wish.settings.as_ref().is_none_or(Value::is_object) => Wish { component, ..wish },
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
        let result = (shared.surface.deploy)(wish);
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

pub(super) fn answer<T: Serialize>(result: Result<Result<T, String>, tokio::task::JoinError>) -> Response {
    match result {
        Ok(Ok(done)) => Json(done).into_response(),
        Ok(Err(why)) => refuse(StatusCode::UNPROCESSABLE_ENTITY, why),
        Err(panic) => {
            tracing::error!(%panic, "a deploy failed because of a bug in Pelton; the old rules run on");
            refuse(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the deploy failed because of a bug in Pelton, see the log; the old rules run on",
            )
        }
    }
}
