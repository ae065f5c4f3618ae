//! Epochs that are not committed, one after the other.
//!
//! Rule: a failure that repeats is tried again ever more slowly, and is a state that health, log and metrics tell. The
//! next commit ends it.

use crate::binding::Uncommitted;
use crate::clock::Now;
use std::sync::Arc;
use std::time::Duration;

/// This many failures in a row are tried again at once: a rebalance, or an election, causes two or three.
const AT_ONCE: u32 = 3;

/// The first pause. It doubles with each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause. A task that waits for it continues this much later than its trouble ends.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The failures since the last commit.
#[derive(Clone, Debug, Default)]
pub struct CommitFailures {
    count: u32,
    /// When the first of them ended.
    since: Duration,
    why: Arc<str>,
    retry_at: Duration,
}

impl CommitFailures {
    /// Notes that an epoch was not committed, or that nobody knows whether it was.
    pub fn failed(&mut self, why: &str, now: Now) {
        if self.count == 0 {
            self.since = now.mono;
        }
        self.count = self.count.saturating_add(1);
        self.why = why.into();
        self.retry_at = now.mono + pause(self.count);
    }

    /// Notes that an epoch was committed.
    pub fn committed(&mut self, now: Now) {
        if self.count > AT_ONCE {
            let seconds = now.mono.saturating_sub(self.since).as_secs();
            tracing::info!(failures = self.count, seconds, "epochs are committed again");
        }
        *self = CommitFailures::default();
    }

    /// When the next epoch may be sealed.
    pub fn retry_at(&self) -> Duration {
        self.retry_at
    }

    /// What is not committed, and why.
    pub fn uncommitted(&self, now: Now) -> Option<Uncommitted> {
        (self.count > 0).then(|| Uncommitted {
            since: now.wall - now.mono.saturating_sub(self.since).as_millis() as i64,
            epochs: self.count,
            why: self.why.clone(),
        })
    }
}

fn pause(failures: u32) -> Duration {
    match failures.checked_sub(AT_ONCE + 1) {
        None => Duration::ZERO,
        Some(doubled) => LONGEST_PAUSE.min(FIRST_PAUSE * 2_u32.saturating_pow(doubled.min(16))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Now {
        Now {
            mono: Duration::from_millis(millis),
            wall: 1_000_000 + millis as i64,
        }
    }

    #[test]
    fn pauses_grow_up_to_a_bound_and_a_commit_ends_them() {
        let mut failures = CommitFailures::default();
        assert_eq!(
            (failures.retry_at(), failures.uncommitted(at(0))),
            (Duration::ZERO, None)
        );
        let mut pauses = vec![];
        for number in 0..13 {
            failures.failed("too large", at(1000 + number));
            pauses.push((failures.retry_at() - at(1000 + number).mono).as_millis());
        }
        assert_eq!(pauses, [0, 0, 0, 50, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
        let uncommitted = failures.uncommitted(at(9000)).expect("nothing was committed");
        assert_eq!((uncommitted.since, uncommitted.epochs), (1_001_000, 13));
        assert_eq!(&*uncommitted.why, "too large");
        failures.committed(at(9000));
        assert_eq!(
            (failures.retry_at(), failures.uncommitted(at(9000))),
            (Duration::ZERO, None)
        );
    }
}
