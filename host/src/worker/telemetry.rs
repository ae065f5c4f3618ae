//! Reports a worker's work to the metrics: once an epoch and a few times a second, never per record.

use super::cpu_times::CpuTimes;
use crate::binding::{Uncommitted, Wiring};
use crate::clock::Now;
use crate::metrics::{CpuPart, Metrics, RulesMetrics, TaskMetrics, WorkerMetrics};
use crate::record::{Number, Partition};
use crate::rules::Version;
use crate::step::Tally;
use crate::task::Task;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How often gauges are set.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How many versions' handles are kept: the few that run, and some that ran before. A missing one costs a look-up by
/// name.
const VERSIONS: usize = 16;

/// A task's turn.
#[derive(Clone, Copy)]
pub struct TaskTurn {
    /// Whether it took steps.
    pub ran: bool,
    /// Whether it left work.
    pub left: bool,
}

/// The metrics of a worker and of its tasks.
pub struct Telemetry {
    metrics: Arc<Metrics>,
    worker: WorkerMetrics,
    /// Handles for the versions that tasks have run lately.
    rules: BTreeMap<Version, RulesMetrics>,
    tasks: BTreeMap<Partition, TaskMetrics>,
    cpu: CpuTimes,
    /// The time of the last turn.
    now: Now,
    look_at: Duration,
    /// Tasks whose work is held back by a deploy, and since when.
    held: BTreeMap<Partition, Duration>,
    /// Tasks that had work left at the end of their turn, and since when.
    left: BTreeMap<Partition, Duration>,
    /// Whether the warning about foreign keys was given. It is given once.
    warned: bool,
}

impl Telemetry {
    /// For the worker with this number.
    pub fn new(metrics: Arc<Metrics>, worker: usize) -> Telemetry {
        let worker = metrics.worker(worker);
        Telemetry {
            metrics,
            worker,
            rules: BTreeMap::new(),
            tasks: BTreeMap::new(),
            cpu: CpuTimes::default(),
            now: Now::default(),
            look_at: Duration::ZERO,
            held: BTreeMap::new(),
            left: BTreeMap::new(),
            warned: false,
        }
    }

    /// The time of the last turn.
    pub fn now(&self) -> Now {
        self.now
    }

    /// A turn begins.
    pub fn begin_turn(&mut self, now: Now) {
        self.now = now;
        self.cpu.begin();
    }

    /// Charges the CPU time since the last call to this part.
    pub fn charge(&mut self, part: CpuPart) {
        self.cpu.charge(part);
    }

    /// Moves this much of the steps' time to the rules.
    pub fn charge_rules(&mut self, spent: Duration) {
        self.cpu.shift(CpuPart::Steps, CpuPart::Rules, spent);
    }

    /// Reports what a task did in a committed epoch, with the rules that it had at its end.
    pub fn committed(&mut self, task: Partition, wiring: &Wiring, tally: &Tally) {
        let rules = rules(&mut self.rules, &self.metrics, wiring);
        let metrics = self.tasks.entry(task).or_insert_with(|| self.metrics.task(task));
        let add = |to: &[prometheus_client::metrics::counter::Counter], from: &[u64]| {
            for (counter, by) in to.iter().zip(from) {
                counter.inc_by(*by);
            }
        };
        add(&metrics.inputs.events_in, &tally.records);
        add(&metrics.inputs.late, &tally.late);
        add(&metrics.inputs.foreign_keys, &tally.foreign);
        if !self.warned && tally.foreign.iter().any(|count| *count > 0) {
            self.warned = true;
            tracing::warn!(
                task = task.0,
                "keys that Kafka's default partitioner (murmur2) would place in another partition: are all inputs written with the same partitioner? See pelton_foreign_keys"
            );
        }
        add(&metrics.events_out, &tally.outputs);
        add(&metrics.dead_letters, &tally.dead_letters);
        add(&rules.counters, &tally.counts);
        metrics.calls.cuts.inc_by(tally.cuts);
        metrics.calls.traps.inc_by(tally.traps);
        metrics.calls.faults.inc_by(tally.faults);
        let calls = &tally.calls;
        if calls.count > 0 {
            let count = calls.count as f64;
            self.worker.batch_inputs.observe(calls.inputs as f64 / count);
            self.worker.guest_seconds.observe(calls.nanos as f64 / count / 1e9);
        }
    }

    /// Reports a committed epoch, and how long its commit took.
    pub fn epoch_committed(&self, took: Duration) {
        self.worker.committed.inc();
        self.worker.commit_seconds.observe(took.as_secs_f64());
    }

    /// Notes whether a deploy holds back work of this task.
    pub fn held(&mut self, task: Partition, held: bool, now: Now) {
        if held {
            self.held.entry(task).or_insert(now.mono);
        } else if let Some(since) = self.held.remove(&task) {
            self.worker
                .held_seconds
                .observe(now.mono.saturating_sub(since).as_secs_f64());
        }
    }

