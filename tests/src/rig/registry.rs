//! A schema registry: Apicurio with its Confluent-compatible API, in memory.

use super::jars;
use super::ports::free_ports;
use super::process::{Folder, START_TIMEOUT, Server};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, Instant};

/// A running registry. It is empty at first.
pub struct Registry {
    port: u16,
    server: Server,
    _folder: Folder,
}

impl Registry {
    pub(super) fn start() -> Result<Registry> {
        let home = jars::registry()?;
        let folder = Folder::new("registry")?;
        let [port] = free_ports()?;
        let jar = std::fs::read_dir(&home)?.flatten().map(|entry| entry.path());
        let jar = jar
            .into_iter()
            .find(|path| path.to_string_lossy().ends_with("-runner.jar"));
        let mut command = Command::new("java");
        command.args([
            "-Xmx512m",
            "-Dquarkus.http.host=127.0.0.1",
            &format!("-Dquarkus.http.port={port}"),
            "-jar",
        ]);
        command.arg(jar.with_context(|| format!("no runner jar in {}: remove that folder", home.display()))?);
        let mut registry = Registry {
            port,
            server: Server::spawn(command, &folder.path("registry.log"))?,
            _folder: folder,
        };
        let deadline = Instant::now() + START_TIMEOUT;
        while registry.call("GET", "/subjects", None).is_err() {
            if let Some(log) = registry.server.ended()? {
                bail!("the schema registry has ended: {log}");
            }
            if Instant::now() > deadline {
                bail!(
                    "the schema registry does not answer after {} s",
                    START_TIMEOUT.as_secs()
                );
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(registry)
    }

    /// Its base URL with the prefix, as a user gives it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/apis/ccompat/v7", self.port)
    }

    /// Registers a schema (Avro JSON) under a subject (`TOPIC-value`). Returns its id.
    pub fn register(&self, subject: &str, schema: &str) -> Result<u32> {
        let body = json!({ "schema": schema });
        let answer = self.call("POST", &format!("/subjects/{subject}/versions"), Some(&body))?;
        let id = answer["id"].as_u64().with_context(|| format!("an id in {answer}"))?;
        Ok(id.try_into()?)
    }

    /// Calls its API. An error contains the answer.
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let url = format!("{}{path}", self.url());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
            let mut request = client.request(method.parse()?, &url);
            if let Some(body) = body {
                request = request
                    .header("Content-Type", "application/json")
                    .body(body.to_string());
            }
            let answer = request.send().await?;
            let (status, text) = (answer.status(), answer.text().await?);
            if !status.is_success() {
                bail!("{method} {url}: {status}: {text}");
            }
            Ok(serde_json::from_str(&text)?)
        })
    }
}
