//! What each task of this instance is doing, and since when, for health, the demo and the benchmark.
//!
//! Rule: a task is listed from when it is assigned until it is closed, also while it restores, so that a slow restore
//! is visible.

use super::Running;
use crate::binding::Status;
use crate::config::Config;
use crate::deploy::protocol::{Control, Way};
use crate::http::{Health, TaskHealth, TaskState};
use crate::record::{NEVER, Partition};
use crate::rules::Version;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// A restore without progress for this long needs attention. It is longer than elections and transaction time-outs
/// take.
const STANDS_STILL: Duration = Duration::from_secs(60);

/// The tasks of an instance.
#[derive(Clone, Default)]
pub struct Tasks(Arc<Mutex<BTreeMap<Partition, Standing>>>);

/// What a task is doing.
#[derive(Clone, Debug)]
pub struct Standing {
    /// When it began.
    since: SystemTime,
    now: Doing,
}

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one for each task, and most run")]
enum Doing {
    Runs(Status),
    Restores {
        /// How much of its changelog was read, from 0 to 1.
        read: f64,
        /// When the last progress was made. `None` if it has not begun because it waits for other restores.
        moved: Option<Instant>,
        /// What it waits for.
        why: Option<String>,
    },
}

impl Tasks {
    /// Lists a task that waits for another restore to end.
    pub fn waits(&self, task: Partition) {
        let now = Doing::Restores {
            read: 0.0,
            moved: None,
            why: Some("for restores of other tasks".into()),
        };
        let since = SystemTime::now();
        self.lock().insert(task, Standing { since, now });
    }

    /// Lists a task that has read this much of its changelog, from 0 to 1, with what it waits for.
    pub fn restores(&self, task: Partition, read: f64, why: Option<&str>) {
        let mut tasks = self.lock();
        let before = tasks.get(&task).map(|standing| (standing.since, &standing.now));
        let (since, moved) = match before {
            Some((since, Doing::Restores { read: last, moved, .. })) if *last == read => (since, *moved),
            Some((since, Doing::Restores { .. })) => (since, None),
            _ => (SystemTime::now(), None),
        };
        let moved = moved.or_else(|| Some(Instant::now()));
        let why = why.map(str::to_owned);
        let now = Doing::Restores { read, moved, why };
        tasks.insert(task, Standing { since, now });
    }

    /// Lists a task that runs.
    pub fn runs(&self, status: Status) {
        let mut tasks = self.lock();
        let since = match tasks.get(&status.partition) {
            Some(Standing {
                since,
                now: Doing::Runs(_),
            }) => *since,
            _ => SystemTime::now(),
        };
        let task = status.partition;
        let now = Doing::Runs(status);
        tasks.insert(task, Standing { since, now });
    }

    /// Removes a task.
    pub fn gone(&self, task: Partition) {
        self.lock().remove(&task);
    }

    /// The tasks that run.
    pub fn running(&self) -> Vec<Status> {
        let status = |standing: &Standing| match &standing.now {
            Doing::Runs(status) => Some(status.clone()),
            Doing::Restores { .. } => None,
        };
        self.lock().values().filter_map(status).collect()
    }

