//! Schemas from a registry with Confluent's API (Confluent, Apicurio, Karapace, Redpanda), under the subject
//! `TOPIC-value`.
//!
//! Rule: the result is "unknown" only if the registry has said so. Any problem on the way there is "unavailable".
//!
//! The four small calls are written here instead of using schema_registry_converter. That crate has its own cache and
//! encoders around them, and it does not distinguish "unknown" from "unavailable", which dead letters depend on.
#![expect(
    clippy::disallowed_methods,
    reason = "what is not in the registry is asked for again after a while"
)]

#[cfg(test)]
mod tests;

use super::{NoSchema, Schemas};
use parking_lot::{Mutex, MutexGuard};
use pelton_convert as convert;
use reqwest::{Client, Method, StatusCode, Url};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// Time-out of one call, including connection and body.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long an unknown id is remembered, so that garbage in a topic does not cause a call for each record.
const UNKNOWN_FOR: Duration = Duration::from_secs(10);

/// How many unknown ids are remembered, with 16 bytes and a short text each. At this number, all are forgotten.
const UNKNOWN_IDS: usize = 1024;

/// Maximum size of an answer. The largest schemas have about 100 KiB.
const BODY_LIMIT: usize = 16 << 20;

/// A client of a registry. Its calls block, so they must not be made from the threads of the runtime.
pub struct Confluent {
    base: Url,
    client: Client,
    runtime: Handle,
    known: Mutex<SchemaCache>,
}

/// How many ids of our own schemas are remembered: 256 texts of 30 KB are 8 MB. At this number, all are forgotten. Each
/// deploy may bring new schemas.
const OWN_IDS: usize = 256;

/// What the registry has answered. An id means one schema for ever, and so does a schema's id within a topic.
#[derive(Default)]
struct SchemaCache {
    /// Has no limit, because the inputs' producers use a limited number of schemas. If one were forgotten while the
    /// registry is away, its records would have to wait.
    by_id: HashMap<u32, Arc<str>>,
    /// By topic and schema. At most [`OWN_IDS`].
    ids: HashMap<(String, String), u32>,
    /// At most [`UNKNOWN_IDS`].
    unknown: HashMap<u32, (Instant, String)>,
}

impl SchemaCache {
    fn learn_id(&mut self, key: (String, String), id: u32) {
        if self.ids.len() >= OWN_IDS {
            self.ids.clear();
        }
        self.ids.insert(key, id);
    }
}

/// The relevant parts of an answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    id: Option<u32>,
    schema: Option<String>,
    schema_type: Option<String>,
    #[serde(default)]
    references: Vec<serde_json::Value>,
    message: Option<String>,
}

impl Confluent {
    /// `base` is the URL with its prefix. User and password in it are sent as basic authentication. Makes no call yet.
    pub fn new(base: &str, runtime: Handle) -> Result<Confluent, NoSchema> {
        let mut base =
            Url::parse(base).map_err(|error| NoSchema::Invalid(format!("the registry's URL is none: {error}")))?;
        if base.cannot_be_a_base() {
            return Err(NoSchema::Invalid(
                "the registry's URL must start with http:// or https://".into(),
            ));
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let client = Client::builder().timeout(TIMEOUT).build();
        let client = client.map_err(|error| NoSchema::Invalid(format!("no HTTP client for the registry: {error}")))?;
        Ok(Confluent {
            base,
            client,
            runtime,
            known: Mutex::default(),
        })
    }

    fn known(&self) -> MutexGuard<'_, SchemaCache> {
        self.known.lock()
    }

    /// Makes one call. Returns its status and body.
    fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<(StatusCode, Body), NoSchema> {
        let at = crate::config::without_secrets(self.base.as_str());
        let away = |why: String| NoSchema::Unavailable(format!("the schema registry at {at} does not answer: {why}"));
        let url = self
            .base
            .join(path)
            .map_err(|error| NoSchema::Invalid(format!("{path}: {error}")))?;
        let mut request = self
            .client
            .request(method, url)
            .header("accept", "application/vnd.schemaregistry.v1+json, application/json");
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let (status, bytes) = self.runtime.block_on(async {
            let mut response = request.send().await.map_err(|error| away(reason(error)))?;
            let mut bytes = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|error| away(reason(error)))? {
                if bytes.len() + chunk.len() > BODY_LIMIT {
                    return Err(NoSchema::Invalid(format!(
                        "{at}{path}: an answer of more than {BODY_LIMIT} bytes"
                    )));
                }
                bytes.extend_from_slice(&chunk);
            }
            Ok((response.status(), bytes))
        })?;
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let cure = "put the right user and password into the URL: http://USER:PASSWORD@HOST";
                return Err(NoSchema::Unavailable(format!(
                    "the schema registry at {at} says {status}: {cure}"
                )));
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => return Err(away(status.to_string())),
            _ if status.is_server_error() => return Err(away(status.to_string())),
            _ => {}
        }
        // A page of a proxy or web server is not an answer of the registry, not even with status 404.
        let body = serde_json::from_slice(&bytes);
        let body = body.map_err(|_| away(format!("{status} without the API's JSON; is the URL's prefix right?")))?;
        Ok((status, body))
    }
}

