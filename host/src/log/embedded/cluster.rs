//! The cluster: its state behind one lock, and those who wait for a change of it.
//!
//! Rule: time matters only in [`ClusterState::tick`], which ends what has timed out. Every call lets it happen first.

use super::clock::Clock;
use super::state::ClusterState;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::sync::Arc;
use std::time::Duration;

/// A cluster in memory. Clones share the same cluster.
#[derive(Clone)]
pub struct Embedded(Arc<Shared>);

struct Shared {
    state: Mutex<ClusterState>,
    changed: Condvar,
}

impl Embedded {
    /// An empty cluster. Local state that belongs to another `id` must be refused.
    pub fn new(id: &str, clock: Clock) -> Embedded {
        let state = Mutex::new(ClusterState::new(id.to_owned(), clock));
        Embedded(Arc::new(Shared {
            state,
            changed: Condvar::new(),
        }))
    }

    /// Locks the state, and lets time-outs happen first.
    pub(super) fn lock(&self) -> MutexGuard<'_, ClusterState> {
        let mut state = self.0.state.lock();
        if state.tick() {
            self.0.changed.notify_all();
        }
        state
    }

    /// Makes a change that others may be waiting for.
    pub(super) fn change<R>(&self, call: impl FnOnce(&mut ClusterState) -> R) -> R {
        let mut state = self.lock();
        let result = call(&mut state);
        if state.waiting > 0 {
            self.0.changed.notify_all();
        }
        result
    }

    /// Waits for a change or a time-out, but at most until the given time of the clock.
    pub(super) fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, ClusterState>,
        until: Duration,
    ) -> MutexGuard<'a, ClusterState> {
        let until = state.next_timeout().map_or(until, |timeout| timeout.min(until));
        let wait = until.saturating_sub(state.clock.now());
        state.waiting += 1;
        self.0.changed.wait_for(&mut state, wait);
        state.waiting -= 1;
        if state.tick() {
            self.0.changed.notify_all();
        }
        state
    }
}

impl ClusterState {
    /// Ends transactions and members that have timed out. Returns whether there were any.
    fn tick(&mut self) -> bool {
        let now = self.clock.now();
        let transactions = self.expire_transactions(now);
        let members = self.expire_members(now);
        transactions || members
    }

    /// When the next transaction or member times out.
    fn next_timeout(&self) -> Option<Duration> {
        self.transaction_deadlines().chain(self.member_deadlines()).min()
    }
}
