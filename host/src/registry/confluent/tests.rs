//! Tests against a real HTTP server on loopback that answers as registries do. The bodies are those of Apicurio 3.0.9
//! and Confluent.

use super::*;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::runtime::Runtime;

/// Received calls as `METHOD path body auth`, and the answers to give.
#[derive(Default)]
struct Registry {
    calls: AtomicUsize,
    registered: Mutex<Vec<String>>,
    down: AtomicUsize,
    auth: Mutex<Option<String>>,
}

async fn answer(
    State(registry): State<Arc<Registry>>,
    method: axum::http::Method,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> Response {
    registry.calls.fetch_add(1, Ordering::SeqCst);
    *registry.auth.lock() = headers
        .get("authorization")
        .map(|value| value.to_str().unwrap().to_string());
    let down = registry.down.load(Ordering::SeqCst) as u16;
    if down > 0 {
        return (StatusCode::from_u16(down).unwrap(), "<html>").into_response();
    }
    let none = (
        StatusCode::NOT_FOUND,
        r#"{"error_code":40403,"message":"Schema not found"}"#,
    );
    let mut registered = registry.registered.lock();
    match (method.as_str(), uri.path()) {
        ("GET", "/api/schemas/ids/1") => r#"{"schema":"\"string\""}"#.into_response(),
        ("GET", "/api/schemas/ids/2") => r#"{"schema":"syntax = 3","schemaType":"PROTOBUF"}"#.into_response(),
        ("GET", "/api/schemas/ids/3") => {
            r#"{"schema":"{}","schemaType":"AVRO","references":[{"name":"x","subject":"y","version":1}]}"#
                .into_response()
        }
        ("GET", "/api/subjects/t-value/versions/latest") => {
            r#"{"subject":"t-value","version":2,"id":9,"schema":"\"int\""}"#.into_response()
        }
        ("POST", "/api/subjects/t-value") => match registered.iter().position(|known| *known == body) {
            Some(at) => format!(r#"{{"subject":"t-value","version":1,"id":{},"schema":""}}"#, at + 100).into_response(),
            None => none.into_response(),
        },
        ("POST", "/api/subjects/t-value/versions") if body.contains("float") => (
            StatusCode::CONFLICT,
            r#"{"error_code":409,"message":"incompatible with an earlier schema"}"#,
        )
            .into_response(),
        ("POST", "/api/subjects/t-value/versions") => {
            registered.push(body);
            format!(r#"{{"id":{}}}"#, registered.len() + 99).into_response()
        }
        _ => none.into_response(),
    }
}

struct Rig {
    runtime: Runtime,
    registry: Arc<Registry>,
    url: String,
}

fn rig() -> Rig {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let registry = Arc::new(Registry::default());
    let router = Router::new().fallback(answer).with_state(Arc::clone(&registry));
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://me:s%40cret@{}/api", listener.local_addr().unwrap());
    runtime.spawn(async move { axum::serve(listener, router).await });
    Rig { runtime, registry, url }
}

impl Rig {
    fn schemas(&self) -> Confluent {
        Confluent::new(&self.url, self.runtime.handle().clone()).unwrap()
    }

    fn calls(&self) -> usize {
        self.registry.calls.load(Ordering::SeqCst)
    }
}

#[test]
fn an_id_is_asked_for_once() {
    let rig = rig();
    let schemas = rig.schemas();
    for _ in 0..3 {
        assert_eq!(&*schemas.by_id(1).unwrap(), "\"string\"");
        assert!(matches!(schemas.by_id(7), Err(NoSchema::Unknown(text)) if text.contains("id 7")));
    }
    assert_eq!(rig.calls(), 2);
    // Base64 of me:s@cret.
    assert_eq!(rig.registry.auth.lock().as_deref(), Some("Basic bWU6c0BjcmV0"));
}

#[test]
fn what_can_not_be_used_is_said() {
    let rig = rig();
    let schemas = rig.schemas();
    assert!(matches!(schemas.by_id(2), Err(NoSchema::Invalid(text)) if text.contains("PROTOBUF")));
    assert!(matches!(schemas.by_id(3), Err(NoSchema::Invalid(text)) if text.contains("refers to other schemas")));
    assert!(
        matches!(schemas.id_for("t", "\"float\""), Err(NoSchema::Invalid(text)) if text.contains("incompatible with"))
    );
    assert!(Confluent::new("localhost:8081", rig.runtime.handle().clone()).is_err());
}

#[test]
fn a_schema_is_found_or_registered() {
    let rig = rig();
    let schemas = rig.schemas();
    assert_eq!(schemas.id_for("t", "\"long\""), Ok(100));
    assert_eq!(rig.calls(), 3, "the newest is another, there is none, registered");
    assert_eq!(schemas.id_for("t", "\"long\""), Ok(100));
    assert_eq!(rig.calls(), 3, "remembered");
    assert_eq!(rig.schemas().id_for("t", "\"long\""), Ok(100));
    assert_eq!(rig.calls(), 5, "found by another instance");
    assert_eq!(schemas.id_for("t", "{\"type\": \"int\"}"), Ok(9));
    assert_eq!(rig.calls(), 6, "the newest one, written otherwise");
    assert_eq!(rig.registry.registered.lock().len(), 1);
    assert_eq!(schemas.latest("t").unwrap(), (9, "\"int\"".into()));
    assert!(matches!(schemas.latest("u"), Err(NoSchema::Unknown(text)) if text.contains("u-value")));
}

#[test]
fn trouble_is_not_an_answer() {
    let rig = rig();
    let schemas = rig.schemas();
    for status in [404, 408, 429, 500, 503, 401, 200] {
        rig.registry.down.store(status, Ordering::SeqCst);
        let error = schemas.by_id(1).unwrap_err();
        assert!(
            matches!(&error, NoSchema::Unavailable(text) if !text.contains("cret")),
            "{status}: {error:?}"
        );
    }
    rig.registry.down.store(0, Ordering::SeqCst);
    assert_eq!(&*schemas.by_id(1).unwrap(), "\"string\"");
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let away = Confluent::new(&format!("http://{closed}"), rig.runtime.handle().clone()).unwrap();
    assert!(matches!(away.by_id(1), Err(NoSchema::Unavailable(text)) if text.contains("does not answer")));
}

#[test]
fn the_ids_of_own_schemas_are_bounded() {
    let mut known = SchemaCache::default();
    for id in 0..3 * OWN_IDS as u32 {
        known.learn_id(("out".into(), id.to_string()), id);
        assert!(known.ids.len() <= OWN_IDS);
        assert_eq!(known.ids[&("out".to_string(), id.to_string())], id);
    }
}
