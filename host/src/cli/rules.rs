//! `pelton rules`: talks to a running instance over its local HTTP.

use super::{FAILED, FINDINGS, Instance, OK, say};
use crate::http::{COMPONENT_TYPE, Deployed, Refused, SETTINGS_HEADER};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// A large component takes a minute to compile on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// Why a command did not go well, and its exit code.
struct Trouble(u8, String);

/// `pelton rules deploy`
pub(super) fn deploy(
    component: &Path,
    settings: Option<&Path>,
    at: &Instance,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let result = try_deploy(component, settings, at).map(|deployed| match at.json {
        true => serde_json::json!(deployed).to_string(),
        false if deployed.version == deployed.previous => format!("{} runs already", deployed.version),
        false => format!("{} runs; it was {}", deployed.version, deployed.previous),
    });
    told(result, out, err)
}

fn try_deploy(component: &Path, settings: Option<&Path>, at: &Instance) -> Result<Deployed, Trouble> {
    let read = |path: &Path| {
        let cure = |error| Trouble(FINDINGS, format!("{} can't be read: {error}", path.display()));
        std::fs::read(path).map_err(cure)
    };
    let mut request = client()?
        .post(url(at, "rules"))
        .header("content-type", COMPONENT_TYPE)
        .body(read(component)?);
    if let Some(path) = settings {
        let text = String::from_utf8_lossy(&read(path)?).into_owned();
        let cure = || Trouble(FINDINGS, format!("{} is no object in JSON or TOML", path.display()));
        let parsed = serde_json::from_str::<Value>(&text)
            .ok()
            .or_else(|| toml::from_str(&text).ok());
        let object = parsed.filter(Value::is_object).ok_or_else(cure)?;
        request = request.header(SETTINGS_HEADER, object.to_string());
    }
    let (status, body) = call(request, at)?;
    match status {
        StatusCode::OK => understood(&body, at),
        // Whoever answers otherwise is no instance, or says so in its own words.
        status => {
            let why = serde_json::from_str(&body).map_or(body, |refused: Refused| refused.error);
            let code = if status == StatusCode::UNPROCESSABLE_ENTITY {
                FINDINGS
            } else {
                FAILED
            };
            Err(Trouble(
                code,
                format!("refused ({status}): {why}; the old rules run on"),
            ))
        }
    }
}

/// `pelton rules status`
pub(super) fn status(at: &Instance, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let result = client()
        .and_then(|client| call(client.get(url(at, "rules")), at))
        .and_then(|(_, body)| {
            let status: Value = understood(&body, at)?;
            if at.json {
                return Ok(status.to_string());
            }
            let word = |value: &Value| value.as_str().unwrap_or("?").to_string();
            let mut text = format!("{}: {}", word(&status["pipeline"]), word(&status["version"]));
            for (partition, version) in status["tasks"].as_object().into_iter().flatten() {
                text += &format!("\n  task {partition}: {}", word(version));
            }
            Ok(text)
        });
    told(result, out, err)
}

fn told(result: Result<String, Trouble>, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    match result {
        Ok(text) => {
            say(out, &format!("{text}\n"));
            OK
        }
        Err(Trouble(code, why)) => {
            say(err, &format!("{why}\n"));
            code
        }
    }
}

fn url(at: &Instance, path: &str) -> String {
    format!("{}/{path}", at.url.trim_end_matches('/'))
}

fn client() -> Result<Client, Trouble> {
    Client::builder()
        .timeout(PATIENCE)
        .build()
        .map_err(|error| Trouble(FAILED, format!("no HTTP client: {error}")))
}

fn understood<T: serde::de::DeserializeOwned>(body: &str, at: &Instance) -> Result<T, Trouble> {
    serde_json::from_str(body).map_err(|_| Trouble(FAILED, format!("what answers at {} is no Pelton instance", at.url)))
}

fn call(request: RequestBuilder, at: &Instance) -> Result<(StatusCode, String), Trouble> {
    let away = |error: &dyn std::fmt::Display| {
        Trouble(
            FAILED,
            format!(
                "no instance answers at {}: {error}; is it running, and is `http` in its file this address?",
                at.url
            ),
        )
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| away(&error))?;
    runtime.block_on(async {
        let response = request.send().await.map_err(|error| away(&error))?;
        let status = response.status();
        Ok((status, response.text().await.map_err(|error| away(&error))?))
    })
}
