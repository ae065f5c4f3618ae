//! The local HTTP endpoints: `/metrics`, `/health`, `/rules`.
//!
//! Rule: the server has its own thread and never delays a worker, whatever the request. A page in a browser can't
//! deploy: the content type of such a request needs a preflight, which is not answered, and a loopback address answers
//! only to its own names.
#![expect(clippy::disallowed_methods, reason = "the HTTP server runs on a thread of its own")]

mod prune;
mod rules;
mod shadow;
#[cfg(test)]
mod tests;

pub use rules::WISH_HEADER;

use crate::deploy::api::{Cancelled, Deployed, Deploys, Prune, Pruned, Shadowing, Wish};
use crate::metrics::Metrics;
use crate::record::{Millis, Offset, Partition};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, oneshot};

/// Maximum size of a component. A debug build of a guest has some 10 MiB.
pub const COMPONENT_LIMIT: usize = 64 << 20;

/// Content type of a component.
pub const COMPONENT_TYPE: &str = "application/wasm";

/// How long a stop waits for answers that are being sent.
const STOP_WAIT: Duration = Duration::from_secs(2);

/// What is served. The functions may block, because they run off the server's thread.
#[derive(Clone)]
pub struct Surface {
    /// For `/metrics`.
    pub metrics: Arc<Metrics>,
    /// For `/health` and `GET /rules`. Must be quick.
    pub health: Arc<dyn Fn() -> Health + Send + Sync>,
    /// For `GET /rules`. Must be quick.
    pub deploys: Arc<dyn Fn() -> Deploys + Send + Sync>,
    /// For `POST /rules`, one at a time. The error says why the deploy was refused; then the old rules keep running.
    pub deploy: Arc<dyn Fn(Wish) -> Result<Deployed, String> + Send + Sync>,
    /// For `POST /rules/cancel`. Returns what was cancelled, or why nothing was.
    pub cancel: Arc<dyn Fn() -> Result<Cancelled, String> + Send + Sync>,
    /// For `POST /rules/prune`. Returns what was or would be removed, or why nothing was.
    pub prune: Arc<dyn Fn(Prune) -> Result<Vec<Pruned>, String> + Send + Sync>,
    /// For `GET /rules/diff`. Must be quick. `None` if there has been no shadow.
    pub shadow: Arc<dyn Fn() -> Option<Shadowing> + Send + Sync>,
}

/// The health of an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Whether everything is fine. If not, somebody should look, and the status is 503.
    pub ok: bool,
    /// Name of the pipeline.
    pub pipeline: String,
    /// Name of the instance.
    pub instance: String,
    /// Version of the rules that new tasks start with.
    pub version: String,
    /// What is wrong, or what the instance waits for.
    pub message: Option<String>,
    /// The tasks of this instance, by partition.
    pub tasks: Vec<TaskHealth>,
}

/// The health of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskHealth {
    /// Its partition.
    pub partition: Partition,
    /// What it is doing.
    pub state: TaskState,
    /// When it began to do this, in milliseconds since 1970.
    pub since: Millis,
    /// Version of the rules that it runs. Absent while it restores.
    pub version: Option<String>,
    /// Event time that it has reached, in milliseconds since 1970. Absent before its first record.
    pub watermark: Option<Millis>,
    /// For each stream, the committed offset: the first record that is not processed.
    pub position: BTreeMap<String, Offset>,
    /// Progress of its restore and what that waits for, or what is wrong with its rules or its local store.
    pub message: Option<String>,
}

/// What a task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// It reads its changelog.
    Restoring,
    /// It processes records.
    Running,
    /// It takes no steps until somebody intervenes.
    Stopped,
}

/// The body of a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Why it was refused, and what to do about it.
    pub error: String,
}

/// A running server. It stops when it is dropped.
pub struct Server {
    /// Where it listens. The port is never 0.
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Listens, and serves on its own thread.
pub fn serve(address: SocketAddr, surface: Surface) -> std::io::Result<Server> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind(address))?;
    let address = listener.local_addr()?;
    let router = router(surface, address);
    let (stop, stopped) = oneshot::channel::<()>();
    let thread = std::thread::Builder::new().name("http".into()).spawn(move || {
        runtime.block_on(async {
            let (told, mut tell) = tokio::sync::watch::channel(());
            let server = axum::serve(listener, router).with_graceful_shutdown(async move {
                // An error means that the server was dropped, which also stops it.
                let _ = stopped.await;
                drop(told);
            });
            let deadline = async {
                let _ = tell.changed().await;
                tokio::time::sleep(STOP_WAIT).await;
            };
            tokio::select! {
                result = server => if let Err(error) = result {
                    tracing::error!(%error, "the HTTP server has stopped");
                },
                () = deadline => {}
            }
        });
        // Don't wait for a compilation in progress.
        runtime.shutdown_background();
    })?;
    Ok(Server {
        address,
        stop: Some(stop),
        thread: Some(thread),
    })
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It panics only because of a bug, which was printed then.
            let _ = thread.join();
        }
    }
}

#[derive(Clone)]
struct Shared {
    surface: Surface,
    /// Held by the deploy in progress.
    deploying: Arc<Mutex<()>>,
}

fn router(surface: Surface, address: SocketAddr) -> Router {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .route("/rules", get(rules::get).post(rules::deploy))
        .route("/rules/cancel", post(rules::cancel))
        .route("/rules/diff", get(shadow::get))
        .route("/rules/prune", post(prune::prune))
        .layer(DefaultBodyLimit::max(COMPONENT_LIMIT))
        .with_state(Shared {
            surface,
            deploying: Arc::default(),
        });
    if address.ip().is_loopback() {
        router.layer(from_fn(own_names_only))
    } else {
        router
    }
}

/// Refuses requests for names of other hosts. A page that has pointed its own name here (DNS rebinding) sends that
/// name.
async fn own_names_only(request: Request, next: Next) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let own = name == "localhost"
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    if own {
        next.run(request).await
    } else {
        refuse(StatusCode::FORBIDDEN, "only localhost is served here")
    }
}

fn refuse(status: StatusCode, why: impl Into<String>) -> Response {
    (status, Json(Refused { error: why.into() })).into_response()
}

async fn metrics(State(shared): State<Shared>) -> Response {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], shared.surface.metrics.text()).into_response()
}

async fn health(State(shared): State<Shared>) -> Response {
    let health = (shared.surface.health)();
    let status = if health.ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(health)).into_response()
}
