//! The circuit breaker of one service.
//!
//! Rule: a number of consecutive failures opens it. While it is open, no calls are made. After a pause, one call is
//! made as a probe, and only its result closes or opens the breaker again. Calls from before the last change of state
//! don't count any more.
//!
//! ```text
//!            failures in a row                pause over, one is admitted
//!   Closed ---------------------> Open(until) ---------------------------> Probing
//!      ^                            ^  ^                                   |  |  |
//!      |                            |  +------ the probe fails ------------+  |  |
//!      |                            +--------- the probe is given up ---------+  |   (open, its pause over)
//!      +------------------------------------- the probe goes through ------------+
//! ```

use std::time::Duration;
use tokio::time::Instant;

/// The breaker. Its owner passes the time in.
#[derive(Debug)]
pub(super) struct Breaker {
    limit: u32,
    pause: Duration,
    state: BreakerState,
    /// Raised at each change of state. Calls that were admitted before don't count any more.
    generation: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BreakerState {
    /// Calls are made. Contains the number of consecutive failures.
    Closed(u32),
    /// No call is made before this time.
    Open(Instant),
    /// One probe is being called.
    Probing,
}

/// Permission to make one call. It must be returned by [`Breaker::done`] or [`Breaker::given_up`].
#[derive(Debug)]
#[must_use]
pub(super) struct Leave {
    generation: u64,
}

/// How the state has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BreakerChange {
    /// Not at all.
    None,
    /// It has opened, for the first time or again.
    Opened,
    /// It has closed.
    Closed,
}

impl Breaker {
    /// A closed breaker. `limit` is the number of consecutive failures that opens it, at least 1.
    pub fn new(limit: u32, pause: Duration) -> Self {
        assert!(limit > 0, "a breaker without a limit would never let a call out");
        Breaker {
            limit,
            pause,
            state: BreakerState::Closed(0),
            generation: 0,
        }
    }

    /// Permission to call, unless the breaker is open.
    pub fn admit(&mut self, now: Instant) -> Option<Leave> {
        match self.state {
            BreakerState::Closed(_) => {}
            BreakerState::Open(until) if now >= until => self.change(BreakerState::Probing),
            BreakerState::Open(_) | BreakerState::Probing => return None,
        }
        Some(Leave {
            generation: self.generation,
        })
    }

    /// Ends a call. `reached` says whether the service has answered, whatever the answer was.
    pub fn done(&mut self, leave: Leave, reached: bool, now: Instant) -> BreakerChange {
        if leave.generation != self.generation {
            return BreakerChange::None;
        }
        match (self.state, reached) {
            (BreakerState::Closed(_), true) => {
                self.state = BreakerState::Closed(0);
                BreakerChange::None
            }
            (BreakerState::Closed(failures), false) if failures + 1 < self.limit => {
                self.state = BreakerState::Closed(failures + 1);
                BreakerChange::None
            }
            (BreakerState::Probing, true) => {
                self.change(BreakerState::Closed(0));
                BreakerChange::Closed
            }
            (BreakerState::Closed(_) | BreakerState::Probing, false) => {
                self.change(BreakerState::Open(now + self.pause));
                BreakerChange::Opened
            }
            // Opening begins a new generation, and no call of it is admitted.
            (BreakerState::Open(_), _) => unreachable!("a leave of an open breaker"),
        }
    }

    /// Ends a call that was given up without a result, so that another one may probe.
    pub fn given_up(&mut self, leave: Leave, now: Instant) {
        if leave.generation == self.generation && self.state == BreakerState::Probing {
            self.change(BreakerState::Open(now));
        }
    }

    fn change(&mut self, state: BreakerState) {
        self.state = state;
        self.generation += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Op {
        Admit,
        /// Ends one of the calls in progress.
        Done {
            which: usize,
            reached: bool,
        },
        GiveUp {
            which: usize,
        },
        Wait(u64),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => Just(Op::Admit),
            4 => (any::<usize>(), any::<bool>()).prop_map(|(which, reached)| Op::Done { which, reached }),
            1 => any::<usize>().prop_map(|which| Op::GiveUp { which }),
            2 => (0u64..150).prop_map(Op::Wait),
        ]
    }

    /// The same in other words: each call remembers the period that it began in, and a period has a list of results.
    #[derive(Debug)]
    enum Model {
        Closed { results: Vec<bool> },
        Open { since: u64, pause: u64 },
        Probing { probe: usize },
    }

    const PAUSE: u64 = 100;

    proptest! {
        #[test]
        fn the_model_agrees(limit in 1u32..5, ops in proptest::collection::vec(op(), 0..200)) {
            // No timer and no task runs. Only the type of the instant is tokio's.
            let start = Instant::now();
            let mut breaker = Breaker::new(limit, Duration::from_millis(PAUSE));
            let (mut model, mut period, mut now, mut calls) = (Model::Closed { results: vec![] }, 0, 0u64, 0usize);
            let mut out: Vec<(usize, u32, Leave)> = Vec::new();
            for op in ops {
                let at = start + Duration::from_millis(now);
                match op {
                    Op::Wait(millis) => now += millis,
                    Op::Admit => {
                        let expected = match model {
                            Model::Closed { .. } => true,
                            Model::Open { since, pause } => now - since >= pause,
                            Model::Probing { .. } => false,
                        };
                        let leave = breaker.admit(at);
                        prop_assert_eq!(leave.is_some(), expected);
                        if let Some(leave) = leave {
                            if matches!(model, Model::Open { .. }) {
                                (model, period) = (Model::Probing { probe: calls }, period + 1);
                            }
                            out.push((calls, period, leave));
                            calls += 1;
                        }
                    }
                    Op::Done { which, reached } if !out.is_empty() => {
                        let (call, began, leave) = out.swap_remove(which % out.len());
                        let change = breaker.done(leave, reached, at);
                        let mut expected = BreakerChange::None;
                        if began == period {
                            let open = match &mut model {
                                Model::Closed { results } => {
                                    results.push(reached);
                                    results.iter().rev().take_while(|reached| !**reached).count() == limit as usize
                                }
                                Model::Probing { probe } => {
                                    prop_assert_eq!(*probe, call);
                                    !reached
                                }
                                Model::Open { .. } => unreachable!(),
                            };
                            if open {
                                (model, period) = (Model::Open { since: now, pause: PAUSE }, period + 1);
                                expected = BreakerChange::Opened;
                            } else if matches!(model, Model::Probing { .. }) {
                                (model, period) = (Model::Closed { results: vec![] }, period + 1);
                                expected = BreakerChange::Closed;
                            }
                        }
                        prop_assert_eq!(change, expected);
                    }
                    Op::GiveUp { which } if !out.is_empty() => {
                        let (call, _, leave) = out.swap_remove(which % out.len());
                        breaker.given_up(leave, at);
                        if matches!(model, Model::Probing { probe } if probe == call) {
                            (model, period) = (Model::Open { since: now, pause: 0 }, period + 1);
                        }
                    }
                    Op::Done { .. } | Op::GiveUp { .. } => {}
                }
            }
            // It never gets stuck: when all calls have ended, a call is allowed after a pause.
            for (_, _, leave) in out {
                breaker.given_up(leave, start + Duration::from_millis(now));
            }
            prop_assert!(breaker.admit(start + Duration::from_millis(now + PAUSE)).is_some());
        }
    }
}
