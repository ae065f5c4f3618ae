//! Other rules all the time: what a swap costs the stream.
//!
//! Rule: each swap is an ordinary deploy, and the next one begins when it is committed or refused. Versions differ in a setting
//! that nothing depends on that is counted.

use pelton::deploy::api::Wish;
use pelton::instance::Running;
use pelton::metrics::TaskMetrics;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Until the first task is there, it is looked for so often.
const LOOK: Duration = Duration::from_millis(5);

/// The versions take turns.
const LABELS: [&str; 3] = ["", "a", "b"];

/// A thread that deploys.
pub struct Swapping {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(usize, usize)>,
}

impl Swapping {
    /// From now on, each so far ahead of the foremost task in event time; zero: now.
    pub fn start(running: &Running, tasks: Vec<TaskMetrics>, ahead: Duration) -> Swapping {
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
                    // No task is there yet.
                    std::thread::sleep(LOOK);
                    continue;
                }
                let set = [("label".to_string(), json!(label))].into();
                let wish = Wish {
                    at,
                    set,
                    ..Wish::default()
                };
                match client.deploy(wish, &mut |_, _| {}) {
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

    /// Swaps committed, and refused.
    pub fn end(self) -> (usize, usize) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}
