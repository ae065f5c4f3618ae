//! Deploys that were withdrawn after they were committed.
//!
//! Rules:
//! - No answers are needed. Each task goes back before its next step, wherever it is, and its journal says where. So a
//!   task that is far behind does not run rules that are known to be bad, and a withdrawal works while instances are
//!   away.
//! - A task goes back to the newest earlier deploy, which the withdrawn one was checked against. It never goes back
//!   past a one-way deploy. Instead, it waits for a later deploy and continues with that.
//! - A version that tasks went back to is not withdrawn in turn. What traps in both versions is a property of the
//!   input, and tasks must not go back and forth.

use super::{Committed, Control, DeployState};
use crate::record::{Number, VersionId};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// A withdrawn deploy, as tasks get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Withdrawn {
    /// Its number.
    pub number: Number,
    /// Its version.
    pub version: VersionId,
    /// The deploy with which tasks that have taken it over continue. Without one, they wait.
    pub replacement: Option<Committed>,
}

/// What happens to a deploy that exceeds its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverBudget {
    /// It is withdrawn.
    Back,
    /// Its tasks stop until another version is deployed. It was deployed one-way, so no earlier version can read its
    /// state.
    Stop,
    /// It continues, because there is nothing to go back to, or because tasks have gone back to it.
    On,
}

impl Control {
    /// All withdrawn deploys, in order.
    pub fn withdrawn(&self) -> Vec<Withdrawn> {
        let standing = self.committed();
        let withdrawn = self
            .deploys()
            .filter(|known| matches!(known.state, DeployState::Withdrawn(..)));
        withdrawn
            .map(|known| Withdrawn {
                number: known.deploy.number,
                version: known.deploy.version,
                replacement: self.replacement(known.deploy.number, &standing),
            })
            .collect()
    }

    /// The last deploy and the reason, if it was withdrawn and nothing has replaced it.
    pub fn unreplaced_withdrawal(&self) -> Option<(Number, &str)> {
        let newest = self.newest().map_or(0, |newest| newest.deploy.number);
        let mut later = self.deploys().rev().take_while(|known| known.deploy.number > newest);
        later.find_map(|known| match &known.state {
            DeployState::Withdrawn(_, why) => Some((known.deploy.number, why.as_str())),
            _ => None,
        })
    }

    /// What happens if this deploy exceeds its budget.
    pub fn over_budget(&self, number: Number) -> OverBudget {
        self.over_budget_given(number, &self.committed(), &self.withdrawn())
    }

    /// The deploys that don't continue if they exceed their budget.
    pub fn ended_by_budget(&self) -> BTreeSet<Number> {
        let (standing, withdrawn) = (self.committed(), self.withdrawn());
        let numbers = standing.iter().map(|deploy| deploy.number);
        numbers
            .filter(|number| self.over_budget_given(*number, &standing, &withdrawn) != OverBudget::On)
            .collect()
    }

    fn over_budget_given(&self, number: Number, standing: &[Committed], withdrawn: &[Withdrawn]) -> OverBudget {
        let Some(known) = self.known(number) else {
            return OverBudget::On;
        };
        let come_back_to = || {
            withdrawn
                .iter()
                .any(|one| one.replacement.is_some_and(|to| to.number == number))
        };
        match (&known.state, self.replacement(number, standing)) {
            (DeployState::Committed(_), _) if number == 1 || come_back_to() => OverBudget::On,
            (DeployState::Committed(_), Some(_)) => OverBudget::Back,
            (DeployState::Committed(_), None) if known.deploy.one_way => OverBudget::Stop,
            _ => OverBudget::On,
        }
    }

    /// The deploy with which tasks continue if this one is withdrawn. `standing` has all committed deploys.
    fn replacement(&self, number: Number, standing: &[Committed]) -> Option<Committed> {
        let known = self.known(number)?;
        let ever = |state: &DeployState| matches!(state, DeployState::Committed(_) | DeployState::Withdrawn(..));
        let one_way = self.deploys().rev().find(|one| {
            let deploy = &one.deploy;
            deploy.number <= number && deploy.one_way && ever(&one.state)
        });
        let floor = one_way.map_or(0, |one| one.deploy.number);
        let others = || standing.iter().filter(|one| one.version != known.deploy.version);
        let before = others().filter(|one| (floor..number).contains(&one.number));
        let behind = others().filter(|one| one.number > number);
        let newest = before.max_by_key(|one| one.number);
        newest
            .or_else(|| behind.min_by_key(|one| (one.at, Reverse(one.number))))
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Applied, ControlRecord, Decision, Deploy, next};
    use super::*;
    use crate::record::{Millis, NEVER};

