//! All metrics. Each has its name, unit and help text here and nowhere else.
//!
//! Rule: nothing here runs for each record. A task or worker gets its handles ([`TaskMetrics`], [`WorkerMetrics`], ...)
//! once, when it starts. It counts in plain integers, and updates the handles once for each batch or epoch.

mod handles;
#[cfg(test)]
mod tests;

pub use handles::{
    CallMetrics, CpuPart, DeadLetterReason, FloatCounter, FloatGauge, InputMetrics, LookupMetrics, RulesMetrics,
    StateMetrics, TaskMetrics, WorkerMetrics, cpu_time,
};

use crate::config::Config;
use crate::record::Partition;
use handles::{Label, Labels, Series, each};
use parking_lot::Mutex;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;

/// The metrics of one instance.
pub struct Metrics {
    registry: Registry,
    streams: Vec<String>,
    outputs: Vec<String>,
    lookups: Vec<String>,
    series: Families,
    /// Each task's series of `rules_info`, whose label is the only one that changes while a task runs.
    versions: Mutex<BTreeMap<Partition, Labels>>,
}

/// Declares metrics: for each, the field, the Rust type of its series, its unit, its name and its help text.
macro_rules! families {
    ($($field:ident: $kind:ty = $make:expr, $unit:expr, $name:literal, $help:literal;)*) => {
        /// One field for each metric.
        struct Families { $($field: Series<$kind>,)* }

        impl Families {
            fn new(registry: &mut Registry) -> Self {
                Families { $($field: {
                    let make: fn() -> $kind = $make;
                    let series: Series<$kind> = Series::new_with_constructor(make);
                    match $unit {
                        Some(unit) => registry.register_with_unit($name, $help, unit, series.clone()),
                        None => registry.register($name, $help, series.clone()),
                    }
                    series
                },)* }
            }

            /// Removes every series of a task.
            fn remove(&self, labels: &dyn Fn(&str) -> Vec<Labels>) {
                $(for labels in labels($name) { self.$field.remove(&labels); })*
            }
        }

        #[cfg(test)]
        const ALL: &[(&str, &str)] = &[$(($name, $help),)*];
    };
}

const NONE: Option<Unit> = None;

fn seconds() -> Option<Unit> {
    Some(Unit::Seconds)
}

fn bytes() -> Option<Unit> {
    Some(Unit::Bytes)
}

/// Buckets from 0.1 ms to 20 s, in steps of 1, 2, 5. A normal commit takes 4-8 ms, and one with problems takes seconds.
fn long_times() -> Histogram {
    let decades = [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0];
    let bounds = decades.into_iter().flat_map(|from| [from, 2.0 * from, 5.0 * from]);
    Histogram::new(bounds.filter(|bound| *bound < 50.0))
}

/// Buckets from 1 us to 1 s, in factors of four. A batch of 256 takes about 100 us.
fn short_times() -> Histogram {
    Histogram::new(exponential_buckets(1e-6, 4.0, 11))
}

/// Buckets from 1 to 65,536 inputs, in factors of four.
fn batch_sizes() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 4.0, 9))
}

