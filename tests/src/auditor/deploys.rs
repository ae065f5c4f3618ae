//! Deploys: the outcome of the control topic, and the deploy that each step belongs to.
//!
//! Rule: this follows the sentences of the protocol, applied to the whole topic at once:
//! - A deploy counts if its number is the next one and no earlier deploy is undecided.
//! - The first commit or cancel after it decides it. A commit needs earlier answers of all tasks, each from before the
//!   deploy's time. A deploy without a time applies right after the latest of the answers.
//! - A step belongs to the committed deploy with the highest number whose time is not after the step's.

use super::{Deployed, Millis, NEVER, Settings, StepKey};
use std::collections::BTreeMap;

/// A record of the control topic that may decide something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Asks for other rules.
    Deploy {
        /// Its number.
        number: u64,
        /// The time from which they apply. `None` means now.
        at: Option<Millis>,
        /// Their settings.
        settings: Settings,
    },
    /// A task promises to hold.
    Answer {
        /// For which deploy.
        number: u64,
        /// Which task.
        task: i32,
        /// The event time of its last step.
        position: Millis,
    },
    /// Decides that a deploy applies.
    Commit {
        /// Which deploy.
        number: u64,
        /// The time from which it applies.
        at: Millis,
    },
    /// Decides that a deploy doesn't apply.
    Cancel {
        /// Which deploy.
        number: u64,
    },
}

/// The outcome of the deploys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// The committed deploys, by number. The first is the one in the pipeline's file.
    pub committed: Vec<Deployed>,
    /// The cancelled deploys.
    pub cancelled: Vec<u64>,
    /// The deploy that is still undecided.
    pub open: Option<u64>,
    /// How many deploys did not count.
    pub refused: u64,
    /// How many decisions came after the one that counted.
    pub too_late: u64,
}

/// A take-over in a task's journal: from here on, the rules of this deploy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Takeover {
    /// The step that it comes right after. `None` if it comes before the first step.
    pub behind: Option<StepKey>,
    /// Which deploy.
    pub number: u64,
}

/// Reads the topic, for this number of tasks. Fails if a deploy was committed that must not have been.
pub fn decide(said: &[Said], tasks: usize) -> Result<Decided, String> {
    let mut decided = Decided::default();
    let mut last = 0;
    // The index of the undecided deploy.
    let mut open: Option<usize> = None;
    for (place, one) in said.iter().enumerate() {
        match (one, open.map(|at| &said[at])) {
            (Said::Deploy { .. }, Some(_)) => decided.refused += 1,
            (Said::Deploy { number, .. }, None) if *number != last + 1 => decided.refused += 1,
            (
                Said::Deploy {
                    number: 1, settings, ..
                },
                None,
            ) => {
                last = 1;
                decided.committed.push(Deployed {
                    number: 1,
                    at: NEVER,
                    settings: settings.clone(),
                });
            }
            (Said::Deploy { number, .. }, None) => {
                last = *number;
                open = Some(place);
            }
            (Said::Commit { number: of, at: from }, Some(Said::Deploy { number, at, settings })) if of == number => {
                let begun = open.take().unwrap_or_default();
                justified(*number, *at, *from, &said[begun..place], tasks)?;
                decided.committed.push(Deployed {
                    number: *number,
                    at: *from,
                    settings: settings.clone(),
                });
            }
            (Said::Cancel { number: of }, Some(Said::Deploy { number, .. })) if of == number => {
                open = None;
                decided.cancelled.push(*number);
            }
            (Said::Commit { .. } | Said::Cancel { .. }, _) => decided.too_late += 1,
            _ => {}
        }
    }
    decided.open = open.map(|_| last);
    Ok(decided)
}

/// Whether a deploy that was requested for the time `at` may be committed for the time `from`, given everything said
/// since.
fn justified(number: u64, at: Option<Millis>, from: Millis, said: &[Said], tasks: usize) -> Result<(), String> {
    let mut answers = BTreeMap::new();
    for one in said {
        if let Said::Answer {
            number: of,
            task,
            position,
        } = one
            && *of == number
        {
            answers.insert(*task, *position);
        }
    }
    let latest = answers.values().copied().max().unwrap_or(NEVER);
    let must = at.unwrap_or(latest.saturating_add(1));
    if answers.len() != tasks {
        return Err(format!(
            "deploy {number} is committed, and answered by {answers:?} only, of {tasks} tasks"
        ));
    }
    if from != must || latest >= from {
        return Err(format!(
            "deploy {number} is committed from {from} on; it was wanted at {at:?}, and the answers are {answers:?}"
        ));
    }
    Ok(())
}

