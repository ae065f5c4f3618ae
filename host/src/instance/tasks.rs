//! What each task of this instance is doing, and since when, for health, the demo and the benchmark.
//!
//! Rule: a task is listed from when it is assigned until it is closed, also while it restores, so that a slow restore
//! is visible.

use crate::binding::Status;
use crate::record::Partition;
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// A restore without progress for this long needs attention. It is longer than elections and transaction time-outs
/// take.
const STANDS_STILL: Duration = Duration::from_secs(60);

/// A worker that has said nothing about a task for this long is stuck. It reports ten times a second, and one batch of
/// slow rules takes a second at most.
const STUCK: Duration = Duration::from_secs(10);

/// The tasks of an instance.
#[derive(Clone, Default)]
pub struct Tasks(Arc<Mutex<BTreeMap<Partition, TaskActivity>>>);

/// What a task is doing.
#[derive(Clone, Debug)]
pub struct TaskActivity {
    /// When it began.
    pub(super) since: SystemTime,
    /// When it was last heard of.
    heard: Instant,
    pub(super) now: Doing,
}

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one for each task, and most run")]
pub enum Doing {
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
        self.put(task, since, now);
    }

    /// Lists a task that has read this much of its changelog, from 0 to 1, with what it waits for.
    pub fn restores(&self, task: Partition, read: f64, why: Option<&str>) {
        let before = self.lock().get(&task).cloned();
        let (since, moved) = match before.map(|standing| (standing.since, standing.now)) {
            Some((since, Doing::Restores { read: last, moved, .. })) if last == read => (since, moved),
            Some((since, Doing::Restores { .. })) => (since, None),
            _ => (SystemTime::now(), None),
        };
        let moved = moved.or_else(|| Some(Instant::now()));
        let why = why.map(str::to_owned);
        self.put(task, since, Doing::Restores { read, moved, why });
    }

    /// Lists a task that runs.
    pub fn runs(&self, status: Status) {
        let since = match self.lock().get(&status.partition) {
            Some(standing) if matches!(standing.now, Doing::Runs(_)) => standing.since,
            _ => SystemTime::now(),
        };
        self.put(status.partition, since, Doing::Runs(status));
    }

    fn put(&self, task: Partition, since: SystemTime, now: Doing) {
        let heard = Instant::now();
        self.lock().insert(task, TaskActivity { since, heard, now });
    }

    /// Removes a task.
    pub fn gone(&self, task: Partition) {
        self.lock().remove(&task);
    }

    /// The tasks that run.
    pub fn running(&self) -> Vec<Status> {
        let status = |standing: &TaskActivity| match &standing.now {
            Doing::Runs(status) => Some(status.clone()),
            Doing::Restores { .. } => None,
        };
        self.lock().values().filter_map(status).collect()
    }

    /// The tasks that restore, with their progress as text.
    pub fn restoring(&self) -> Vec<(Partition, String)> {
        let text = |(task, standing): (&Partition, &TaskActivity)| Some((*task, standing.text()?));
        self.lock().iter().filter_map(text).collect()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<Partition, TaskActivity>> {
        self.0.lock()
    }
}

impl TaskActivity {
    /// The progress of a restore as text, or `None` if the task runs.
    pub(super) fn text(&self) -> Option<String> {
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

    /// For how long its worker has not come back, if that is too long.
    pub(super) fn stuck_for(&self) -> Option<Duration> {
        let silent = self.heard.elapsed();
        (matches!(self.now, Doing::Runs(_)) && silent >= STUCK).then_some(silent)
    }

    pub(super) fn stands_still(&self) -> bool {
        matches!(&self.now, Doing::Restores { moved: Some(moved), .. } if moved.elapsed() >= STANDS_STILL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_restores_is_shown_with_what_it_waits_for_until_it_runs_or_is_gone() {
        let tasks = Tasks::default();
        tasks.waits(Partition(3));
        assert_eq!(
            tasks.restoring(),
            [(
                Partition(3),
                "0 % of the changelog is read; it waits: for restores of other tasks".into()
            )]
        );
        tasks.restores(Partition(3), 0.25, Some("broker away"));
        let before = tasks.lock()[&Partition(3)].since;
        tasks.restores(Partition(3), 0.5, None);
        assert_eq!(
            tasks.restoring(),
            [(Partition(3), "50 % of the changelog is read".into())]
        );
        assert_eq!(
            tasks.lock()[&Partition(3)].since,
            before,
            "it is still the same restore"
        );
        assert!(tasks.running().is_empty());
        tasks.runs(Status {
            partition: Partition(3),
            ..Status::default()
        });
        assert!(tasks.restoring().is_empty());
        assert_eq!(tasks.running().len(), 1);
        tasks.gone(Partition(3));
        assert!(tasks.running().is_empty() && tasks.restoring().is_empty());
    }

    #[test]
    fn a_worker_that_does_not_come_back_is_told() {
        let tasks = Tasks::default();
        tasks.runs(Status::default());
        assert_eq!(tasks.lock()[&Partition(0)].stuck_for(), None);
        tasks.lock().get_mut(&Partition(0)).expect("it runs").heard -= STUCK;
        assert!(tasks.lock()[&Partition(0)].stuck_for() >= Some(STUCK));
        tasks.runs(Status::default());
        assert_eq!(tasks.lock()[&Partition(0)].stuck_for(), None, "it has come back");
    }

    #[test]
    fn a_restore_that_stands_still_is_told() {
        let tasks = Tasks::default();
        tasks.restores(Partition(3), 0.5, Some("broker away"));
        let mut still = tasks.lock()[&Partition(3)].clone();
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
