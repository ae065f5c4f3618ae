//! The clock for time limits: a thread that counts ticks.
//!
//! Rule: it runs as long as there are rules.
#![expect(
    clippy::disallowed_methods,
    reason = "the time limit of a call needs a thread that counts"
)]

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

/// Resolution of the time limits. Unless the machine is overloaded, a call runs at most this much longer than its
/// limit.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// A compiler with the clock for time limits.
pub(super) struct Ticking {
    pub(super) engine: wasmtime::Engine,
    /// Dropping it tells the thread to stop.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // The thread only counts and waits, so it can't have panicked.
            let _ = thread.join();
        }
    }
}

impl Ticking {
    /// Starts the clock of a compiler.
    pub(super) fn start(engine: wasmtime::Engine) -> std::io::Result<Ticking> {
        let (stop, stopped) = mpsc::channel();
        let clock = engine.clone();
        let tick = move || {
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                clock.increment_epoch();
            }
        };
        let thread = std::thread::Builder::new().name("rules-clock".into()).spawn(tick);
        Ok(Ticking {
            engine,
            stop: Some(stop),
            thread: Some(thread?),
        })
    }
}
