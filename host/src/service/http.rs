//! Lookups by HTTP GET.
//!
//! Rule: 200 (a body) and 404 ("there is none") are answers. 408, 429, 5xx, a failed connection and a time-out are
//! retried (`call`), and any other status is not. The number of concurrent calls is limited. A service that is down is
//! not called for a while (`breaker`). Forgotten questions are not called any more. Questions wait in memory. They are
//! part of their task's state, so there are never more than the task has pending.

mod breaker;
mod call;
#[cfg(test)]
mod tests;

use super::{Answer, ServiceCall, ServiceReply, Services};
use crate::config::LookupConfig;
use crate::metrics::{LookupMetrics, Metrics};
use crate::record::Partition;
use breaker::{Breaker, BreakerChange, Leave};
use call::{Next, Tries, Try};
use parking_lot::{Mutex, MutexGuard};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, StatusCode, Url};
use std::collections::HashMap;
use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep};

/// The services of one worker. [`share`](HttpServices::share) makes those of another worker, with the same limits.
pub struct HttpServices {
    services: Arc<[Arc<Service>]>,
    /// For each service, the questions that wait. The channels need no limit, because every question is a pending
    /// lookup in the state of a task. Forgotten questions are dropped when their turn comes.
    queues: Arc<[UnboundedSender<PendingCall>]>,
    /// Replies that the worker has not taken yet: at most one for each pending lookup, of at most `body_limit` bytes.
    replies: mpsc::Receiver<ServiceReply>,
    sender: mpsc::Sender<ServiceReply>,
    /// Dropping a sender stops everything that was asked for the task.
    tasks: HashMap<Partition, watch::Sender<()>>,
}

/// A question that waits for its call.
struct PendingCall {
    question: ServiceCall,
    reply_to: mpsc::Sender<ServiceReply>,
    /// Closed when the question is forgotten.
    wanted: watch::Receiver<()>,
    since: Instant,
}

/// One service, shared by all workers.
struct Service {
    config: LookupConfig,
    client: Client,
    room: Arc<Semaphore>,
    breaker: Mutex<Breaker>,
    metrics: LookupMetrics,
    refusals: AtomicU64,
}

/// Why a service's HTTP client can't be made.
#[derive(Debug, Error)]
pub enum NoClient {
    /// A configured header is not valid.
    #[error("lookups.{lookup}.headers: {why}")]
    Header {
        /// The lookup in the config.
        lookup: String,
        /// What is wrong with the header.
        why: String,
    },
    /// The client can't be built, for example because there is no TLS.
    #[error("lookups.{lookup}: no HTTP client: {why}")]
    NotBuilt {
        /// The lookup in the config.
        lookup: String,
        /// The client's reason.
        why: reqwest::Error,
    },
}

impl HttpServices {
    /// The lookups of the config, by index. Calls run on `runtime`. Fails if the HTTP client can't be made (TLS).
    pub fn new(lookups: &[LookupConfig], runtime: &Handle, metrics: &Metrics) -> Result<HttpServices, NoClient> {
        let mut services = Vec::new();
        let mut queues = Vec::new();
        for (index, config) in lookups.iter().enumerate() {
            let service = Arc::new(Service {
                client: client(config)?,
                room: Arc::new(Semaphore::new(config.in_flight)),
                breaker: Mutex::new(Breaker::new(config.breaker_failures, config.breaker_pause)),
                metrics: metrics.lookup(index),
                config: config.clone(),
                refusals: AtomicU64::new(0),
            });
            let (queue, questions) = unbounded_channel();
            runtime.spawn(serve(Arc::clone(&service), questions));
            services.push(service);
            queues.push(queue);
        }
        let (sender, replies) = mpsc::channel();
        Ok(HttpServices {
            services: services.into(),
            queues: queues.into(),
            replies,
            sender,
            tasks: HashMap::new(),
        })
    }

    /// The same services for another worker. Limits and breakers are shared; questions and replies are not.
    pub fn share(&self) -> HttpServices {
        let (sender, replies) = mpsc::channel();
        HttpServices {
            services: Arc::clone(&self.services),
            queues: Arc::clone(&self.queues),
            replies,
            sender,
            tasks: HashMap::new(),
        }
    }
}

impl Services for HttpServices {
    /// # Panics
    /// If there is no such service. The rules were checked against the config.
    fn ask(&mut self, question: ServiceCall) {
        let service = usize::from(question.service);
        let wanted = self
            .tasks
            .entry(question.task)
            .or_insert_with(|| watch::channel(()).0)
            .subscribe();
        self.services[service].metrics.waiting.inc();
        let asked = PendingCall {
            question,
            reply_to: self.sender.clone(),
            wanted,
            since: Instant::now(),
        };
        // If the runtime has ended, the process is ending too, and nobody waits for replies.
        let _ = self.queues[service].send(asked);
    }

    fn replies(&mut self, into: &mut Vec<ServiceReply>) {
        into.extend(self.replies.try_iter());
    }

    fn forget(&mut self, task: Partition) {
        self.tasks.remove(&task);
    }
}

fn client(config: &LookupConfig) -> Result<Client, NoClient> {
    let mut headers = HeaderMap::new();
    for (name, value) in &config.headers {
        let wrong = |why: &dyn Display| NoClient::Header {
            lookup: config.name.clone(),
            why: why.to_string(),
        };
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| wrong(&error))?;
        let value = HeaderValue::from_str(value).map_err(|error| wrong(&error))?;
        headers.insert(name, value);
    }
    Client::builder()
        .default_headers(headers)
        // Any status other than 200 and 404 is not an answer. So redirects are not followed.
        .redirect(reqwest::redirect::Policy::none())
        .timeout(config.timeout)
        .pool_max_idle_per_host(config.in_flight)
        .build()
        .map_err(|why| NoClient::NotBuilt {
            lookup: config.name.clone(),
            why,
        })
}