    /// The tasks that restore, with their progress as text.
    pub fn restoring(&self) -> Vec<(Partition, String)> {
        let text = |(task, standing): (&Partition, &Standing)| Some((*task, standing.text()?));
        self.lock().iter().filter_map(text).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Partition, Standing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standing {
    /// The progress of a restore as text, or `None` if the task runs.
    fn text(&self) -> Option<String> {
        let Doing::Restores { read, moved, why } = &self.now else {
            return None;
        };
        let mut text = format!("{:.0} % of the changelog is read", read * 100.0);
        if let Some(still) = moved.map(|moved| moved.elapsed().as_secs()).filter(|still| *still > 0) {
            text += &format!(", nothing for {still} s");
        }
        if let Some(why) = why {
            text += &format!("; it waits: {why}");
        }
        Some(text)
    }

    fn stands_still(&self) -> bool {
        matches!(&self.now, Doing::Restores { moved: Some(moved), .. } if moved.elapsed() >= STANDS_STILL)
    }

    fn health(&self, task: Partition, config: &Config, control: &Control) -> TaskHealth {
        let since = self.since.duration_since(SystemTime::UNIX_EPOCH);
        let status = match &self.now {
            Doing::Runs(status) => Some(status),
            Doing::Restores { .. } => None,
        };
        let names = config.inputs.iter().map(|input| input.name.clone());
        TaskHealth {
            partition: task,
            state: match &self.now {
                Doing::Runs(status) if waits_for_rules(status, control) => TaskState::Stopped,
                Doing::Runs(_) => TaskState::Running,
                Doing::Restores { .. } => TaskState::Restoring,
            },
            since: since.map_or(0, |since| since.as_millis() as i64),
            version: status.map(|status| Version(status.version).to_string()),
            watermark: status.map(|status| status.watermark).filter(|time| *time != NEVER),
            position: status.map_or_else(BTreeMap::new, |status| {
                names.zip(status.positions.iter().copied()).collect()
            }),
            message: self.text().or_else(|| trouble(status?, control)).or_else(|| {
                let why = status?.unstored.as_ref()?;
                Some(format!(
                    "its state is not stored on this machine: {why}; nothing is lost, but the next restore is slow"
                ))
            }),
        }
    }
}

/// Whether its rules exceed a budget, so that it waits until a person deploys other rules.
fn waits_for_rules(status: &Status, control: &Control) -> bool {
    status.trouble.is_some() && control.way_back(status.deployed) == Way::Stop
}

/// What is wrong with its rules.
fn trouble(status: &Status, control: &Control) -> Option<String> {
    let (why, stopped) = status.trouble.as_ref()?;
    let number = status.deployed;
    let then = match (control.way_back(number), stopped) {
        (Way::Stop, _) => {
            "it was deployed one-way, so there is no way back; the task waits until you deploy other rules"
        }
        (Way::Back, _) => "it is being withdrawn",
        (Way::On, false) => "there is no version to go back to, so it goes on",
        (Way::On, true) => "the task goes on with another version",
    };
    Some(format!("deploy {number} is at fault: {why}; {then}"))
}

/// What the instance says about itself.
pub fn health(config: &Arc<Config>, running: &Running) -> Arc<dyn Fn() -> Health + Send + Sync> {
    let (tasks, view, config) = (running.tasks.clone(), running.view().clone(), config.clone());
    Arc::new(move || {
        let control = view.control();
        let tasks = tasks.lock();
        let waiting =
            |standing: &Standing| matches!(&standing.now, Doing::Runs(status) if waits_for_rules(status, &control));
        let waits: Vec<_> = tasks
            .iter()
            .filter(|(_, standing)| waiting(standing))
            .map(|(task, _)| *task)
            .collect();
        let message = match control.fallen() {
            _ if !waits.is_empty() => Some(format!("the tasks {waits:?} wait for other rules; deploy them")),
            Some((number, why)) => Some(format!("deploy {number} was withdrawn: {why}")),
            None => None,
        };
        let still: Vec<_> = (tasks.iter().filter(|(_, standing)| standing.stands_still()))
            .map(|(task, _)| *task)
            .collect();
        Health {
            ok: still.is_empty() && waits.is_empty(),
            pipeline: config.name.clone(),
            instance: config.instance.clone(),
            version: view
                .version()
                .map_or_else(String::new, |version| Version(version).to_string()),
            message: match still.is_empty() {
                false => Some(format!("the restores of the tasks {still:?} make no progress")),
                true => message,
            },
            tasks: tasks
                .iter()
                .map(|(task, standing)| standing.health(*task, &config, &control))
                .collect(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_restores_is_shown_with_what_it_waits_for_until_it_runs_or_is_gone() {
        let tasks = Tasks::default();
        tasks.waits(3);
        assert_eq!(
            tasks.restoring(),
            [(
                3,
                "0 % of the changelog is read; it waits: for restores of other tasks".into()
            )]
        );
        tasks.restores(3, 0.25, Some("broker away"));
        let before = tasks.lock()[&3].since;
        tasks.restores(3, 0.5, None);
        assert_eq!(tasks.restoring(), [(3, "50 % of the changelog is read".into())]);
        assert_eq!(tasks.lock()[&3].since, before, "it is still the same restore");
        assert!(tasks.running().is_empty());
        tasks.runs(Status {
            partition: 3,
            ..Status::default()
        });
        assert!(tasks.restoring().is_empty());
        assert_eq!(tasks.running().len(), 1);
        tasks.gone(3);
        assert!(tasks.running().is_empty() && tasks.restoring().is_empty());
    }

    #[test]
    fn a_restore_that_stands_still_is_told() {
        let tasks = Tasks::default();
        tasks.restores(3, 0.5, Some("broker away"));
        let mut still = tasks.lock()[&3].clone();
        assert!(!still.stands_still());
        if let Doing::Restores { moved: Some(moved), .. } = &mut still.now {
            *moved -= STANDS_STILL;
        }
        assert!(still.stands_still());
        assert_eq!(
            still.text().as_deref(),
            Some("50 % of the changelog is read, nothing for 60 s; it waits: broker away")
        );
    }
}