/// The deploy that a step of this time belongs to. `deploys` are all committed ones. Without any, it is the first
/// deploy.
pub(super) fn of(deploys: &[Deployed], time: Millis) -> u64 {
    let not_after = deploys.iter().filter(|deploy| deploy.at <= time);
    not_after.map(|deploy| deploy.number).max().unwrap_or(1)
}

/// Checks that the journal's take-overs are those that the steps require. `watermark` is the task's; a final step that
/// is not taken yet is before it.
pub fn takeovers(
    takeovers: &[Takeover],
    steps: &[StepKey],
    watermark: Millis,
    deploys: &[Deployed],
) -> Result<(), String> {
    let mut journal = takeovers.iter().peekable();
    let mut taken = 1;
    // The journal's last take-over may come before a step that is not taken yet.
    let behind = std::iter::once(None).chain(steps.iter().map(Some));
    let next = steps.iter().map(Some).chain(std::iter::once(None));
    for (behind, next) in behind.zip(next) {
        while let Some(takeover) = journal.next_if(|takeover| takeover.behind.as_ref() == behind) {
            let number = takeover.number;
            let at = deploys
                .iter()
                .find(|deploy| deploy.number == number)
                .map(|deploy| deploy.at);
            let in_time = |at: Millis| next.map_or(at < watermark, |next| at <= next.time);
            if number <= taken || !at.is_some_and(in_time) {
                return Err(format!(
                    "the journal has deploy {number} take over behind {behind:?}, after deploy {taken}; it holds from {at:?} on, and \
                     the next step is {next:?}"
                ));
            }
            taken = number;
        }
        if let Some(next) = next {
            let must = of(deploys, next.time);
            if taken != must {
                return Err(format!(
                    "by the journal the step {next:?}, behind {behind:?}, is of deploy {taken}, and it belongs to deploy {must} of \
                     {deploys:?}; the journal goes on with {:?}",
                    journal.peek()
                ));
            }
        }
    }
    match journal.next() {
        Some(takeover) => Err(format!("the journal has {takeover:?}, and there is no such step")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::StepWhat;
    use super::*;

    fn deploy(number: u64, at: Option<Millis>) -> Said {
        let settings = Settings::default();
        Said::Deploy { number, at, settings }
    }

    fn answer(task: i32, position: Millis) -> Said {
        Said::Answer {
            number: 2,
            task,
            position,
        }
    }

    fn commit(at: Millis) -> Said {
        Said::Commit { number: 2, at }
    }

    fn step(time: Millis) -> StepKey {
        let what = StepWhat::Record { rank: 0, offset: time };
        StepKey { time, what }
    }

    #[test]
    fn the_first_order_decides_and_a_commit_needs_all_answers() {
        let all = [deploy(1, None), deploy(2, Some(50)), answer(0, 10), answer(1, 49)];
        let with = |more: &[Said]| decide(&[&all, more].concat(), 2);
        assert_eq!(with(&[]).map(|decided| decided.open), Ok(Some(2)));
        let decided = with(&[deploy(2, None), commit(50), Said::Cancel { number: 2 }]).expect("justified");
        assert_eq!((decided.committed.len(), decided.open, decided.refused), (2, None, 1));
        let decided = with(&[Said::Cancel { number: 2 }, commit(50)]).expect("cancelled");
        assert_eq!((decided.committed.len(), decided.cancelled), (1, vec![2]));
        assert!(with(&[commit(51)]).is_err());
        assert!(decide(&[&all[..3], &[commit(50)]].concat(), 2).is_err());
        assert!(with(&[answer(0, 50), commit(50)]).is_err());
    }

    #[test]
    fn now_is_right_behind_the_latest_answer() {
        let all = [deploy(1, None), deploy(2, None), answer(0, 10), answer(1, 7)];
        assert!(decide(&[&all[..], &[commit(11)]].concat(), 2).is_ok());
        assert!(decide(&[&all[..], &[commit(10)]].concat(), 2).is_err());
    }

    #[test]
    fn the_journal_names_each_change_of_version_in_its_place() {
        let deployed = |number, at| Deployed {
            number,
            at,
            settings: Settings::default(),
        };
        let deploys = [deployed(2, 50), deployed(4, 20)];
        let steps = [step(10), step(20), step(60)];
        let at = |behind: Millis, number| Takeover {
            behind: Some(step(behind)),
            number,
        };
        // The higher number applies, from its earlier time on.
        assert_eq!(takeovers(&[at(10, 4)], &steps, 100, &deploys), Ok(()));
        for wrong in [
            vec![],
            vec![at(20, 4)],
            vec![at(10, 4), at(20, 2)],
            vec![at(10, 2), at(10, 4)],
        ] {
            assert!(takeovers(&wrong, &steps, 100, &deploys).is_err(), "{wrong:?}");
        }
    }
}