    /// Adds a deploy of this version, committed at once.
    fn commit(control: &mut Control, version: u8, at: Millis, one_way: bool) -> Number {
        let number = control.last() + 1;
        control.apply(ControlRecord::Deploy(Deploy {
            number,
            nonce: [0; 16],
            version: [version; 32],
            component: [0; 32],
            bytes: 1,
            settings: "{}".into(),
            at: Some(at),
            one_way,
            drop_timers: false,
            author: "test".into(),
            written: 0,
            declared: Default::default(),
        }));
        let decision = Decision::Commit(at);
        control.apply(ControlRecord::Decision { number, decision });
        number
    }

    fn withdraw(control: &mut Control, number: Number) -> Applied {
        let decision = Decision::Withdraw("why".into());
        control.apply(ControlRecord::Decision { number, decision })
    }

    fn instead(control: &Control, number: Number) -> Option<Number> {
        let withdrawn = control.withdrawn();
        let one = withdrawn
            .iter()
            .find(|one| one.number == number)
            .expect("it was withdrawn");
        one.replacement.map(|to| to.number)
    }

    #[test]
    fn a_deploy_is_withdrawn_once_and_the_first_never() {
        let mut control = Control::new(1);
        commit(&mut control, 1, NEVER, false);
        assert_eq!(
            (withdraw(&mut control, 1), control.over_budget(1)),
            (Applied::None, OverBudget::On)
        );
        commit(&mut control, 2, 100, false);
        assert_eq!(control.over_budget(2), OverBudget::Back);
        assert_eq!(withdraw(&mut control, 2), Applied::Changed);
        assert_eq!(withdraw(&mut control, 2), Applied::None);
        assert_eq!((control.committed().len(), instead(&control, 2)), (1, Some(1)));
        assert_eq!(control.unreplaced_withdrawal(), Some((2, "why")));
        assert_eq!(control.newest().map(|known| known.deploy.number), Some(1));
        // The same version again is another deploy.
        assert_eq!(commit(&mut control, 2, 200, false), 3);
        assert_eq!(
            (control.unreplaced_withdrawal(), control.over_budget(3)),
            (None, OverBudget::Back)
        );
        withdraw(&mut control, 3);
        assert_eq!(instead(&control, 3), Some(1));
    }

    #[test]
    fn an_undecided_deploy_stays_undecided() {
        let mut control = Control::new(1);
        commit(&mut control, 1, NEVER, false);
        let record = control.known(1).expect("it is there").deploy.clone();
        control.apply(ControlRecord::Deploy(Deploy { number: 2, ..record }));
        assert_eq!(
            (withdraw(&mut control, 2), withdraw(&mut control, 7)),
            (Applied::None, Applied::None)
        );
        assert_eq!(control.open().map(|open| open.deploy.number), Some(2));
    }

    /// A deploy that tasks went back to has no way back itself. A deploy for a later time stays.
    #[test]
    fn back_once_and_what_is_to_come_stays() {
        let mut control = Control::new(1);
        for version in 1..=3 {
            commit(&mut control, version, i64::from(version) * 100, false);
        }
        commit(&mut control, 4, 1_000, false);
        withdraw(&mut control, 3);
        assert_eq!(
            (instead(&control, 3), control.over_budget(2)),
            (Some(2), OverBudget::On)
        );
        let committed = control.committed();
        assert_eq!(next(&committed, 2).map(|next| (next.number, next.at)), Some((4, 1_000)));
        assert_eq!(control.unreplaced_withdrawal(), None, "the newest one is well");
    }

    #[test]
    fn never_over_one_that_was_one_way() {
        let mut control = Control::new(1);
        commit(&mut control, 1, NEVER, false);
        commit(&mut control, 2, 100, true);
        assert_eq!(control.over_budget(2), OverBudget::Stop);
        commit(&mut control, 3, 200, false);
        // A later deploy goes back to the one-way deploy.
        assert_eq!(control.over_budget(3), OverBudget::Back);
        // Now there is another deploy, with which its tasks continue from where they stopped.
        assert_eq!(control.over_budget(2), OverBudget::Back);
        withdraw(&mut control, 2);
        assert_eq!(instead(&control, 2), Some(3));
        assert_eq!(control.over_budget(3), OverBudget::On, "it was come to instead");
    }
}
