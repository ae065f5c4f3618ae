//! A shadow on one instance: the data that its tasks share.
//!
//! Rule: it knows each task's feed, and runs nothing itself. See [`Player`](super::Player).

use super::bounds::{Queued, ShadowLimits};
use super::feed::{Begin, Feed};
use crate::binding::{Layout, Wiring};
use crate::config::InputConfig;
use crate::record::{Millis, Number, Partition};
use crate::registry::Schemas;
use crate::shadow::ShadowReport;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A shadow on one instance.
pub struct Trial {
    /// What runs.
    pub plan: Plan,
    /// How much memory it may take.
    pub bounds: ShadowLimits,
    queued: Arc<Queued>,
    state: TrialState,
}

#[derive(Default)]
struct TrialState {
    feeds: Mutex<BTreeMap<Partition, Arc<Feed>>>,
    /// Tasks that have run it before.
    had: Mutex<BTreeSet<Partition>>,
    over: AtomicBool,
}

/// What runs in a trial.
pub struct Plan {
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
    pub inputs: Vec<InputConfig>,
    /// Where the inputs' schemas come from.
    pub schemas: Option<Arc<dyn Schemas>>,
}

impl Trial {
    /// A trial that has not begun in any task.
    pub fn new(plan: Plan, bounds: ShadowLimits) -> Trial {
        Trial {
            plan,
            queued: Arc::new(Queued::new(bounds.queue)),
            bounds,
            state: TrialState::default(),
        }
    }

    /// Whether it has begun in this task, now or before.
    pub fn has_begun(&self, task: Partition) -> bool {
        self.state.had.lock().contains(&task) || self.feed(task).is_some()
    }

    /// Notes that these tasks have run it, here or elsewhere, so that they don't begin again.
    pub fn had(&self, tasks: impl Iterator<Item = Partition>) {
        self.state.had.lock().extend(tasks);
    }

    /// The results so far in the tasks of this instance.
    pub fn reports(&self) -> BTreeMap<Partition, ShadowReport> {
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
            feed.end(why.to_owned());
        }
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.state.over.load(Ordering::Acquire)
    }

    pub(super) fn feeds(&self) -> BTreeMap<Partition, Arc<Feed>> {
        self.state.feeds.lock().clone()
    }

    fn feed(&self, task: Partition) -> Option<Arc<Feed>> {
        self.state.feeds.lock().get(&task).cloned()
    }

    /// Begins the shadow in this task.
    pub(super) fn begin(&self, task: Partition, begin: Begin) -> Arc<Feed> {
        let report = ShadowReport {
            instance: self.plan.instance.clone(),
            duration: self.plan.duration,
            ..ShadowReport::default()
        };
        let feed = Arc::new(Feed::new(begin, report, self.queued.clone()));
        self.state.feeds.lock().insert(task, feed.clone());
        feed
    }
}
