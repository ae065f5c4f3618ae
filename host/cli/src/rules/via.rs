//! The two ways to reach a pipeline: the HTTP server of an instance, or only the brokers.

use super::show;
use super::target::Target;
use crate::exit::{FAILED, FINDINGS, Trouble};
use pelton::config::Config;
use pelton::deploy::api::{Cancelled, DeployRequest, Deployed, Deploys, Prune, Pruned, RulesStatus, Shadowing};
use pelton::deploy::client::{DeployClient, Keep};
use pelton::deploy::status;
use pelton::http::{COMPONENT_TYPE, DEPLOY_HEADER, Refusal};
use pelton::rules::Version;
use reqwest::{Client, RequestBuilder, StatusCode};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// A large component takes a minute to compile on a busy machine, and then all instances must answer.
const PATIENCE: Duration = Duration::from_secs(900);

/// How often to check how far a deploy has come.
const LOOK: Duration = Duration::from_millis(300);

/// A way to reach a pipeline.
pub enum Via {
    /// Through an instance.
    Http {
        /// Base URL of the instance.
        url: String,
        client: Client,
    },
    /// Through the control topic.
    Kafka {
        author: Box<DeployClient>,
        tasks: usize,
        /// The retention of the journal.
        ran_within: Duration,
        /// Runs the author's registry client.
        _runtime: tokio::runtime::Runtime,
    },
}

impl Via {
    /// The way that the arguments name.
    pub fn of(to: &Target) -> Result<Via, Trouble> {
        match &to.config {
            None => Via::http(&to.url),
            Some(file) => Via::kafka(file),
        }
    }

    /// Through an instance.
    pub fn http(url: &str) -> Result<Via, Trouble> {
        let url = url.trim_end_matches('/').to_owned();
        // Each call has its own runtime, and a connection can't outlive that.
        let client = Client::builder().timeout(PATIENCE).pool_max_idle_per_host(0).build();
        match client {
            Ok(client) => Ok(Via::Http { url, client }),
            Err(error) => Err(Trouble(FAILED, format!("no HTTP client: {error}"))),
        }
    }

    /// Through the brokers in a pipeline's file.
    pub fn kafka(file: &Path) -> Result<Via, Trouble> {
        let config = load(file)?;
        let ran_within = config.topics.journal_retention;
        let (author, _runtime) = author(config)?;
        let tasks = author.layout.partitions as usize;
        Ok(Via::Kafka {
            author: Box::new(author),
            tasks,
            ran_within,
            _runtime,
        })
    }

    /// Deploys, and waits until the deploy is decided.
    pub fn deploy(&self, wanted: DeployRequest, progress: &mut dyn FnMut(String)) -> Result<Deployed, Trouble> {
        match self {
            Via::Kafka { author, tasks, .. } => author
                .deploy(wanted, &mut |known, _| {
                    progress(show::progress(&status::one(known), *tasks))
                })
                .map_err(|why| Trouble(FINDINGS, format!("refused: {why}; the old rules keep running"))),
            Via::Http { url, client } => {
                let mut wanted = wanted;
                let component = wanted.component.take();
                let rest = serde_json::json!(wanted).to_string();
                let request = client.post(format!("{url}/rules"));
                let request = match component {
                    Some(component) => request
                        .header("content-type", COMPONENT_TYPE)
                        .header(DEPLOY_HEADER, rest)
                        .body(component),
                    None => request.header("content-type", "application/json").body(rest),
                };
                understood(call(client, request, url, Some(progress))?, url)
            }
        }
    }

    /// The results of the last shadow.
    pub fn diff(&self) -> Result<Shadowing, Trouble> {
        match self {
            Via::Kafka { author, .. } => {
                let none = "no shadow has run yet; `pelton rules deploy FILE --shadow 1h` starts one";
                let seen = author.diff().map_err(|why| Trouble(FAILED, why.to_string()))?;
                seen.ok_or_else(|| Trouble(FINDINGS, none.into()))
            }
            Via::Http { url, client } => {
                let (status, body) = call(client, client.get(format!("{url}/rules/diff")), url, None)?;
                match (status, serde_json::from_str::<Refusal>(&body)) {
                    (StatusCode::NOT_FOUND, Ok(refused)) => Err(Trouble(FINDINGS, refused.error)),
                    _ => understood((status, body), url),
                }
            }
        }
    }

    /// Cancels the deploy or shadow in progress.
    pub fn cancel(&self) -> Result<Cancelled, Trouble> {
        match self {
            Via::Kafka { author, .. } => author.cancel().map_err(|why| Trouble(FINDINGS, why.to_string())),
            Via::Http { url, client } => {
                let request = client.post(format!("{url}/rules/cancel"));
                let request = request.header("content-type", "application/json").body("{}");
                understood(call(client, request, url, None)?, url)
            }
        }
    }

