//! The protocol by which versions of the rules take over: what the records of the control topic come to.
//!
//! Rules:
//! - Everything here is a function of the records in their order: whoever has read the same records agrees.
//! - Deploys are numbered. A deploy names the number after the last one that its author saw; of two with one number the first
//!   counts, and while one is undecided no other is taken.
//! - The first commit or cancel behind a deploy decides it, whoever wrote it. Whoever writes a commit has seen the answers of
//!   all tasks; a cancel is always safe.
//! - The version of an input is that of the committed deploy with the highest number whose time is not after the input's.
//!   The first deploy holds from the beginning of time.
//!
//! Life of a deploy:
//!
//!     deploy -> instances fetch, compile, check, report -> tasks hold, answer -> commit: every task takes it over at T
//!                                                                           \-> cancel: every task goes on as it was
//!
//! A committed deploy that turns out to be at fault is withdrawn, by the first order that says so: from there on everything is
//! as if it had not been committed, but for the steps that it has taken. See `withdrawn`.

mod record;
pub mod shadow;
#[cfg(test)]
mod tests;
mod withdrawn;

pub use record::{CHUNK_BYTES, Declared, Deploy, Key, NotARecord, Order, Record, Report, Stage, Store, nonce};
pub use withdrawn::{Way, Withdrawn};

use crate::record::{Millis, NEVER, Partition};
use shadow::Shadows;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Number of a deploy; the first has 1.
pub type Number = u64;

/// A version of the rules: SHA-256 over component and settings.
pub type VersionId = [u8; 32];

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Control {
    /// Number of tasks: all of them must answer.
    tasks: usize,
    /// By number, from 1 on. Copies share them. They stay for good, as the deploys do on the topic: each is a line of history, and
    /// schemas that were declared before are shared.
    deploys: Vec<Arc<Known>>,
    /// The last deploy that a task has taken over, by task. None is said of: the first.
    taken: BTreeMap<Partition, Number>,
    /// Deploys whose components were removed: all up to this one.
    pruned: Number,
    shadows: Shadows,
}

/// A deploy, and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// As its author wrote it.
    pub deploy: Deploy,
    /// See [`State`].
    pub state: State,
    /// The tasks that hold for it, with their positions.
    pub answers: BTreeMap<Partition, Millis>,
    /// How far instances are with it, by name.
    pub reports: BTreeMap<String, Report>,
    /// Every task was with an instance that is ready: tasks hold from here on.
    pub covered: bool,
}

/// What became of a deploy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody has decided yet.
    Open,
    /// It holds from this time on.
    Committed(Millis),
    /// It never held. Why.
    Cancelled(String),
    /// It held from this time on, in some tasks, until it was withdrawn. Why.
    Withdrawn(Millis, String),
}

/// A committed deploy, as tasks are told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its number.
    pub number: Number,
    /// Its version.
    pub version: VersionId,
    /// Holds for inputs from this time on.
    pub at: Millis,
}

/// What a record has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: it came too late, or means nothing here.
    None,
    /// Something is known now that was not.
    Changed,
    /// A deploy that does not count. Why.
    Refused(String),
}

impl Control {
    /// Before the first record, for so many tasks.
    pub fn new(tasks: usize) -> Control {
        Control {
            tasks,
            deploys: vec![],
            taken: BTreeMap::new(),
            pruned: 0,
            shadows: Shadows::default(),
        }
    }

    /// Takes the next record of the topic.
    pub fn apply(&mut self, record: Record) -> Effect {
        match record {
            Record::Deploy(deploy) => self.deploy(deploy),
            Record::Order { number, order } => {
                let Some(known) = self.known_mut(number) else {
                    return Effect::None;
                };
                known.state = match (order, &known.state) {
                    (Order::Commit(at), State::Open) => State::Committed(at),
                    (Order::Cancel(why), State::Open) => State::Cancelled(why),
                    // The first one holds for whoever has no other.
                    (Order::Withdraw(why), State::Committed(at)) if number > 1 => State::Withdrawn(*at, why),
                    _ => return Effect::None,
                };
                match known.state {
                    State::Committed(_) => self.shadows.ended(format!("deploy {number} was committed")),
                    State::Withdrawn(..) => self.shadows.ended(format!("deploy {number} was withdrawn")),
                    _ => {}
                }
                Effect::Changed
            }
            Record::Answer { number, task, position } => {
                let Some(known) = self.open_mut(number) else {
                    return Effect::None;
                };
                known.answers.insert(task, position);
                Effect::Changed
            }
            Record::Report {
                number,
                instance,
                report,
            } => {
                let tasks = self.tasks;
                let Some(known) = self.known_mut(number) else {
                    return Effect::None;
                };
                known.reports.insert(instance, report);
                let ready = known.reports.values().filter(|report| report.stage == Stage::Ready);
                let covered: BTreeSet<Partition> = ready.flat_map(|report| report.tasks.iter().copied()).collect();
                known.covered |= covered.len() >= tasks;
                Effect::Changed
            }
            Record::Taken { task, number } => {
                self.taken.insert(task, number);
                Effect::Changed
            }
            Record::Pruned { number } => {
                self.pruned = self.pruned.max(number);
                Effect::Changed
            }
            Record::Shadow(said) => {
                let undecided = self.open().map(|open| open.deploy.number);
                self.shadows.apply(said, undecided)
            }
        }
    }

