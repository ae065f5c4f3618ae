//! The state of the control topic, as of the records read so far.
//!
//! Rule: a record that comes too late, or does not apply in this state, changes nothing.

use super::deploy::{Deploy, DeployStage};
use super::record::{ControlRecord, Decision};
use super::shadow::Shadows;
use super::state::{Applied, Committed, DeployState, KnownDeploy};
use crate::record::{NEVER, Number, Partition, VersionId};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The state of the control topic, as of the records read so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Control {
    /// Number of tasks. All of them must answer a deploy.
    tasks: usize,
    /// The deploys, by number from 1 on, shared by all copies of the state. They are never removed, as on the topic.
    /// Each is a line of history, and deploys with the same declarations share them.
    deploys: Vec<Arc<KnownDeploy>>,
    /// For each task, the last deploy that it has taken over. A task without an entry runs the first deploy.
    taken: BTreeMap<Partition, Number>,
    shadows: Shadows,
}

impl Control {
    /// The state before the first record, for a pipeline with this many tasks.
    pub fn new(tasks: usize) -> Control {
        Control {
            tasks,
            deploys: vec![],
            taken: BTreeMap::new(),
            shadows: Shadows::default(),
        }
    }

    /// Applies the next record of the topic.
    pub fn apply(&mut self, record: ControlRecord) -> Applied {
        match record {
            ControlRecord::Deploy(deploy) => self.deploy(deploy),
            ControlRecord::Decision { number, decision } => {
                let Some(known) = self.known_mut(number) else {
                    return Applied::None;
                };
                known.state = match (decision, &known.state) {
                    (Decision::Commit(at), DeployState::Open) => DeployState::Committed(at),
                    (Decision::Cancel(why), DeployState::Open) => DeployState::Cancelled(why),
                    // The first deploy can't be withdrawn, because there is nothing before it.
                    (Decision::Withdraw(why), DeployState::Committed(at)) if number > 1 => {
                        DeployState::Withdrawn(*at, why)
                    }
                    _ => return Applied::None,
                };
                match known.state {
                    DeployState::Committed(_) => self.shadows.ended(format!("deploy {number} was committed")),
                    DeployState::Withdrawn(..) => self.shadows.ended(format!("deploy {number} was withdrawn")),
                    _ => {}
                }
                Applied::Changed
            }
            ControlRecord::Answer { number, task, position } => {
                let Some(known) = self.open_mut(number) else {
                    return Applied::None;
                };
                known.answers.insert(task, position);
                Applied::Changed
            }
            ControlRecord::Report {
                number,
                instance,
                report,
            } => {
                let tasks = self.tasks;
                let Some(known) = self.known_mut(number) else {
                    return Applied::None;
                };
                known.reports.insert(instance, report);
                let ready = known
                    .reports
                    .values()
                    .filter(|report| report.stage == DeployStage::Ready);
                let covered: BTreeSet<Partition> = ready.flat_map(|report| report.tasks.iter().copied()).collect();
                known.covered |= covered.len() >= tasks;
                Applied::Changed
            }
            ControlRecord::Taken { task, number } => {
                self.taken.insert(task, number);
                Applied::Changed
            }
            // It is for people. Whether a component is there shows when it is fetched.
            ControlRecord::Pruned { .. } => Applied::None,
            ControlRecord::Shadow(said) => {
                let undecided = self.open().map(|open| open.deploy.number);
                self.shadows.apply(said, undecided)
            }
        }
    }

    fn deploy(&mut self, mut deploy: Deploy) -> Applied {
        if let Some(open) = self.open() {
            let number = open.deploy.number;
            return Applied::Refused(format!("deploy {number} is not decided yet"));
        }
        if deploy.number != self.last() + 1 {
            return Applied::Refused(format!(
                "its number is {}, but the next deploy is {}: someone else has deployed meanwhile",
                deploy.number,
                self.last() + 1
            ));
        }
        let state = match deploy.number {
            1 => DeployState::Committed(NEVER),
            _ => DeployState::Open,
        };
        // Most deploys only change settings, so they share their schemas, which are by far the largest part.
        let mut earlier = self.deploys.iter().rev().map(|known| &known.deploy.declared);
        if let Some(same) = earlier.find(|earlier| **earlier == deploy.declared) {
            deploy.declared = same.clone();
        }
        self.deploys.push(Arc::new(KnownDeploy {
            deploy,
            state,
            answers: BTreeMap::new(),
            reports: BTreeMap::new(),
            covered: false,
        }));
        Applied::Changed
    }

