//! The local HTTP endpoints: `/metrics`, `/health`, `/rules`.
//!
//! Rule: the server has its own thread and never delays a worker, whatever the request. A page in a browser can't
//! deploy: the content type of such a request needs a preflight, which is not answered, and a loopback address answers
//! only to its own names.
#![expect(clippy::disallowed_methods, reason = "the HTTP server runs on a thread of its own")]

mod health;
mod prune;
mod refusal;
mod rules;
mod shadow;
mod surface;
#[cfg(test)]
mod tests;

pub use health::{Health, TaskCondition, TaskHealth};
pub use refusal::Refusal;
pub use rules::{COMPONENT_TYPE, DEPLOY_HEADER};
pub use surface::Surface;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use refusal::refuse;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use surface::Shared;

use tokio::sync::oneshot;

/// Maximum size of a component. A debug build of a guest has some 10 MiB.
pub const COMPONENT_LIMIT: usize = 64 << 20;

/// How long a stop waits for answers that are being sent.
const STOP_WAIT: Duration = Duration::from_secs(2);

/// A running server. It stops when it is dropped.
pub struct Server {
    /// Where it listens. The port is never 0.
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Takes the port. Connections wait until they are [served](serve).
pub fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves on its own thread.
pub fn serve(listener: TcpListener, surface: Surface) -> std::io::Result<Server> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let address = listener.local_addr()?;
    let listener = {
        let _entered = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
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
