//! The attempts of one question, and what comes after each.
//!
//! Rule: a question ends exactly once. An attempt has a result only when it has ended. A time-out ends it too, so an
//! answer and a time-out never race.
//!
//! ```text
//!   Asked -> try -> Body, Absent ------------------------------> answered
//!             ^      Refused ----------------------------------> Unavailable
//!             |      Failed, no retries left ------------------> Unavailable
//!             +----- Failed: wait, twice as long as before
//!   the breaker is open before any try ------------------------> Unavailable
//! ```

use crate::service::Answer;
use std::time::Duration;

/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How one attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Try {
    /// Status 200.
    Body(Vec<u8>),
    /// Status 404.
    Absent,
    /// Status 408, 429 or 5xx, no connection, or a time-out. Another attempt may succeed.
    Failed(String),
    /// Another attempt can't succeed either.
    Refused(String),
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The question has ended.
    Answer(Answer),
    /// Make another attempt, after a pause.
    Again(Duration),
}

/// The attempts of one question.
#[derive(Clone, Debug)]
pub(super) struct Tries {
    left: u32,
    pause: Duration,
    /// Spreads the pauses of questions that failed together.
    random: fastrand::Rng,
}

impl Tries {
    /// `retries` is the number of further attempts, `backoff` the pause before the second one. `seed` should differ for
    /// each question.
    pub fn new(retries: u32, backoff: Duration, seed: u64) -> Self {
        Tries {
            left: retries,
            pause: backoff,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// What to do after an attempt.
    pub fn after(&mut self, ended: Try) -> Next {
        match ended {
            Try::Body(body) => Next::Answer(Answer::Body(body)),
            Try::Absent => Next::Answer(Answer::Absent),
            Try::Refused(_) => Next::Answer(Answer::Unavailable),
            Try::Failed(_) if self.left == 0 => Next::Answer(Answer::Unavailable),
            Try::Failed(_) => {
                self.left -= 1;
                let full = self.pause.min(LONGEST_PAUSE);
                self.pause = full * 2;
                Next::Again(full / 2 + (full / 2).mul_f32(self.random.f32()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ended() -> impl Strategy<Value = Try> {
        prop_oneof![
            6 => Just(Try::Failed("down".into())),
            1 => Just(Try::Body(b"x".to_vec())),
            1 => Just(Try::Absent),
            1 => Just(Try::Refused("no".into())),
        ]
    }

    proptest! {
        /// It ends at the first attempt that is not a failure, or when no retries are left. Each pause is between half
        /// of the doubled pause and all of it.
        #[test]
        fn it_ends_once_and_in_time(retries in 0u32..8, backoff in 1u64..60_000, seed: u64, script in proptest::collection::vec(ended(), 10)) {
            let mut tries = Tries::new(retries, Duration::from_millis(backoff), seed);
            let mut full = Duration::from_millis(backoff);
            for (number, ended) in script.into_iter().enumerate() {
                let next = tries.after(ended.clone());
                match ended {
                    Try::Failed(_) if number < retries as usize => {
                        full = full.min(LONGEST_PAUSE);
                        let Next::Again(pause) = next else { panic!("{next:?}") };
                        prop_assert!(full / 2 <= pause && pause <= full, "{:?} of {:?}", pause, full);
                        full *= 2;
                        continue;
                    }
                    Try::Body(body) => prop_assert_eq!(next, Next::Answer(Answer::Body(body))),
                    Try::Absent => prop_assert_eq!(next, Next::Answer(Answer::Absent)),
                    Try::Failed(_) | Try::Refused(_) => prop_assert_eq!(next, Next::Answer(Answer::Unavailable)),
                }
                return Ok(());
            }
            prop_assert!(false, "ten tries are more than the retries");
        }
    }
}