/// The text of an Avro schema without references.
fn schema_of(body: Body, what: &str) -> Result<Arc<str>, NoSchema> {
    if let Some(other) = body.schema_type.filter(|kind| kind != "AVRO") {
        return Err(NoSchema::Invalid(format!("{what} is {other}; only AVRO can be read")));
    }
    if !body.references.is_empty() {
        let cure = "register it with the types written out";
        return Err(NoSchema::Invalid(format!(
            "{what} refers to other schemas, which Pelton does not follow: {cure}"
        )));
    }
    match body.schema {
        Some(text) => Ok(text.into()),
        None => Err(NoSchema::Unavailable(format!(
            "the registry's answer has no schema for {what}"
        ))),
    }
}

fn refused(what: &str, status: StatusCode, body: Body) -> NoSchema {
    NoSchema::Invalid(format!(
        "the registry refuses {what}: {status}: {}",
        body.message.unwrap_or_default()
    ))
}

/// The error with its causes, without the URL.
fn reason(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("time-out after {TIMEOUT:?}");
    }
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl Schemas for Confluent {
    fn by_id(&self, id: u32) -> Result<Arc<str>, NoSchema> {
        {
            let known = self.known();
            if let Some(schema) = known.by_id.get(&id) {
                return Ok(Arc::clone(schema));
            }
            if let Some((_, why)) = known
                .unknown
                .get(&id)
                .filter(|(asked, _)| asked.elapsed() < UNKNOWN_FOR)
            {
                return Err(NoSchema::Unknown(why.clone()));
            }
        }
        let what = format!("the schema with id {id}");
        let (status, body) = self.call(Method::GET, &format!("schemas/ids/{id}"), None)?;
        match status {
            StatusCode::OK => {
                let schema = schema_of(body, &what)?;
                self.known().by_id.insert(id, Arc::clone(&schema));
                Ok(schema)
            }
            StatusCode::NOT_FOUND => {
                let why = format!("the registry has no schema with the id {id}");
                let mut known = self.known();
                if known.unknown.len() >= UNKNOWN_IDS {
                    known.unknown.clear();
                }
                known.unknown.insert(id, (Instant::now(), why.clone()));
                Err(NoSchema::Unknown(why))
            }
            status => Err(refused(&what, status, body)),
        }
    }

    fn id_for(&self, topic: &str, schema: &str) -> Result<u32, NoSchema> {
        let key = (topic.to_string(), schema.to_string());
        if let Some(id) = self.known().ids.get(&key) {
            return Ok(*id);
        }
        // Uses the newest schema if it is the same. Registries compare texts, and ours may be written differently.
        if let (Ok((id, newest)), Ok(wanted)) = (self.latest(topic), convert::fingerprint(schema))
            && convert::fingerprint(&newest) == Ok(wanted)
        {
            self.known().learn_id(key, id);
            return Ok(id);
        }
        let what = format!("the schema of {topic}-value");
        let ask = serde_json::json!({ "schema": schema });
        // Looks it up first, and registers it only if it is new, so that existing schemas work without the right to
        // register.
        let (status, body) = match self.call(Method::POST, &format!("subjects/{topic}-value"), Some(&ask))? {
            (StatusCode::NOT_FOUND, _) => {
                self.call(Method::POST, &format!("subjects/{topic}-value/versions"), Some(&ask))?
            }
            found => found,
        };
        match (status, body.id) {
            (StatusCode::OK, Some(id)) => {
                self.known().learn_id(key, id);
                Ok(id)
            }
            (StatusCode::OK, None) => Err(NoSchema::Unavailable(format!(
                "the registry's answer has no id for {what}"
            ))),
            (status, _) => Err(refused(&what, status, body)),
        }
    }

    fn latest(&self, topic: &str) -> Result<(u32, Arc<str>), NoSchema> {
        let what = format!("the schema of {topic}-value");
        let (status, body) = self.call(Method::GET, &format!("subjects/{topic}-value/versions/latest"), None)?;
        match (status, body.id) {
            (StatusCode::OK, Some(id)) => Ok((id, schema_of(body, &what)?)),
            (StatusCode::OK, None) => Err(NoSchema::Unavailable(format!(
                "the registry's answer has no id for {what}"
            ))),
            (StatusCode::NOT_FOUND, _) => Err(NoSchema::Unknown(format!("the registry has no subject {topic}-value"))),
            (status, _) => Err(refused(&what, status, body)),
        }
    }
}