    /// Removes components from the control topic that are not needed any more.
    pub fn prune(&self, wanted: Prune) -> Result<Vec<Pruned>, Trouble> {
        match self {
            Via::Kafka { author, ran_within, .. } => {
                let keep = Keep {
                    last: wanted.keep,
                    also: wanted.also,
                    ran_within: *ran_within,
                };
                author
                    .prune(&keep, wanted.dry_run)
                    .map_err(|why| Trouble(FINDINGS, why.to_string()))
            }
            Via::Http { url, client } => {
                let request = client.post(format!("{url}/rules/prune"));
                let body = serde_json::json!(wanted).to_string();
                let request = request.header("content-type", "application/json").body(body);
                understood(call(client, request, url, None)?, url)
            }
        }
    }

    /// The state of deploys.
    pub fn status(&self) -> Result<RulesStatus, Trouble> {
        match self {
            Via::Kafka { author, tasks, .. } => {
                let reader = author.read().map_err(|why| Trouble(FAILED, why.to_string()))?;
                let control = reader.control();
                let version = |number| {
                    control
                        .known(number)
                        .map(|known| Version(known.deploy.version).to_string())
                };
                let newest = control.newest().map(|known| known.deploy.number);
                let Deploys { deploys, taken, shadow } = status::deploys(control, *tasks);
                Ok(RulesStatus {
                    pipeline: author.pipeline.clone(),
                    instance: String::new(),
                    version: newest.and_then(version).unwrap_or_default(),
                    tasks: taken
                        .iter()
                        .filter_map(|(task, number)| Some((*task, version(*number)?)))
                        .collect(),
                    deploys,
                    taken,
                    shadow,
                    troubles: BTreeMap::new(),
                })
            }
            Via::Http { url, client } => understood(call(client, client.get(format!("{url}/rules")), url, None)?, url),
        }
    }
}

fn load(file: &Path) -> Result<Config, Trouble> {
    Config::load(file, &[]).map_err(|findings| {
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        Trouble(FINDINGS, lines.join("\n"))
    })
}

/// An author that deploys through Kafka, and the runtime of its registry client.
fn author(config: Config) -> Result<(DeployClient, tokio::runtime::Runtime), Trouble> {
    let failed = |why: String| Trouble(FAILED, why);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| failed(format!("no thread for the registry: {error}")))?;
    let author = pelton::instance::client(config, runtime.handle()).map_err(|why| failed(format!("{why:#}")))?;
    Ok((author, runtime))
}

fn understood<T: serde::de::DeserializeOwned>((status, body): (StatusCode, String), url: &str) -> Result<T, Trouble> {
    if status == StatusCode::OK {
        return serde_json::from_str(&body)
            .map_err(|_| Trouble(FAILED, format!("{url} answers, but is not a Pelton instance")));
    }
    // Any other answer is not from an instance, or is an error with a text.
    let why = serde_json::from_str(&body).map_or(body, |refused: Refusal| refused.error);
    let code = match status {
        StatusCode::UNPROCESSABLE_ENTITY => FINDINGS,
        _ => FAILED,
    };
    Err(Trouble(
        code,
        format!("refused ({status}): {why}; the old rules keep running"),
    ))
}

/// Makes a call and returns status and body. In the meantime, `progress` is told how far the deploy has come.
fn call(
    client: &Client,
    request: RequestBuilder,
    url: &str,
    mut progress: Option<&mut dyn FnMut(String)>,
) -> Result<(StatusCode, String), Trouble> {
    let away = |error: &dyn std::fmt::Display| {
        Trouble(
            FAILED,
            format!(
                "no instance answers at {url}: {error}. Is it running, and is this the `http` address in its file?"
            ),
        )
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| away(&error))?;
    runtime.block_on(async {
        let answer = async {
            let response = request.send().await.map_err(|error| away(&error))?;
            let status = response.status();
            Ok((status, response.text().await.map_err(|error| away(&error))?))
        };
        tokio::pin!(answer);
        loop {
            tokio::select! {
                answer = &mut answer => return answer,
                () = tokio::time::sleep(LOOK) => {}
            }
            let Some(progress) = &mut progress else { continue };
            let look = async {
                let response = client.get(format!("{url}/rules")).send().await.ok()?;
                serde_json::from_str(&response.text().await.ok()?).ok()
            };
            let running: Option<RulesStatus> = tokio::select! {
                answer = &mut answer => return answer,
                looked = look => looked,
            };
            if let Some(running) = running
                && let Some(open) = running.deploys.last().filter(|last| last.state == "open")
            {
                progress(show::progress(open, running.taken.len()));
            }
        }
    })
}