    /// Notes that a task had its turn.
    pub fn had_turn(&mut self, task: Partition, turn: TaskTurn, now: Now) {
        let TaskTurn { ran, left } = turn;
        if ran && let Some(since) = self.left.remove(&task) {
            self.worker
                .pause_seconds
                .observe(now.mono.saturating_sub(since).as_secs_f64());
        }
        if left {
            self.left.entry(task).or_insert(now.mono);
        } else if !ran {
            // The work that was left is gone. Another task or epoch will do it.
            self.left.remove(&task);
        }
    }

    /// Reports that a version was instantiated.
    pub fn instantiated(&self, took: Duration) {
        self.worker.sandbox_seconds.observe(took.as_secs_f64());
    }

    /// Reports an aborted epoch.
    pub fn aborted(&self) {
        self.worker.aborted.inc();
    }

    /// Reports for how long no epoch could be committed.
    pub fn uncommitted(&self, uncommitted: Option<Uncommitted>) {
        let seconds = uncommitted.map_or(0, |uncommitted| (self.now.wall - uncommitted.since) / 1000);
        self.worker.uncommitted_seconds.set(seconds);
    }

    /// Reports a commit whose outcome nobody knows.
    pub fn ambiguous(&self) {
        self.worker.ambiguous.inc();
    }

    /// Reports whether a task's state can't be stored, because a flush failed and the store was not wiped since.
    pub fn unstored(&mut self, task: Partition, unstored: bool) {
        let metrics = self.tasks.entry(task).or_insert_with(|| self.metrics.task(task));
        metrics.state.unstored.set(i64::from(unstored));
    }

    /// Reports how many deploys are withdrawn.
    pub fn withdrawn(&self, deploys: usize) {
        self.worker.withdrawn.set(deploys as i64);
    }

    /// Sets the gauges when it is time. `is_stopped` says whether tasks take no steps with a deploy.
    pub fn look(&mut self, now: Now, tasks: &mut BTreeMap<Partition, Task>, is_stopped: impl Fn(Number) -> bool) {
        if now.mono < self.look_at {
            return;
        }
        for (counter, time) in self.worker.cpu.iter().zip(self.cpu.take()) {
            counter.inc_by(time.as_secs_f64());
        }
        self.look_at = now.mono + LOOK_EVERY;
        for task in tasks.values_mut() {
            let metrics = self.look_at_task(now, task);
            metrics.calls.stopped.set(is_stopped(task.deployed()).into());
        }
    }

    fn look_at_task(&mut self, now: Now, task: &mut Task) -> &TaskMetrics {
        let status = task.status();
        let partition = status.partition;
        let metrics = self
            .tasks
            .entry(partition)
            .or_insert_with(|| self.metrics.task(partition));
        metrics.watermark(status.watermark, now.wall);
        metrics.state.rows.set(status.state.rows as i64);
        metrics.state.bytes.set(status.state.bytes as i64);
        metrics.state.log_bytes.set(status.state.log_bytes as i64);
        metrics.state.restored_ratio.set(1.0);
        metrics.timers.set(status.state.timers as i64);
        metrics.lookups_pending.set(status.state.lookups as i64);
        for (gauge, bytes) in metrics.inputs.buffered_bytes.iter().zip(&status.buffered) {
            gauge.set(*bytes as i64);
        }
        for (gauge, bytes) in metrics.inputs.spilled_bytes.iter().zip(&status.spilled) {
            gauge.set(*bytes as i64);
        }
        for (gauge, position) in metrics.inputs.position.iter().zip(&status.positions) {
            gauge.set(position.0);
        }
        let rules = rules(&mut self.rules, &self.metrics, task.wiring());
        for (counter, misses) in rules.misses.iter().zip(task.take_misses()) {
            counter.inc_by(misses);
        }
        self.metrics
            .version(partition, &Version(status.rules.version).to_string());
        metrics
    }

    /// The task is closed. Its gauges are set for the last time.
    pub fn closed(&mut self, task: &mut Task) {
        self.look_at_task(self.now, task);
        self.tasks.remove(&task.partition());
        self.metrics.close_task(task.partition());
    }
}

/// The handles of a version, created when it is first seen. The series that they write to outlive them.
fn rules<'a>(known: &'a mut BTreeMap<Version, RulesMetrics>, metrics: &Metrics, wiring: &Wiring) -> &'a RulesMetrics {
    if known.len() > VERSIONS && !known.contains_key(&wiring.rules.version()) {
        known.clear();
    }
    known.entry(wiring.rules.version()).or_insert_with(|| {
        let description = wiring.rules.description();
        let stores: Vec<String> = description.stores.iter().map(|store| store.name.clone()).collect();
        metrics.rules(&stores, &description.counters)
    })
}
