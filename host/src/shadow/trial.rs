//! A shadow on an instance: what it is made of, and who plays it.
//!
//! Rule: tasks write, and the [`Player`] plays; whoever drives the player gives it what time there is to spare. So an instance
//! has one thread for it, which the operating system lets run when the workers leave something, and a test has none.

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
    /// Bytes of tapes that wait: 256 MiB are some 300,000 steps of 250 bytes with what the live rules made of them, which is
    /// two seconds of a busy instance that reads a backlog.
    pub queue: i64,
    /// Bytes of its own state: 512 MiB are the rows of some 500,000 keys.
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

/// See the module.
pub struct Trial {
    /// The shadow's number.
    pub number: Number,
    /// Its rules.
    pub wiring: Arc<Wiring>,
    /// For so long, in event time of each task.
    pub duration: Millis,
    /// Name of the instance.
    pub instance: String,
    /// Of the pipeline.
    pub layout: Arc<Layout>,
    /// The inputs, and where their schemas come from.
    pub inputs: Vec<Input>,
    /// See `inputs`.
    pub schemas: Option<Arc<dyn Schemas>>,
    /// What it may take.
    pub bounds: Bounds,
    state: State,
}

#[derive(Default)]
struct State {
    feeds: Mutex<BTreeMap<Partition, Arc<Feed>>>,
    /// Tasks that have had a stay of it.
    had: Mutex<BTreeSet<Partition>>,
    queued: AtomicI64,
    over: AtomicBool,
}

/// What a trial is made of.
pub struct Parts {
    /// See [`Trial`].
    pub number: Number,
    /// See [`Trial`].
    pub wiring: Arc<Wiring>,
    /// See [`Trial`].
    pub duration: Millis,
    /// See [`Trial`].
    pub instance: String,
    /// See [`Trial`].
    pub layout: Arc<Layout>,
    /// See [`Trial`].
    pub inputs: Vec<Input>,
    /// See [`Trial`].
    pub schemas: Option<Arc<dyn Schemas>>,
}

impl Trial {
    /// Nothing of it runs yet.
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

    /// Has this task begun with it, now or ever?
    pub fn has_begun(&self, task: Partition) -> bool {
        let had = self.state.had.lock();
        had.unwrap_or_else(PoisonError::into_inner).contains(&task) || self.feed(task).is_some()
    }

    /// These tasks have had it, here or elsewhere: they don't begin again.
    pub fn had(&self, tasks: impl Iterator<Item = Partition>) {
        let had = self.state.had.lock();
        had.unwrap_or_else(PoisonError::into_inner).extend(tasks);
    }

    /// What is seen of it so far in the tasks of this instance.
    pub fn reports(&self) -> BTreeMap<Partition, Report> {
        let feeds = self.feeds();
        feeds.iter().map(|(task, feed)| (*task, feed.report())).collect()
    }

    /// It is over: its player may end.
    pub fn end(&self) {
        self.state.over.store(true, Ordering::Release);
    }

    /// Nobody plays it any more.
    pub fn fail(&self, why: &str) {
        for feed in self.feeds().values() {
            feed.end(why.to_owned(), self);
        }
    }

    /// See [`end`](Trial::end).
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

    /// Bytes that wait now, so many more.
    pub(super) fn queued(&self, more: i64) -> i64 {
        self.state.queued.fetch_add(more, Ordering::AcqRel) + more
    }
}

/// Plays the tapes of an instance's tasks, each to its shadow.
pub struct Player {
    trial: Arc<Trial>,
    shadows: BTreeMap<Partition, Shadow>,
}

impl Player {
    /// Of this trial.
    pub fn new(trial: Arc<Trial>) -> Player {
        Player {
            trial,
            shadows: BTreeMap::new(),
        }
    }

    /// What it plays.
    pub fn trial(&self) -> &Arc<Trial> {
        &self.trial
    }

    /// Of each task at most one tape. False: there was none.
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
