//! The session service, over real HTTP on the loopback.
//!
//! Rule: an answer depends only on the session's id, so every call for a session gets the same one.

use anyhow::Context;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

const COUNTRIES: [&str; 8] = ["CA", "DE", "FR", "SE", "MT", "FI", "NO", "ES"];

/// The country of a session's client. The session's creation and the service agree on it.
pub fn country(id: &[u8]) -> &'static str {
    COUNTRIES[(hash(id) % 8) as usize]
}

/// The service's answer for a session. It does not know one in eight.
pub fn answer(id: &[u8]) -> Option<&'static str> {
    (!(hash(id) / 8).is_multiple_of(8)).then(|| country(id))
}

/// FNV-1a, with its bits spread.
fn hash(id: &[u8]) -> u64 {
    let hash = id.iter().fold(0xcbf2_9ce4_8422_2325_u64, |h, byte| {
        (h ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    hash ^ hash >> 29
}

/// How the service behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Behaviour {
    /// Pause before each answer.
    pub latency: Duration,
    /// Share of the calls that fail with status 503, spread evenly.
    pub errors: f64,
}

/// A scripted answer, for tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scripted {
    /// A status and a body.
    Says(u16, String),
    /// No answer, so that the caller's time-out ends the call.
    Hangs,
}

/// The running service. It stops when it is dropped.
pub struct SessionService {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    behaviour: Behaviour,
    scripts: Mutex<HashMap<String, VecDeque<Scripted>>>,
    calls: AtomicU64,
}

impl SessionService {
    /// Starts it on a free port of the loopback.
    pub fn start(behaviour: Behaviour) -> anyhow::Result<SessionService> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0)));
        let listener = listener.context("no free port on the loopback")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            behaviour,
            scripts: Mutex::default(),
            calls: AtomicU64::new(0),
        });
        let router = Router::new()
            .route("/sessions/{id}", get(session))
            .with_state(shared.clone());
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("session-service".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        // It serves for ever. An error of one connection does not end it.
                        _ = async { axum::serve(listener, router).await } => {}
                        // Dropping the sender stops it and its connections.
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(SessionService {
            address,
            shared,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The URL template for a pipeline's lookup.
    pub fn url(&self) -> String {
        format!("http://{}/sessions/{{userSessionId}}", self.address)
    }

    /// Gives these answers to the next calls for this id, in order. After that, it answers normally again.
    pub fn script(&self, id: &str, answers: impl IntoIterator<Item = Scripted>) {
        let mut scripts = self.shared.scripts.lock();
        scripts.entry(id.to_owned()).or_default().extend(answers);
    }

    /// Number of calls so far.
    pub fn calls(&self) -> u64 {
        self.shared.calls.load(Ordering::Relaxed)
    }
}

impl Drop for SessionService {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // If it has panicked, it has printed the panic.
            let _ = thread.join();
        }
    }
}

async fn session(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let call = shared.calls.fetch_add(1, Ordering::Relaxed);
    let scripted = {
        let mut scripts = shared.scripts.lock();
        scripts.get_mut(&id).and_then(VecDeque::pop_front)
    };
    if !shared.behaviour.latency.is_zero() {
        tokio::time::sleep(shared.behaviour.latency).await;
    }
    match scripted {
        Some(Scripted::Hangs) => std::future::pending().await,
        Some(Scripted::Says(status, body)) => (
            StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            body,
        )
            .into_response(),
        None => {
            let errors = |calls: u64| (calls as f64 * shared.behaviour.errors) as u64;
            if errors(call + 1) > errors(call) {
                return StatusCode::SERVICE_UNAVAILABLE.into_response();
            }
            match answer(id.as_bytes()) {
                Some(country) => ([("content-type", "application/json")], body(country)).into_response(),
                None => StatusCode::NOT_FOUND.into_response(),
            }
        }
    }
}

fn body(country: &str) -> String {
    format!("{{\"clientCountryCode\":\"{country}\"}}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    /// Makes a call, and returns status and body.
    fn get(service: &SessionService, id: &str) -> (u16, String) {
        let mut connection = std::net::TcpStream::connect(service.address).unwrap();
        write!(
            connection,
            "GET /sessions/{id} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut text = String::new();
        connection.read_to_string(&mut text).unwrap();
        let status = text[9..12].parse().unwrap();
        (status, text.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    #[test]
    fn it_answers_by_id_over_http() {
        let service = SessionService::start(Behaviour::default()).unwrap();
        let (mut known, mut unknown) = (0, 0);
        for number in 0..40 {
            let id = format!("session-{number}");
            match answer(id.as_bytes()) {
                Some(country) => {
                    assert_eq!(
                        get(&service, &id),
                        (200, format!("{{\"clientCountryCode\":\"{country}\"}}"))
                    );
                    known += 1;
                }
                None => {
                    assert_eq!(get(&service, &id).0, 404);
                    unknown += 1;
                }
            }
        }
        assert!(known > unknown && unknown > 0, "{known} {unknown}");
        assert_eq!(service.calls(), 40);
        assert!(service.url().ends_with("/sessions/{userSessionId}"));
    }

    #[test]
    fn scripts_come_first_and_errors_are_spread() {
        let service = SessionService::start(Behaviour {
            errors: 0.25,
            ..Behaviour::default()
        })
        .unwrap();
        service.script(
            "s",
            [
                Scripted::Says(500, "no".to_owned()),
                Scripted::Says(200, "nonsense".to_owned()),
            ],
        );
        assert_eq!(get(&service, "s"), (500, "no".to_owned()));
        assert_eq!(get(&service, "s"), (200, "nonsense".to_owned()));
        let failed = (0..8).filter(|_| get(&service, "t").0 == 503).count();
        assert_eq!(failed, 2);
    }
}
