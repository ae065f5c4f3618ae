//! A clock that counts only the time in which its driver ran.
//!
//! Rule: a process that stood still (a stopped container, a suspended machine) must not use up its deadlines. So a jump
//! of more than a second counts as one second.

use crate::fault::fault;
use std::time::Duration;

/// Maximum time that counts between two steps. While a deadline runs, the driver must step at least this often.
pub const MAX_STEP: Duration = Duration::from_secs(1);

/// Counts the time in which the driver ran.
#[derive(Clone, Copy, Debug, Default)]
pub struct DrivenClock {
    last: Duration,
    ran: Duration,
}

impl DrivenClock {
    /// Notes a step at this time of a monotonic clock.
    pub fn tick(&mut self, now: Duration) {
        let most = if fault!("standstill-counts") {
            Duration::MAX
        } else {
            MAX_STEP
        };
        self.ran += now.saturating_sub(self.last).min(most);
        self.last = now;
    }

    /// The monotonic time of the last step.
    pub fn now(&self) -> Duration {
        self.last
    }

    /// How long the driver has run.
    pub fn ran(&self) -> Duration {
        self.ran
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_counts_as_one_second() {
        let mut clock = DrivenClock::default();
        let seconds = Duration::from_secs_f64;
        for (now, ran) in [(0.5, 0.5), (1.5, 1.5), (3601.5, 2.5), (3601.5, 2.5), (3601.75, 2.75)] {
            clock.tick(seconds(now));
            assert_eq!(clock.ran(), seconds(ran), "at {now}");
        }
    }
}