families! {
    // by task and stream
    events_in: Counter = Counter::default, NONE, "events_in", "Records processed, by stream";
    late: Counter = Counter::default, NONE, "events_late", "Records that arrived after the watermark of their partition had passed them, by stream";
    foreign_keys: Counter = Counter::default, NONE, "foreign_keys",
        "Records whose key murmur2 would place in another partition. Does the producer use another partitioner?";
    buffered: Gauge = Gauge::default, bytes(), "buffered", "Fetched records that wait for the watermark, in memory or spilled, by stream";
    spilled: Gauge = Gauge::default, bytes(), "spilled",
        "The part of the buffered records that is in a scratch file instead of memory, by stream";
    position: Gauge = Gauge::default, NONE, "position", "Committed offset: the first record that is not processed yet, by stream";
    // by task and output
    events_out: Counter = Counter::default, NONE, "events_out", "Records written, by output";
    // by task
    watermark: FloatGauge = FloatGauge::default, seconds(), "watermark", "Event time that the task has reached, since 1970";
    event_time_lag: FloatGauge = FloatGauge::default, seconds(), "event_time_lag", "Wall clock minus watermark";
    dead_letters: Counter = Counter::default, NONE, "dead_letters", "Inputs sent to the dead letters, by reason";
    cuts: Counter = Counter::default, NONE, "batches_cut", "Batches that were cut to keep the order of steps; the rest was processed again";
    traps: Counter = Counter::default, NONE, "traps", "Calls of the rules that trapped";
    rules_faults: Counter = Counter::default, NONE, "rules_faults",
        "Inputs that became dead letters because the rules trapped or returned effects that can't be applied";
    rules_stopped: Gauge = Gauge::default, NONE, "rules_stopped",
        "1 while the task takes no steps because its rules exceeded a budget";
    state_rows: Gauge = Gauge::default, NONE, "state_rows", "Keys with state";
    state_bytes: Gauge = Gauge::default, bytes(), "state", "Size of the state in memory";
    log_bytes: Gauge = Gauge::default, bytes(), "changelog",
        "Changelog that a restore would read: about two rounds of the sweep, at most about six times the state";
    timers: Gauge = Gauge::default, NONE, "timers_pending", "Timers that are set and not due yet";
    lookups_pending: Gauge = Gauge::default, NONE, "lookups_pending", "Lookups without a reply";
    restored: FloatGauge = FloatGauge::default, NONE, "restored_ratio", "Share of the changelog that is restored; 1 once the task runs";
    unstored: Gauge = Gauge::default, NONE, "unstored",
        "1 while the local disk can't store the task's state. Nothing is lost, but a restart reads the whole changelog";
    rules_info: Gauge = Gauge::default, NONE, "rules_info", "Always 1; the label is the version of the rules that the task runs";
    // by worker
    epochs: Counter = Counter::default, NONE, "epochs", "Epochs by outcome. Ambiguous: the broker did not say how the commit ended";
    commit_seconds: Histogram = long_times, seconds(), "commit", "Time from the end of an epoch to its commit";
    held_seconds: Histogram = long_times, seconds(), "held", "Time that a task with work stood still until a deploy was decided";
    pause_seconds: Histogram = long_times, seconds(), "pause",
        "Time that a task with work waited for its next turn: other tasks' turns, commits, holds for a deploy";
    sandbox_seconds: Histogram = long_times, seconds(), "sandbox", "Time to instantiate a version of the rules on a worker";
    batch_size: Histogram = batch_sizes, NONE, "batch_inputs", "Inputs in one call of the rules";
    guest_seconds: Histogram = short_times, seconds(), "guest", "Duration of one call of the rules";
    worker_cpu: FloatCounter = FloatCounter::default, seconds(), "worker_cpu",
        "CPU time of a worker's thread, by part of its work";
    uncommitted: Gauge = Gauge::default, seconds(), "uncommitted",
        "How long no epoch of the worker could be committed; 0 if the last one was";
    withdrawn: Gauge = Gauge::default, NONE, "deploys_withdrawn",
        "Deploys that were withdrawn automatically because they exceeded a budget";
    // by name
    misses: Counter = Counter::default, NONE, "state_misses",
        "Reads of state that `reads` did not announce, by store. Each costs one more call";
    rule_counts: Counter = Counter::default, NONE, "rules_count", "The rules' own counters, by name";
    lookup_calls: Counter = Counter::default, NONE, "lookup_calls", "Finished lookups, by service and result";
    lookup_tries: Counter = Counter::default, NONE, "lookup_tries", "HTTP calls of lookups, retries included, by service";
    lookup_seconds: Histogram = long_times, seconds(), "lookup", "Time from a question to its answer, retries included, by service";
    lookup_waiting: Gauge = Gauge::default, NONE, "lookup_waiting", "Questions that are not answered yet, by service";
    lookup_breaker: Gauge = Gauge::default, NONE, "lookup_breaker_open", "1 while the circuit breaker is open and the service is not called, by service";
    build_info: Gauge = Gauge::default, NONE, "build_info", "Always 1; the label is the version of Pelton";
}

