//! Swaps the rules all the time, to measure what a swap costs the stream.
//!
//! Rule: each swap is an ordinary deploy. The next one begins when it is committed or refused. The versions differ only
//! in a setting that doesn't affect what is counted.

use pelton::deploy::api::DeployRequest;
use pelton::instance::RunningInstance;
use pelton::metrics::TaskMetrics;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the first task is looked for until it exists.
const LOOK: Duration = Duration::from_millis(5);

/// The setting that differs. The versions take turns.
const LABELS: [&str; 3] = ["", "a", "b"];

/// A thread that deploys.
pub struct Swapping {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(usize, usize)>,
}

impl Swapping {
    /// Starts to deploy, each time this far ahead of the foremost task in event time. Zero means now.
    pub fn start(running: &RunningInstance, tasks: Vec<TaskMetrics>, ahead: Duration) -> Swapping {
        let client = running.client().clone();
        let stop = Arc::new(AtomicBool::new(false));
        let ended = stop.clone();
        let thread = std::thread::spawn(move || {
            let (mut committed, mut refused) = (0, 0);
            for label in LABELS.iter().cycle().skip(1) {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                let foremost = tasks
                    .iter()
                    .map(|task| (task.watermark_seconds.get() * 1e3) as i64)
                    .max();
                let foremost = foremost.unwrap_or(0);
                let at = (!ahead.is_zero()).then(|| foremost + ahead.as_millis() as i64);
                if foremost <= 0 {
                    // There is no task yet.
                    std::thread::sleep(LOOK);
                    continue;
                }
                let set = [("label".to_string(), json!(label))].into();
                let request = DeployRequest {
                    at,
                    set,
                    ..DeployRequest::default()
                };
                match client.deploy(request, &mut |_, _| {}) {
                    Ok(_) => committed += 1,
                    Err(why) => {
                        refused += 1;
                        eprintln!("refused: {why}");
                    }
                }
            }
            (committed, refused)
        });
        Swapping { stop, thread }
    }

    /// Ends it. Returns the number of committed and of refused swaps.
    pub fn end(self) -> (usize, usize) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}