/// Takes questions in their order when a call is allowed. A question keeps its permit between attempts, so that a
/// service in trouble gets fewer calls.
async fn serve(service: Arc<Service>, mut questions: UnboundedReceiver<PendingCall>) {
    while let Some(asked) = questions.recv().await {
        if is_forgotten(&asked.wanted) {
            service.metrics.waiting.dec();
            continue;
        }
        // The semaphore is never closed, so this can't fail.
        let Ok(room) = Arc::clone(&service.room).acquire_owned().await else {
            return;
        };
        let service = Arc::clone(&service);
        tokio::spawn(async move {
            let mut wanted = asked.wanted.clone();
            let answer = tokio::select! {
                biased;
                // Nothing is ever sent: the channel ends when its sender is dropped. It is polled first, so that no
                // call begins after that.
                _ = wanted.changed() => None,
                answer = service.answer(&asked.question) => Some(answer),
            };
            service.metrics.waiting.dec();
            drop(room);
            if let Some(answer) = answer {
                service.reply(asked, answer);
            }
        });
    }
}

fn is_forgotten(wanted: &watch::Receiver<()>) -> bool {
    wanted.has_changed().is_err()
}

impl Service {
    fn reply(&self, asked: PendingCall, answer: Answer) {
        let metrics = &self.metrics;
        let ended = match answer {
            Answer::Body(_) => &metrics.answered,
            Answer::Absent => &metrics.absent,
            Answer::Unavailable => &metrics.unavailable,
        };
        ended.inc();
        metrics.seconds.observe(asked.since.elapsed().as_secs_f64());
        let ServiceCall { task, id, .. } = asked.question;
        // A worker that has ended needs no reply.
        let _ = asked.reply_to.send(ServiceReply { task, id, answer });
    }

    /// Makes all attempts for a question.
    async fn answer(&self, question: &ServiceCall) -> Answer {
        let Some(url) = std::str::from_utf8(&question.request)
            .ok()
            .and_then(|text| Url::parse(text).ok())
        else {
            self.refused(&format!("no URL: {}", String::from_utf8_lossy(&question.request)));
            return Answer::Unavailable;
        };
        let seed = xxhash_rust::xxh3::xxh3_64(&question.id);
        let mut tries = Tries::new(self.config.retries, self.config.backoff, seed);
        loop {
            let Some(leave) = self.breaker().admit(Instant::now()) else {
                return Answer::Unavailable;
            };
            let out = Out {
                service: self,
                leave: Some(leave),
            };
            let ended = self.get(url.clone()).await;
            out.done(&ended);
            match &ended {
                Try::Failed(why) => tracing::debug!(lookup = self.config.name, why, "an attempt of a lookup failed"),
                Try::Refused(why) => self.refused(why),
                Try::Body(_) | Try::Absent => {}
            }
            match tries.after(ended) {
                Next::Answer(answer) => return answer,
                Next::Again(pause) => sleep(pause).await,
            }
        }
    }

    /// Makes one attempt. The time limit includes the body.
    async fn get(&self, url: Url) -> Try {
        self.metrics.tries.inc();
        let mut response = match self.client.get(url).send().await {
            Ok(response) => response,
            Err(error) => return Try::Failed(without_url(error)),
        };
        let status = response.status();
        match status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Try::Absent,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => return Try::Failed(status.to_string()),
            _ if status.is_server_error() => return Try::Failed(status.to_string()),
            _ => return Try::Refused(status.to_string()),
        }
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > self.config.body_limit => {
                    return Try::Refused(format!(
                        "a body of more than {} bytes (body_limit)",
                        self.config.body_limit
                    ));
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Try::Body(body),
                Err(error) => return Try::Failed(without_url(error)),
            }
        }
    }

    /// Logs a failure that retries can't fix. Every question may fail in this way, so only the first, second, fourth,
    /// ... one is logged.
    fn refused(&self, why: &str) {
        let times = self.refusals.fetch_add(1, Ordering::Relaxed) + 1;
        if times.is_power_of_two() {
            tracing::warn!(
                lookup = self.config.name,
                times,
                why,
                "a lookup failed and is not retried"
            );
        }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock()
    }
}

/// An attempt in progress. If it is dropped without a result, because it was forgotten, another one may probe.
struct Out<'s> {
    service: &'s Service,
    leave: Option<Leave>,
}

impl Out<'_> {
    fn done(mut self, ended: &Try) {
        let Some(leave) = self.leave.take() else { return };
        let reached = !matches!(ended, Try::Failed(_));
        let Service { config, metrics, .. } = self.service;
        match self.service.breaker().done(leave, reached, Instant::now()) {
            BreakerChange::None => {}
            BreakerChange::Opened => {
                metrics.breaker_open.set(1);
                let Try::Failed(why) = ended else {
                    unreachable!("only failures open a breaker")
                };
                let pause: Duration = config.breaker_pause;
                tracing::warn!(
                    lookup = config.name,
                    ?pause,
                    why,
                    "too many failures in a row; not calling the service for a while"
                );
            }
            BreakerChange::Closed => {
                metrics.breaker_open.set(0);
                tracing::info!(lookup = config.name, "the service answers again");
            }
        }
    }
}

impl Drop for Out<'_> {
    fn drop(&mut self) {
        if let Some(leave) = self.leave.take() {
            self.service.breaker().given_up(leave, Instant::now());
        }
    }
}

/// The error with its causes, without the URL, which may contain secrets.
fn without_url(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