impl Metrics {
    /// Metrics for a pipeline with these streams, outputs and lookups, by rank or index.
    pub fn new(streams: Vec<String>, outputs: Vec<String>, lookups: Vec<String>) -> Metrics {
        let mut registry = Registry::with_prefix("pelton");
        let series = Families::new(&mut registry);
        series
            .build_info
            .get_or_create(&vec![("version", Label::text(env!("CARGO_PKG_VERSION")))])
            .set(1);
        Metrics {
            registry,
            streams,
            outputs,
            lookups,
            series,
            versions: Mutex::default(),
        }
    }

    /// Metrics for the streams, outputs and lookups of a config.
    pub fn of(config: &Config) -> Metrics {
        Metrics::new(
            config.inputs.iter().map(|input| input.name.clone()).collect(),
            config.outputs.iter().map(|output| output.name.clone()).collect(),
            config.lookups.iter().map(|lookup| lookup.name.clone()).collect(),
        )
    }

    /// The handles of a task. Each call returns handles of the same series.
    pub fn task(&self, partition: Partition) -> TaskMetrics {
        let all = &self.series;
        let task = vec![partition_label(partition)];
        let by = |name: &'static str, values: &[String]| -> Vec<Labels> {
            values
                .iter()
                .map(|value| vec![partition_label(partition), (name, Label::text(value))])
                .collect()
        };
        let (streams, outputs) = (by("stream", &self.streams), by("output", &self.outputs));
        TaskMetrics {
            inputs: InputMetrics {
                events_in: each(&all.events_in, &streams),
                late: each(&all.late, &streams),
                foreign_keys: each(&all.foreign_keys, &streams),
                buffered_bytes: each(&all.buffered, &streams),
                spilled_bytes: each(&all.spilled, &streams),
                position: each(&all.position, &streams),
            },
            events_out: each(&all.events_out, &outputs),
            watermark_seconds: all.watermark.get_or_create_owned(&task),
            event_time_lag_seconds: all.event_time_lag.get_or_create_owned(&task),
            dead_letters: DeadLetterReason::ALL.map(|kind| {
                all.dead_letters
                    .get_or_create_owned(&dead_letter_labels(partition, kind))
            }),
            calls: CallMetrics {
                cuts: all.cuts.get_or_create_owned(&task),
                traps: all.traps.get_or_create_owned(&task),
                faults: all.rules_faults.get_or_create_owned(&task),
                stopped: all.rules_stopped.get_or_create_owned(&task),
            },
            state: StateMetrics {
                rows: all.state_rows.get_or_create_owned(&task),
                bytes: all.state_bytes.get_or_create_owned(&task),
                log_bytes: all.log_bytes.get_or_create_owned(&task),
                restored_ratio: all.restored.get_or_create_owned(&task),
                unstored: all.unstored.get_or_create_owned(&task),
            },
            timers: all.timers.get_or_create_owned(&task),
            lookups_pending: all.lookups_pending.get_or_create_owned(&task),
        }
    }

    /// Removes the series of a task that has moved to another instance. Otherwise its watermark would seem to be stuck.
    pub fn close_task(&self, partition: Partition) {
        let version = self.versions.lock().remove(&partition);
        if let Some(labels) = version {
            self.series.rules_info.remove(&labels);
        }
        self.series.remove(&|name| {
            let by = |label: &'static str, values: &[String]| -> Vec<Labels> {
                values
                    .iter()
                    .map(|value| vec![partition_label(partition), (label, Label::text(value))])
                    .collect()
            };
            match name {
                "events_in" | "events_late" | "foreign_keys" | "buffered" | "spilled" | "position" => {
                    by("stream", &self.streams)
                }
                "events_out" => by("output", &self.outputs),
                "dead_letters" => DeadLetterReason::ALL
                    .map(|kind| dead_letter_labels(partition, kind))
                    .into(),
                _ => vec![vec![partition_label(partition)]],
            }
        });
    }

    /// Sets the version of the rules that a task runs.
    pub fn version(&self, partition: Partition, version: &str) {
        let labels = vec![partition_label(partition), ("version", Label::text(version))];
        self.series.rules_info.get_or_create(&labels).set(1);
        let mut versions = self.versions.lock();
        if let Some(before) = versions
            .insert(partition, labels.clone())
            .filter(|before| *before != labels)
        {
            self.series.rules_info.remove(&before);
        }
    }

    /// The handles of a worker.
    pub fn worker(&self, number: usize) -> WorkerMetrics {
        let all = &self.series;
        let worker = ("worker", Label::Number(number as i64));
        let ended = |how| {
            all.epochs
                .get_or_create_owned(&vec![worker.clone(), ("outcome", Label::Word(how))])
        };
        let labels = vec![worker.clone()];
        WorkerMetrics {
            committed: ended("committed"),
            aborted: ended("aborted"),
            ambiguous: ended("ambiguous"),
            uncommitted_seconds: all.uncommitted.get_or_create_owned(&labels),
            withdrawn: all.withdrawn.get_or_create_owned(&vec![worker.clone()]),
            commit_seconds: all.commit_seconds.get_or_create_owned(&labels),
            held_seconds: all.held_seconds.get_or_create_owned(&labels),
            pause_seconds: all.pause_seconds.get_or_create_owned(&labels),
            sandbox_seconds: all.sandbox_seconds.get_or_create_owned(&labels),
            batch_inputs: all.batch_size.get_or_create_owned(&labels),
            guest_seconds: all.guest_seconds.get_or_create_owned(&labels),
            cpu: CpuPart::ALL.map(|part| {
                all.worker_cpu
                    .get_or_create_owned(&vec![worker.clone(), ("part", Label::Word(part.name()))])
            }),
        }
    }

    /// The handles of a version of the rules, by index in its description. All versions share the series of a name.
    pub fn rules(&self, stores: &[String], counters: &[String]) -> RulesMetrics {
        let by = |label: &'static str, names: &[String]| -> Vec<Labels> {
            names.iter().map(|name| vec![(label, Label::text(name))]).collect()
        };
        RulesMetrics {
            misses: each(&self.series.misses, &by("store", stores)),
            counters: each(&self.series.rule_counts, &by("name", counters)),
        }
    }

    /// The handles of a lookup, by its index in the config.
    ///
    /// # Panics
    /// If there is no such lookup.
    pub fn lookup(&self, index: usize) -> LookupMetrics {
        let all = &self.series;
        let service = ("service", Label::text(&self.lookups[index]));
        let ended = |how| {
            all.lookup_calls
                .get_or_create_owned(&vec![service.clone(), ("result", Label::Word(how))])
        };
        let labels = vec![service.clone()];
        LookupMetrics {
            answered: ended("answered"),
            absent: ended("absent"),
            unavailable: ended("unavailable"),
            tries: all.lookup_tries.get_or_create_owned(&labels),
            seconds: all.lookup_seconds.get_or_create_owned(&labels),
            waiting: all.lookup_waiting.get_or_create_owned(&labels),
            breaker_open: all.lookup_breaker.get_or_create_owned(&labels),
        }
    }

    /// All metrics as OpenMetrics text, which Prometheus can read.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a `String` can't fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn partition_label(partition: Partition) -> (&'static str, Label) {
    ("partition", Label::Number(i64::from(partition.0)))
}

fn dead_letter_labels(partition: Partition, kind: DeadLetterReason) -> Labels {
    vec![partition_label(partition), ("reason", Label::Word(kind.name()))]
}
