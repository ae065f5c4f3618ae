//! Plays the tapes of an instance's tasks.
//!
//! Rule: tasks write, and the player plays. Its driver decides how much time it gets: an instance has one thread for it, which the
//! operating system lets run when the workers leave something, and a test has none.

use super::run::TaskShadow;
use super::trial::Trial;
use crate::record::Partition;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Plays the tapes of an instance's tasks, each to its own shadow.
pub struct Player {
    trial: Arc<Trial>,
    shadows: BTreeMap<Partition, TaskShadow>,
}

impl Player {
    /// A player for this trial.
    pub fn new(trial: Arc<Trial>) -> Player {
        Player {
            trial,
            shadows: BTreeMap::new(),
        }
    }

    /// The trial that it plays.
    pub fn trial(&self) -> &Arc<Trial> {
        &self.trial
    }

    /// Plays at most one tape for each task. Returns whether there was any.
    pub fn play(&mut self) -> bool {
        let mut busy = false;
        for (task, feed) in self.trial.feeds() {
            if let Some(begin) = feed.begin() {
                match TaskShadow::new(task, &self.trial, begin) {
                    Ok(shadow) => _ = self.shadows.insert(task, shadow),
                    Err(why) => feed.end(format!("it could not begin: {why}")),
                }
            }
            let Some(tape) = feed.pop() else {
                if feed.is_over() {
                    self.shadows.remove(&task);
                }
                continue;
            };
            busy = true;
            let Some(shadow) = self.shadows.get_mut(&task) else {
                continue;
            };
            shadow.play(&tape);
            feed.played(tape, shadow.report());
            let bytes: usize = self.shadows.values().map(TaskShadow::bytes).sum();
            if bytes > self.trial.bounds.state {
                let why = format!(
                    "dropped: its state is over {} MiB; let it run for a shorter time",
                    self.trial.bounds.state >> 20
                );
                feed.end(why);
            }
            if feed.is_through() {
                self.shadows.remove(&task);
            }
        }
        busy
    }
}
