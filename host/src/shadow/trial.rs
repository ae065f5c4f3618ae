//! A shadow on one instance: the trial that tasks share, and the player that runs it.
//!
//! Rule: tasks write tapes, and the [`Player`] plays them in whatever time its driver gives it. An instance has a
//! thread of the lowest priority for it, and a test has none.

use super::feed::Feed;
use super::run::Shadow;
use crate::binding::{Layout, Wiring};
use crate::config::Input;
use crate::record::{Millis, Number, Partition};
use crate::registry::Schemas;
use crate::shadow::Report;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How much memory a shadow may take on an instance.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of waiting tapes. 256 MiB are about 300,000 steps of 250 bytes with their live effects, which is two
    /// seconds of a busy instance that reads a backlog.
    pub queue: i64,
    /// Bytes of its own state. 512 MiB are the rows of about 500,000 keys.
    pub state: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            queue: 256 << 20,
            state: 512 << 20,
        }
    }
}

/// A shadow on one instance.
pub struct Trial {
    /// The shadow's number.
    pub number: Number,
    /// Its rules.
    pub wiring: Arc<Wiring>,
    /// How long it runs, in event time of each task.
    pub duration: Millis,
    /// Name of the instance.
    pub instance: String,
    /// The layout of the pipeline.
    pub layout: Arc<Layout>,
    /// The inputs.
    pub inputs: Vec<Input>,
    /// Where the inputs' schemas come from.
    pub schemas: Option<Arc<dyn Schemas>>,
    /// How much memory it may take.
    pub bounds: Bounds,
    state: State,
}

#[derive(Default)]
struct State {
    feeds: Mutex<BTreeMap<Partition, Arc<Feed>>>,
    /// Tasks that have run it before.
    had: Mutex<BTreeSet<Partition>>,
    queued: AtomicI64,
    over: AtomicBool,
}

/// What a trial is made from.
pub struct Parts {
    /// As in [`Trial`].
    pub number: Number,
    /// As in [`Trial`].
    pub wiring: Arc<Wiring>,
    /// As in [`Trial`].
    pub duration: Millis,
    /// As in [`Trial`].
    pub instance: String,
    /// As in [`Trial`].
    pub layout: Arc<Layout>,
    /// As in [`Trial`].
    pub inputs: Vec<Input>,
    /// As in [`Trial`].
    pub schemas: Option<Arc<dyn Schemas>>,
}

impl Trial {
    /// A trial that has not begun in any task.
    pub fn new(parts: Parts, bounds: Bounds) -> Trial {
        let Parts {
            number,
            wiring,
            duration,
            instance,
            layout,
            inputs,
            schemas,
        } = parts;
        Trial {
            number,
            wiring,
            duration,
            instance,
            layout,
            inputs,
            schemas,
            bounds,
            state: State::default(),
        }
    }

    /// Whether it has begun in this task, now or before.
    pub fn has_begun(&self, task: Partition) -> bool {
        let had = self.state.had.lock();
        had.unwrap_or_else(PoisonError::into_inner).contains(&task) || self.feed(task).is_some()
    }

    /// Notes that these tasks have run it, here or elsewhere, so that they don't begin again.
    pub fn had(&self, tasks: impl Iterator<Item = Partition>) {
        let had = self.state.had.lock();
        had.unwrap_or_else(PoisonError::into_inner).extend(tasks);
    }

    /// The results so far in the tasks of this instance.
    pub fn reports(&self) -> BTreeMap<Partition, Report> {
        let feeds = self.feeds();
        feeds.iter().map(|(task, feed)| (*task, feed.report())).collect()
    }

    /// Marks it as over, so that its player may end.
    pub fn end(&self) {
        self.state.over.store(true, Ordering::Release);
    }

    /// Ends it in all tasks, because nothing plays it any more.
    pub fn fail(&self, why: &str) {
        for feed in self.feeds().values() {
            feed.end(why.to_owned(), self);
        }
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.state.over.load(Ordering::Acquire)
    }

    fn feeds(&self) -> BTreeMap<Partition, Arc<Feed>> {
        let feeds = self.state.feeds.lock();
        feeds.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn feed(&self, task: Partition) -> Option<Arc<Feed>> {
        let feeds = self.state.feeds.lock();
        feeds.unwrap_or_else(PoisonError::into_inner).get(&task).cloned()
    }

    pub(super) fn add(&self, task: Partition, feed: Arc<Feed>) {
        let feeds = self.state.feeds.lock();
        feeds.unwrap_or_else(PoisonError::into_inner).insert(task, feed);
    }

    /// Adds to the number of waiting bytes, and returns it.
    pub(super) fn queued(&self, more: i64) -> i64 {
        self.state.queued.fetch_add(more, Ordering::AcqRel) + more
    }
}

/// Plays the tapes of an instance's tasks, each to its own shadow.
pub struct Player {
    trial: Arc<Trial>,
    shadows: BTreeMap<Partition, Shadow>,
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
                match Shadow::new(task, &self.trial, begin) {
                    Ok(shadow) => _ = self.shadows.insert(task, shadow),
                    Err(why) => feed.end(format!("it could not begin: {why}"), &self.trial),
                }
            }
            let Some(tape) = feed.pop(&self.trial) else {
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
            feed.played(tape, shadow.report(), &self.trial);
            let bytes: usize = self.shadows.values().map(Shadow::bytes).sum();
            if bytes > self.trial.bounds.state {
                let why = format!(
                    "dropped: its state is over {} MiB; let it run for a shorter time",
                    self.trial.bounds.state >> 20
                );
                feed.end(why, &self.trial);
            }
            if feed.is_through() {
                self.shadows.remove(&task);
            }
        }
        busy
    }
}
