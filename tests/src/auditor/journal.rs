//! What a task's journal must say about versions and traps.
//!
//! Rule: this follows the sentences of the protocol, applied to a whole task at once:
//! - A step belongs to the committed deploy with the highest number whose time is not after the step's. A deploy does not
//!   count for a task that knows that it was withdrawn.
//! - A task that runs a deploy and learns that it was withdrawn goes back before its next step. It goes back to the newest
//!   earlier deploy that still holds and has other rules.
//! - What a task knows about withdrawals follows the control topic: it knows all that come before the last one it knows.
//! - The journal names each change of version in its place, and each input that has trapped.

use super::output::{DeadLetter, Refusal};
use super::parameters::{Deployed, Parameters};
use super::step::{Millis, StepKey, StepWhat};
use super::task::Task;
use anyhow::{Context, Result, anyhow, bail};

/// Checks that the journal's take-overs are those that the steps require. Returns the deploy that the task took over last.
pub fn compare_takeovers(task: &Task, steps: &[StepKey], watermark: Millis, parameters: &Parameters) -> Result<u64> {
    let mut journal = task.takeovers.iter().peekable();
    let mut walk = Walk {
        parameters,
        taken: 1,
        knows: 0,
    };
    // The journal's last take-over may come before a step that is not taken yet, which is before the watermark.
    let behind = std::iter::once(None).chain(steps.iter().map(Some));
    let next = steps.iter().map(Some).chain(std::iter::once(None));
    for (behind, next) in behind.zip(next) {
        let place = || format!("behind {behind:?} and in front of {next:?}");
        while let Some(takeover) = journal.next_if(|takeover| takeover.behind.as_ref() == behind) {
            let in_time = |at: Millis| next.map_or(at < watermark, |next| at <= next.time);
            walk.take_over(takeover.number, in_time).map_err(|why| {
                anyhow!(
                    "{}, the journal has deploy {} take over: {why}",
                    place(),
                    takeover.number
                )
            })?;
        }
        if let Some(next) = next {
            walk.step(next.time)
                .map_err(|why| anyhow!("{}: {why}; the journal goes on with {:?}", place(), journal.peek()))?;
        }
    }
    match journal.next() {
        Some(takeover) => Err(anyhow!("the journal has {takeover:?}, and there is no such step")),
        None => Ok(walk.taken),
    }
}

/// Checks that the journal names the inputs that trap, and no others.
pub fn compare_traps(task: &Task, dead_letters: &[DeadLetter]) -> Result<()> {
    let trapped = dead_letters.iter();
    let trapped = trapped.filter(|letter| letter.refusal == Refusal::Trapped);
    let must: Vec<_> = trapped
        .map(|letter| StepKey {
            time: letter.place.time,
            what: StepWhat::Record {
                rank: letter.place.rank,
                offset: letter.place.offset,
            },
        })
        .collect();
    match task.trapped == must {
        true => Ok(()),
        false => Err(anyhow!(
            "by the journal these trap: {:?}, and these must: {must:?}",
            task.trapped
        )),
    }
}

/// A task on its way through its steps.
struct Walk<'a> {
    parameters: &'a Parameters,
    /// The deploy that it took over last.
    taken: u64,
    /// At least this many withdrawals are known to it.
    knows: usize,
}

