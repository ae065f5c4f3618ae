//! Deploys: the outcome of the control topic.
//!
//! Rule: this follows the sentences of the protocol, applied to the whole topic at once:
//! - A deploy counts if its number is the next one and no earlier deploy is undecided.
//! - The first commit or cancel after it decides it. A commit needs earlier answers of all tasks, each from before the
//!   deploy's time. A deploy without a time applies right after the latest of the answers.
//! - The first withdrawal of a committed deploy counts. The first deploy is never withdrawn.

use super::{Deployed, Millis, NEVER, Settings};
use anyhow::{Result, bail};
use std::collections::BTreeMap;

/// A record of the control topic that may decide something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlEvent {
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
    /// Takes a committed deploy back.
    Withdraw {
        /// Which deploy.
        number: u64,
    },
}

/// The outcome of the deploys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// The committed deploys, by number, including those that were withdrawn later. The first is the one in the
    /// pipeline's file.
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

/// Reads the topic, for this number of tasks. Fails if a deploy was committed that must not have been.
pub fn decide(events: &[ControlEvent], tasks: usize) -> Result<Decided> {
    let mut decided = Decided::default();
    let mut last = 0;
    // The index of the undecided deploy.
    let mut open: Option<usize> = None;
    for (place, one) in events.iter().enumerate() {
        match (one, open.map(|at| &events[at])) {
            (ControlEvent::Deploy { .. }, Some(_)) => decided.refused += 1,
            (ControlEvent::Deploy { number, .. }, None) if *number != last + 1 => decided.refused += 1,
            (
                ControlEvent::Deploy {
                    number: 1, settings, ..
                },
                None,
            ) => {
                last = 1;
                decided.commit(1, NEVER, settings);
            }
            (ControlEvent::Deploy { number, .. }, None) => {
                last = *number;
                open = Some(place);
            }
            (ControlEvent::Commit { number: of, at: from }, Some(ControlEvent::Deploy { number, at, settings }))
                if of == number =>
            {
                let begun = open.take().unwrap_or_default();
                justified(*number, *at, *from, &events[begun..place], tasks)?;
                decided.commit(*number, *from, settings);
            }
            (ControlEvent::Cancel { number: of }, Some(ControlEvent::Deploy { number, .. })) if of == number => {
                open = None;
                decided.cancelled.push(*number);
            }
            (ControlEvent::Withdraw { number }, _) => decided.withdraw(*number),
            (ControlEvent::Commit { .. } | ControlEvent::Cancel { .. }, _) => decided.too_late += 1,
            _ => {}
        }
    }
    decided.open = open.map(|_| last);
    Ok(decided)
}

/// Whether a deploy that was requested for the time `at` may be committed for the time `from`, given everything said
/// since.
fn justified(number: u64, at: Option<Millis>, from: Millis, events: &[ControlEvent], tasks: usize) -> Result<()> {
    let mut answers = BTreeMap::new();
    for one in events {
        if let ControlEvent::Answer {
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
        bail!("deploy {number} is committed, and answered by {answers:?} only, of {tasks} tasks");
    }
    if from != must || latest >= from {
        bail!("deploy {number} is committed from {from} on; it was wanted at {at:?}, and the answers are {answers:?}");
    }
    Ok(())
}

impl Decided {
    fn commit(&mut self, number: u64, at: Millis, settings: &Settings) {
        self.committed.push(Deployed {
            number,
            at,
            settings: settings.clone(),
            withdrawn: None,
        });
    }

    fn withdraw(&mut self, number: u64) {
        let before = self
            .committed
            .iter()
            .filter(|deploy| deploy.withdrawn.is_some())
            .count();
        let holds = |deploy: &&mut Deployed| deploy.number == number && number > 1 && deploy.withdrawn.is_none();
        match self.committed.iter_mut().find(holds) {
            Some(deploy) => deploy.withdrawn = Some(before),
            None => self.too_late += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deploy(number: u64, at: Option<Millis>) -> ControlEvent {
        let settings = Settings::default();
        ControlEvent::Deploy { number, at, settings }
    }

    fn answer(task: i32, position: Millis) -> ControlEvent {
        ControlEvent::Answer {
            number: 2,
            task,
            position,
        }
    }

    fn commit(at: Millis) -> ControlEvent {
        ControlEvent::Commit { number: 2, at }
    }

    #[test]
    fn the_first_order_decides_and_a_commit_needs_all_answers() {
        let all = [deploy(1, None), deploy(2, Some(50)), answer(0, 10), answer(1, 49)];
        let with = |more: &[ControlEvent]| decide(&[&all, more].concat(), 2);
        assert_eq!(with(&[]).expect("justified").open, Some(2));
        let decided = with(&[deploy(2, None), commit(50), ControlEvent::Cancel { number: 2 }]).expect("justified");
        assert_eq!((decided.committed.len(), decided.open, decided.refused), (2, None, 1));
        let decided = with(&[ControlEvent::Cancel { number: 2 }, commit(50)]).expect("cancelled");
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
    fn what_was_committed_is_withdrawn_once_and_the_first_never() {
        let all = [deploy(1, None), deploy(2, None), answer(0, 10), answer(1, 7)];
        let withdraw = |number| ControlEvent::Withdraw { number };
        let more = [withdraw(2), commit(11), withdraw(1), withdraw(2), withdraw(2)];
        let decided = decide(&[&all[..], &more].concat(), 2).expect("justified");
        let withdrawn: Vec<_> = decided.committed.iter().map(|deploy| deploy.withdrawn).collect();
        assert_eq!((withdrawn, decided.too_late), (vec![None, Some(0)], 3));
    }
}