    /// Number of the last valid deploy, or 0.
    pub fn last(&self) -> Number {
        self.deploys.len() as Number
    }

    /// The deploy with this number.
    pub fn known(&self, number: Number) -> Option<&KnownDeploy> {
        let known = self.deploys.get(usize::try_from(number.checked_sub(1)?).ok()?);
        known.map(Arc::as_ref)
    }

    fn known_mut(&mut self, number: Number) -> Option<&mut KnownDeploy> {
        let known = self.deploys.get_mut(usize::try_from(number.checked_sub(1)?).ok()?);
        known.map(Arc::make_mut)
    }

    fn open_mut(&mut self, number: Number) -> Option<&mut KnownDeploy> {
        self.known_mut(number).filter(|known| known.state == DeployState::Open)
    }

    /// All valid deploys, in order.
    pub fn deploys(&self) -> impl DoubleEndedIterator<Item = &KnownDeploy> {
        self.deploys.iter().map(Arc::as_ref)
    }

    /// The undecided deploy. Only the last one can be undecided.
    pub fn open(&self) -> Option<&KnownDeploy> {
        self.deploys()
            .next_back()
            .filter(|known| known.state == DeployState::Open)
    }

    /// The committed deploy with the highest number, which runs or will run.
    pub fn newest(&self) -> Option<&KnownDeploy> {
        let committed = |known: &&KnownDeploy| matches!(known.state, DeployState::Committed(_));
        self.deploys().rev().find(committed)
    }

    /// The last committed deploy before this one with another version. A rollback goes to it.
    pub fn before(&self, number: Number) -> Option<&KnownDeploy> {
        let version = self.known(number)?.deploy.version;
        let earlier = |known: &&KnownDeploy| {
            matches!(known.state, DeployState::Committed(_))
                && known.deploy.number < number
                && known.deploy.version != version
        };
        self.deploys().rev().find(earlier)
    }

    /// All committed deploys, in order.
    pub fn committed(&self) -> Vec<Committed> {
        let committed = |known: &KnownDeploy| match known.state {
            DeployState::Committed(at) => Some(Committed {
                number: known.deploy.number,
                version: known.deploy.version,
                at,
            }),
            _ => None,
        };
        self.deploys().filter_map(committed).collect()
    }

    /// The last deploy or shadow with this version. It says where its component and settings are.
    pub fn of_version(&self, version: &VersionId) -> Option<&Deploy> {
        let its = |deploy: &&Deploy| deploy.version == *version;
        let deploys = self.deploys.iter().rev().map(|known| &known.deploy);
        let shadow = self.shadows.last().map(|known| &known.shadow.deploy);
        deploys.chain(shadow).find(its)
    }

    /// The shadows.
    pub fn shadows(&self) -> &Shadows {
        &self.shadows
    }

    /// Number of the pipeline's tasks.
    pub fn tasks(&self) -> usize {
        self.tasks
    }

    /// The last deploy that a task has taken over.
    pub fn taken(&self, task: Partition) -> Number {
        self.taken.get(&task).copied().unwrap_or(1)
    }

    /// The commit, if it is due because every task holds and has said where.
    pub fn due(&self) -> Option<ControlRecord> {
        let open = self.open()?;
        if open.answers.len() < self.tasks {
            return None;
        }
        let latest = open.answers.values().copied().max().unwrap_or(NEVER);
        let at = open.deploy.at.unwrap_or(latest.saturating_add(1));
        Some(ControlRecord::Decision {
            number: open.deploy.number,
            decision: Decision::Commit(at),
        })
    }

    /// Tasks that have not answered yet.
    pub fn missing(&self) -> Vec<Partition> {
        let answers = self.open().map(|open| &open.answers);
        let answered = |task: &Partition| answers.is_some_and(|answers| answers.contains_key(task));
        Partition::all(self.tasks as i32)
            .filter(|task| !answered(task))
            .collect()
    }
}

/// The next deploy for a task that runs `taken`: the earliest of the later ones, and of two at the same time the one
/// with the higher number.
pub fn next(committed: &[Committed], taken: Number) -> Option<&Committed> {
    let later = committed.iter().filter(|deploy| deploy.number > taken);
    later.min_by_key(|deploy| (deploy.at, Reverse(deploy.number)))
}
