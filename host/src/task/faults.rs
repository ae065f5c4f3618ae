//! How often, and for how long, a version was at fault on one worker.
//!
//! Rules:
//! - A fault is an input that went to the dead letters because of the version: it trapped, or what it made can't be applied. What
//!   it refuses, and what can't be read, is none.
//! - Time counts that was spent in calls which hit the time limit, and in the calls with more patience after them.
//! - Both within the last inputs that the version was handed. It is no state: lost with the process, and what is done again after
//!   a dropped epoch counts again.

use crate::config::Budget;
use std::collections::VecDeque;
use std::time::Duration;

/// See the module.
#[derive(Debug)]
pub struct Faults {
    budget: Budget,
    /// Inputs so far.
    inputs: u64,
    /// At which input the last faults were: one more than the budget at most.
    faults: VecDeque<u64>,
    /// At which input calls took too long, and how long. A call that counts lasts a millisecond at least, so the budget bounds it.
    slow: VecDeque<(u64, Duration)>,
    /// The last of them.
    reason: String,
}

impl Faults {
    /// None yet.
    pub fn new(budget: Budget) -> Faults {
        Faults {
            budget,
            inputs: 0,
            faults: VecDeque::new(),
            slow: VecDeque::new(),
            reason: String::new(),
        }
    }

    /// So many inputs were handed over.
    pub fn handed(&mut self, inputs: usize) {
        self.inputs += inputs as u64;
    }

    /// An input goes to the dead letters. Why.
    pub fn fault(&mut self, reason: &str) {
        self.faults.push_back(self.inputs);
        if self.faults.len() > self.budget.faults + 1 {
            self.faults.pop_front();
        }
        reason.clone_into(&mut self.reason);
    }

    /// A call took too long. Why.
    pub fn slow(&mut self, took: Duration, reason: &str) {
        let Budget { time, window, .. } = self.budget;
        while self.slow.front().is_some_and(|(at, _)| *at + window < self.inputs) || self.lost() > time {
            self.slow.pop_front();
        }
        self.slow.push_back((self.inputs, took));
        reason.clone_into(&mut self.reason);
    }

    fn lost(&self) -> Duration {
        self.slow.iter().map(|(_, took)| *took).sum()
    }

    fn within(&self, at: u64) -> bool {
        at + self.budget.window >= self.inputs
    }

    fn too_many(&self) -> bool {
        let Budget { faults, .. } = self.budget;
        faults > 0 && self.faults.len() > faults && self.faults.front().is_some_and(|at| self.within(*at))
    }

    /// Is it over one of its budgets? A batch asks: mostly there is nothing to look at.
    pub fn over(&self) -> bool {
        let Budget { time, .. } = self.budget;
        let lost = || {
            self.slow
                .iter()
                .filter(|(at, _)| self.within(*at))
                .map(|(_, took)| *took)
        };
        self.too_many() || (time > Duration::ZERO && !self.slow.is_empty() && lost().sum::<Duration>() > time)
    }

    /// Which budget it is over, for people.
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
            // Three in a row span the window, and not more.
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
        assert!(!rare.over(), "they are past");
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
        assert!(!slow.over(), "the first one is past");
        slow.slow(Duration::from_millis(600), "slower");
        assert!(slow.over());
        let why = slow.why();
        assert!(why.contains("2s") && why.ends_with("slower"), "{why}");
        for _ in 0..5000 {
            slow.slow(Duration::from_millis(1), "slow");
        }
        // As many milliseconds as the budget has, and one.
        assert!(slow.slow.len() <= 2001 && slow.over(), "{}", slow.slow.len());
    }
}
