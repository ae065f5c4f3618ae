//! The same rules as a shadow: what that costs the stream, and whether the shadow keeps up beside it.
//!
//! Rule: a shadow of the rules that run must find nothing; if it does not keep up it is dropped, and says so.

use pelton::deploy::api::{Shadowing, Wish};
use pelton::deploy::client::DeployClient;
use pelton::instance::Running;
use pelton::metrics::TaskMetrics;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Longer than the traffic.
const DURATION: Duration = Duration::from_secs(365 * 86_400);

/// Until the first task is there, it is looked for so often.
const LOOK: Duration = Duration::from_millis(5);

/// Whoever begins a shadow.
pub struct Beside {
    client: Arc<DeployClient>,
    thread: JoinHandle<Result<(), String>>,
}

impl Beside {
    /// As soon as a task has taken steps.
    pub fn start(running: &Running, tasks: Vec<TaskMetrics>) -> Beside {
        let client = running.client().clone();
        let begins = client.clone();
        let thread = std::thread::spawn(move || {
            while tasks.iter().all(|task| task.watermark_seconds.get() <= 0.0) {
                std::thread::sleep(LOOK);
            }
            let wish = Wish {
                shadow: Some(DURATION.as_millis() as i64),
                ..Wish::default()
            };
            begins.deploy(wish, &mut |_, _| {}).map(|_| ())
        });
        Beside { client, thread }
    }

    /// What is seen of it by now.
    pub fn end(self) -> Result<Shadowing, String> {
        self.thread.join().map_err(|_| "the author has panicked".to_owned())??;
        self.client.diff()?.ok_or_else(|| "no shadow has run".to_owned())
    }
}