    fn deploy(&mut self, mut deploy: Deploy) -> Effect {
        if let Some(open) = self.open() {
            let number = open.deploy.number;
            return Effect::Refused(format!("deploy {number} is not decided yet"));
        }
        if deploy.number != self.last() + 1 {
            return Effect::Refused(format!(
                "it says it is deploy {}, and the next one is {}: somebody else has deployed meanwhile",
                deploy.number,
                self.last() + 1
            ));
        }
        let state = match deploy.number {
            1 => State::Committed(NEVER),
            _ => State::Open,
        };
        // Other settings, mostly: the same schemas, by far the most of what is kept of a deploy.
        let mut earlier = self.deploys.iter().rev().map(|known| &known.deploy.declared);
        if let Some(same) = earlier.find(|earlier| **earlier == deploy.declared) {
            deploy.declared = same.clone();
        }
        self.deploys.push(Arc::new(Known {
            deploy,
            state,
            answers: BTreeMap::new(),
            reports: BTreeMap::new(),
            covered: false,
        }));
        Effect::Changed
    }

    /// Number of the last deploy that counts; 0: there is none.
    pub fn last(&self) -> Number {
        self.deploys.len() as Number
    }

    /// A deploy by its number.
    pub fn known(&self, number: Number) -> Option<&Known> {
        let known = self.deploys.get(usize::try_from(number.checked_sub(1)?).ok()?);
        known.map(Arc::as_ref)
    }

    fn known_mut(&mut self, number: Number) -> Option<&mut Known> {
        let known = self.deploys.get_mut(usize::try_from(number.checked_sub(1)?).ok()?);
        known.map(Arc::make_mut)
    }

    fn open_mut(&mut self, number: Number) -> Option<&mut Known> {
        self.known_mut(number).filter(|known| known.state == State::Open)
    }

    /// All deploys that count, in order.
    pub fn deploys(&self) -> impl DoubleEndedIterator<Item = &Known> {
        self.deploys.iter().map(Arc::as_ref)
    }

    /// The deploy that is not decided: at most the last one.
    pub fn open(&self) -> Option<&Known> {
        self.deploys().next_back().filter(|known| known.state == State::Open)
    }

    /// The committed deploy with the highest number: what runs, or will run.
    pub fn newest(&self) -> Option<&Known> {
        let committed = |known: &&Known| matches!(known.state, State::Committed(_));
        self.deploys().rev().find(committed)
    }

    /// The committed deploy before the newest one: where a rollback goes to.
    pub fn before(&self, number: Number) -> Option<&Known> {
        let version = self.known(number)?.deploy.version;
        let earlier = |known: &&Known| {
            matches!(known.state, State::Committed(_))
                && known.deploy.number < number
                && known.deploy.version != version
        };
        self.deploys().rev().find(earlier)
    }

    /// All committed deploys, in order.
    pub fn committed(&self) -> Vec<Committed> {
        let committed = |known: &Known| match known.state {
            State::Committed(at) => Some(Committed {
                number: known.deploy.number,
                version: known.deploy.version,
                at,
            }),
            _ => None,
        };
        self.deploys().filter_map(committed).collect()
    }

    /// The last deploy of a version, or the shadow: where its component and settings stand.
    pub fn of_version(&self, version: &VersionId) -> Option<&Deploy> {
        let its = |deploy: &&Deploy| deploy.version == *version;
        let deploys = self.deploys.iter().rev().map(|known| &known.deploy);
        let shadow = self.shadows.last().map(|known| &known.shadow.deploy);
        deploys.chain(shadow).find(its)
    }

    /// What runs beside.
    pub fn shadows(&self) -> &Shadows {
        &self.shadows
    }

    /// How many tasks the pipeline has.
    pub fn tasks(&self) -> usize {
        self.tasks
    }

    /// The deploy that a task has taken over last.
    pub fn taken(&self, task: Partition) -> Number {
        self.taken.get(&task).copied().unwrap_or(1)
    }

    /// Components of deploys up to this one are gone, unless a later one has the same.
    pub fn pruned(&self) -> Number {
        self.pruned
    }

    /// The commit that is due: every task holds, and has said where.
    pub fn due(&self) -> Option<Record> {
        let open = self.open()?;
        if open.answers.len() < self.tasks {
            return None;
        }
        let latest = open.answers.values().copied().max().unwrap_or(NEVER);
        let at = open.deploy.at.unwrap_or(latest.saturating_add(1));
        Some(Record::Order {
            number: open.deploy.number,
            order: Order::Commit(at),
        })
    }

    /// Tasks that have not answered.
    pub fn missing(&self) -> Vec<Partition> {
        let answers = self.open().map(|open| &open.answers);
        let answered = |task: &Partition| answers.is_some_and(|answers| answers.contains_key(task));
        (0..self.tasks as Partition).filter(|task| !answered(task)).collect()
    }
}

/// What takes over next in a task that has taken over `taken`: the earliest of the later deploys, and of two at one time
/// the one with the higher number.
pub fn next(committed: &[Committed], taken: Number) -> Option<&Committed> {
    let later = committed.iter().filter(|deploy| deploy.number > taken);
    later.min_by_key(|deploy| (deploy.at, Reverse(deploy.number)))
}