impl Walk<'_> {
    fn deploy(&self, number: u64) -> Option<&Deployed> {
        self.parameters.deploys.iter().find(|deploy| deploy.number == number)
    }

    /// Whether the task knows that the deploy was withdrawn.
    fn is_known(&self, deploy: &Deployed) -> bool {
        deploy.withdrawn.is_some_and(|order| order < self.knows)
    }

    /// Follows a take-over of the journal. `in_time` says whether a deploy of this time may take over here.
    fn take_over(&mut self, number: u64, in_time: impl Fn(Millis) -> bool) -> Result<()> {
        if number <= self.taken {
            self.go_back(number)?;
        } else {
            let deploy = self.deploy(number).context("it was not committed")?;
            if !in_time(deploy.at) {
                bail!("it holds from {} on", deploy.at);
            }
            if self.is_known(deploy) {
                bail!("the task knew that it was withdrawn");
            }
        }
        self.taken = number;
        Ok(())
    }

    /// Goes back from a withdrawn deploy. The task knows this withdrawal, and perhaps later ones.
    fn go_back(&mut self, number: u64) -> Result<()> {
        let taken = self.deploy(self.taken).filter(|taken| taken.withdrawn.is_some());
        let taken = taken.with_context(|| format!("deploy {} was not withdrawn", self.taken))?;
        let first = taken.withdrawn.map_or(0, |order| order + 1).max(self.knows);
        let all = self
            .parameters
            .deploys
            .iter()
            .filter(|deploy| deploy.withdrawn.is_some())
            .count();
        let knows = (first..=all).find(|knows| self.replacement(taken, *knows) == number);
        self.knows = knows.with_context(|| format!("deploy {} is to be replaced by another one", taken.number))?;
        Ok(())
    }

    /// The deploy that a task goes back to if it knows this many withdrawals.
    fn replacement(&self, taken: &Deployed, knows: usize) -> u64 {
        let holds = |deploy: &&Deployed| deploy.withdrawn.is_none_or(|order| order >= knows);
        let others = self.parameters.deploys.iter().filter(holds);
        let before = others.filter(|deploy| deploy.number < taken.number && deploy.settings != taken.settings);
        before.map(|deploy| deploy.number).max().unwrap_or(1)
    }

    /// Takes a step of this time. If a deploy should have taken over and has not, the task knew that it was withdrawn.
    fn step(&mut self, time: Millis) -> Result<()> {
        let later = |deploy: &&Deployed| deploy.number > self.taken && deploy.at <= time;
        let passed_over: Vec<_> = self.parameters.deploys.iter().filter(later).collect();
        for deploy in passed_over {
            let order = deploy.withdrawn.with_context(|| {
                format!(
                    "the step is of deploy {}, and it belongs to deploy {} of {:?}",
                    self.taken, deploy.number, self.parameters.deploys
                )
            })?;
            self.knows = self.knows.max(order + 1);
        }
        match self.deploy(self.taken).is_some_and(|taken| self.is_known(taken)) {
            true => Err(anyhow!(
                "the task knows that deploy {} was withdrawn, and goes on with it",
                self.taken
            )),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parameters::Settings;
    use super::super::takeover::Takeover;
    use super::*;

    fn step(time: Millis) -> StepKey {
        let what = StepWhat::Record { rank: 0, offset: time };
        StepKey { time, what }
    }

    fn at(behind: Millis, number: u64) -> Takeover {
        Takeover {
            behind: Some(step(behind)),
            number,
        }
    }

    /// A deploy with this number and time, and the withdrawal that took it back.
    fn deployed((number, at, withdrawn): (u64, Millis, Option<usize>)) -> Deployed {
        Deployed {
            number,
            at,
            settings: Settings {
                label: number.to_string(),
                ..Default::default()
            },
            withdrawn,
        }
    }

    /// Compares a journal for steps at 10, 20 and 60, and a watermark of 100.
    fn compared(takeovers: &[Takeover], deploys: &[(u64, Millis, Option<usize>)]) -> Result<u64> {
        let task = Task {
            takeovers: takeovers.to_vec(),
            ..Task::default()
        };
        let parameters = Parameters {
            deploys: deploys.iter().copied().map(deployed).collect(),
            ..Parameters::default()
        };
        compare_takeovers(&task, &[step(10), step(20), step(60)], 100, &parameters)
    }

    #[test]
    fn the_journal_names_each_change_of_version_in_its_place() {
        let deploys = [(2, 50, None), (4, 20, None)];
        // The higher number applies, from its earlier time on.
        assert_eq!(compared(&[at(10, 4)], &deploys).ok(), Some(4));
        for wrong in [
            vec![],
            vec![at(20, 4)],
            vec![at(10, 4), at(20, 2)],
            vec![at(10, 2), at(10, 4)],
        ] {
            assert!(compared(&wrong, &deploys).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_task_goes_back_wherever_it_learns_of_a_withdrawal() {
        let deploys = [(2, 20, Some(0))];
        for right in [vec![], vec![at(10, 2), at(10, 1)], vec![at(10, 2), at(60, 1)]] {
            assert_eq!(compared(&right, &deploys).ok(), Some(1), "{right:?}");
        }
        // The task may not have learned of it yet.
        assert_eq!(compared(&[at(10, 2)], &deploys).ok(), Some(2));
        for wrong in [
            vec![at(10, 1)],
            vec![at(10, 2), at(10, 1), at(20, 2)],
            vec![at(10, 2), at(20, 3)],
        ] {
            assert!(compared(&wrong, &deploys).is_err(), "{wrong:?}");
        }
        assert!(compared(&[at(10, 2), at(20, 1)], &[(2, 20, None)]).is_err());
    }

    #[test]
    fn what_a_task_knows_of_withdrawals_it_does_not_forget() {
        let deploys = [(2, 10, Some(0)), (3, 60, Some(1))];
        let second = Takeover {
            behind: None,
            number: 2,
        };
        assert_eq!(
            compared(&[second.clone(), at(20, 3), at(60, 1)], &deploys).ok(),
            Some(1)
        );
        assert!(compared(&[second.clone(), at(20, 3), at(60, 2)], &deploys).is_err());
        // A task that passes over the third deploy has read that the second was withdrawn.
        assert!(compared(std::slice::from_ref(&second), &deploys).is_err());
        assert!(compared(&[second, at(20, 1)], &deploys).is_ok());
    }

    #[test]
    fn it_goes_back_to_the_newest_that_holds() {
        let deploys = [(2, 10, None), (3, 20, Some(0))];
        let journal = |to: u64| {
            [
                Takeover {
                    behind: None,
                    number: 2,
                },
                at(10, 3),
                at(20, to),
            ]
        };
        assert_eq!(compared(&journal(2), &deploys).ok(), Some(2));
        assert!(compared(&journal(1), &deploys).is_err());
    }
}
