//! Runs a shadow with the same rules: what it costs the stream, and whether it keeps up.
//!
//! Rule: a shadow of the same rules must find no difference. If it doesn't keep up, it is dropped and says so.

use anyhow::{Context, Result, anyhow};
use pelton::deploy::api::{DeployRequest, Shadowing};
use pelton::deploy::client::DeployClient;
use pelton::instance::RunningInstance;
use pelton::metrics::TaskMetrics;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Longer than the traffic lasts.
const DURATION: Duration = Duration::from_secs(365 * 86_400);

/// How often the first task is looked for until it exists.
const LOOK: Duration = Duration::from_millis(5);

/// Starts a shadow.
pub struct Beside {
    client: Arc<DeployClient>,
    thread: JoinHandle<Result<()>>,
}

impl Beside {
    /// Starts the shadow as soon as a task has taken steps.
    pub fn start(running: &RunningInstance, tasks: Vec<TaskMetrics>) -> Beside {
        let client = running.client().clone();
        let begins = client.clone();
        let thread = std::thread::spawn(move || {
            while tasks.iter().all(|task| task.watermark_seconds.get() <= 0.0) {
                std::thread::sleep(LOOK);
            }
            let request = DeployRequest {
                shadow: Some(DURATION.as_millis() as i64),
                ..DeployRequest::default()
            };
            begins
                .deploy(request, &mut |_, _| {})
                .map(drop)
                .map_err(anyhow::Error::from)
        });
        Beside { client, thread }
    }

    /// What the shadow has found so far.
    pub fn end(self) -> Result<Shadowing> {
        self.thread.join().map_err(|_| anyhow!("the author has panicked"))??;
        let seen = self.client.diff()?;
        seen.context("no shadow has run")
    }
}
