//! Counts how often a version of the rules was at fault on one worker, and how much time that cost.
//!
//! Rules:
//! - A fault is an input that went to the dead letters because of the version: it trapped, or its effects can't be
//!   applied. An input that the rules reject, or that can't be read, is not a fault.
//! - The time that counts is that of calls that hit the time limit, and of the more patient calls that follow them.
//! - Both are counted over the last inputs that the version was given. They are not state: a restart forgets them, and
//!   work that is repeated after a dropped epoch counts again.

use crate::config::Budget;
use std::collections::VecDeque;
use std::time::Duration;

/// The faults of one version on one worker.
#[derive(Debug)]
pub struct Faults {
    budget: Budget,
    /// Inputs given so far.
    inputs: u64,
    /// The input counts at which the last faults happened. At most one more than the budget allows.
    faults: VecDeque<u64>,
    /// The last calls that took too long. Each lasts at least a millisecond, so the time budget bounds how many there
    /// are.
    slow: VecDeque<Slow>,
    /// The reason for the last fault or slow call.
    reason: String,
}

/// A call that took too long.
#[derive(Debug)]
struct Slow {
    /// The input count at which it happened.
    at: u64,
    took: Duration,
}

impl Faults {
    /// Starts without faults.
    pub fn new(budget: Budget) -> Faults {
        Faults {
            budget,
            inputs: 0,
            faults: VecDeque::new(),
            slow: VecDeque::new(),
            reason: String::new(),
        }
    }

    /// Notes that the version was given this many more inputs.
    pub fn handed(&mut self, inputs: usize) {
        self.inputs += inputs as u64;
    }

    /// Notes that an input goes to the dead letters, for this reason.
    pub fn fault(&mut self, reason: &str) {
        self.faults.push_back(self.inputs);
        if self.faults.len() > self.budget.faults + 1 {
            self.faults.pop_front();
        }
        reason.clone_into(&mut self.reason);
    }

    /// Notes a call that took too long, for this reason.
    pub fn slow(&mut self, took: Duration, reason: &str) {
        let Budget { time, window, .. } = self.budget;
        while self.slow.front().is_some_and(|slow| slow.at + window < self.inputs) || self.lost() > time {
            self.slow.pop_front();
        }
        self.slow.push_back(Slow { at: self.inputs, took });
        reason.clone_into(&mut self.reason);
    }

    fn lost(&self) -> Duration {
        self.slow.iter().map(|slow| slow.took).sum()
    }

    fn within(&self, at: u64) -> bool {
        at + self.budget.window >= self.inputs
    }

    fn too_many(&self) -> bool {
        let Budget { faults, .. } = self.budget;
        faults > 0 && self.faults.len() > faults && self.faults.front().is_some_and(|at| self.within(*at))
    }

    /// Whether the version is over one of its budgets. Asked once a batch, and cheap while there are no faults.
    pub fn over(&self) -> bool {
        let Budget { time, .. } = self.budget;
        let lost = || {
            self.slow
                .iter()
                .filter(|slow| self.within(slow.at))
                .map(|slow| slow.took)
        };
        self.too_many() || (time > Duration::ZERO && !self.slow.is_empty() && lost().sum::<Duration>() > time)
    }

    /// Says, for people, which budget the version has exceeded.
    pub fn why(&self) -> String {
        let Budget { faults, time, window } = self.budget;
        let what = match self.too_many() {
            true => format!("more than {faults} went to the dead letters by their fault (rules.fault_budget)"),
            false => format!("calls that took too long have cost more than {time:?} (rules.time_budget)"),
        };
        format!(
            "of the last {window} inputs {what}; the last reason was: {}",
            self.reason
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(faults: usize, time: u64) -> Faults {
        Faults::new(Budget {
            faults,
            time: Duration::from_secs(time),
            window: 100,
        })
    }

    #[test]
    fn more_than_the_budget_within_the_window() {
        let mut rare = faults(2, 0);
        for _ in 0..20 {
            rare.handed(50);
            rare.fault("rare");
            // From the third fault on, the window always contains three of them.
            assert_eq!(rare.over(), rare.inputs >= 150, "{rare:?}");
        }
        let mut rarer = faults(2, 0);
        for _ in 0..20 {
            rarer.handed(51);
            rarer.fault("rarer");
            assert!(!rarer.over());
        }
        let why = rare.why();
        assert!(
            why.contains("of the last 100 inputs more than 2") && why.ends_with("rare"),
            "{why}"
        );
        rare.handed(101);
        assert!(!rare.over(), "they are too long ago");
        assert!(rare.faults.len() <= 3);
    }

    #[test]
    fn time_counts_within_the_window() {
        let mut slow = faults(0, 2);
        for _ in 0..100 {
            slow.fault("any number");
        }
        slow.slow(Duration::from_secs(1), "slow");
        slow.handed(60);
        slow.slow(Duration::from_secs(1), "slow");
        assert!(!slow.over());
        slow.handed(41);
        slow.slow(Duration::from_millis(500), "slow");
        assert!(!slow.over(), "the first one is too long ago");
        slow.slow(Duration::from_millis(600), "slower");
        assert!(slow.over());
        let why = slow.why();
        assert!(why.contains("2s") && why.ends_with("slower"), "{why}");
        for _ in 0..5000 {
            slow.slow(Duration::from_millis(1), "slow");
        }
        // One more than the budget has milliseconds.
        assert!(slow.slow.len() <= 2001 && slow.over(), "{}", slow.slow.len());
    }
}
