//! The session service: real HTTP on the loopback.
//!
//! Rule: what it knows follows from the session's id, so whoever asks, and however often, hears the same.

use anyhow::Context;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

const COUNTRIES: [&str; 8] = ["CA", "DE", "FR", "SE", "MT", "FI", "NO", "ES"];

/// The country of a session's client: what its creation says, and what the service says.
pub fn country(id: &[u8]) -> &'static str {
    COUNTRIES[(hash(id) % 8) as usize]
}

/// What the service answers for a session: one in eight is unknown to it.
pub fn answer(id: &[u8]) -> Option<&'static str> {
    (!(hash(id) / 8).is_multiple_of(8)).then(|| country(id))
}

/// FNV-1a, its bits spread.
fn hash(id: &[u8]) -> u64 {
    let hash = id.iter().fold(0xcbf2_9ce4_8422_2325_u64, |h, byte| {
        (h ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    hash ^ hash >> 29
}

/// How the service behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Behaviour {
    /// Before each answer.
    pub latency: Duration,
    /// Share of the calls that end with status 503, spread evenly.
    pub errors: f64,
}

/// An answer told in advance, for tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scripted {
    /// A status and a body.
    Says(u16, String),
    /// No answer: the caller's time-out.
    Hangs,
}

/// The running service; dropped, it ends.
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
                        // It accepts for ever; an error of one connection does not end it.
                        _ = async { axum::serve(listener, router).await } => {}
                        // Dropping the sender stops it, and the connections with it.
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

    /// The next calls for this id get these answers, in order; then it answers as always.
    pub fn script(&self, id: &str, answers: impl IntoIterator<Item = Scripted>) {
        let mut scripts = self.shared.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        scripts.entry(id.to_owned()).or_default().extend(answers);
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.shared.calls.load(Ordering::Relaxed)
    }
}

impl Drop for SessionService {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // It can only have panicked, which it has said.
            let _ = thread.join();
        }
    }
}

async fn session(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let call = shared.calls.fetch_add(1, Ordering::Relaxed);
    let scripted = {
        let mut scripts = shared.scripts.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// Status line and body.
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
