//! The clock of the embedded log.
//!
//! Rule: nothing else in the embedded log asks the machine for the time. Under a manual clock, nothing waits.
#![expect(clippy::disallowed_methods, reason = "it is the clock of the embedded log")]

use crate::record::Millis;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Monotonic time for time-outs and proofs, and wall-clock time for topics with append time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    /// The machine's clock. Monotonic time counts from this instant.
    Real(Instant),
    /// A clock that a test advances: the time since its start, and the wall-clock time at its start.
    Manual(Arc<Mutex<Duration>>, Millis),
}

impl Clock {
    /// The machine's clock.
    pub fn real() -> Clock {
        Clock(Source::Real(Instant::now()))
    }

    /// A clock that moves only by [`Clock::advance`]. `wall` is the wall-clock time at its start.
    pub fn manual(wall: Millis) -> Clock {
        Clock(Source::Manual(Arc::default(), wall))
    }

    /// Advances a manual clock and all its clones.
    ///
    /// # Panics
    /// If it is the machine's clock.
    pub fn advance(&self, by: Duration) {
        match &self.0 {
            Source::Real(_) => panic!("the machine's clock can't be moved"),
            Source::Manual(now, _) => *now.lock() += by,
        }
    }

    /// Time since the clock's start. It never goes back.
    pub fn now(&self) -> Duration {
        match &self.0 {
            Source::Real(start) => start.elapsed(),
            Source::Manual(now, _) => *now.lock(),
        }
    }

    /// Milliseconds since 1970.
    pub fn wall(&self) -> Millis {
        match &self.0 {
            Source::Real(_) => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_millis() as Millis),
            Source::Manual(_, start) => start + self.now().as_millis() as Millis,
        }
    }

    /// Whether time passes by itself. Under a manual clock it does not, so callers that would wait return at once: only
    /// their own caller can advance it.
    pub(super) fn passes(&self) -> bool {
        matches!(self.0, Source::Real(_))
    }
}
