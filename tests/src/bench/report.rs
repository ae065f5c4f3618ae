//! Prints the results of a run.

use super::cpu::Thread;
use super::prometheus::{quantile, sum};
use super::run::Report;
use pelton_demo::show::grouped;
use std::time::Duration;

/// The most CPU that an event may cost, in microseconds: the sum of the parts below.
const PROMISED: f64 = 3.0;

/// The threads, by their part of the budget. Their planned share is in brackets.
const PARTS: [(&str, &str); 7] = [
    ("worker", "see below"),
    (
        "brokers",
        "librdkafka's threads that fetch and produce [most of 0.47 + 0.78, 0.15 of lz4]",
    ),
    ("clients", "librdkafka's other threads: metadata, the group, retries"),
    (
        "commit",
        "hands records to librdkafka, drains deliveries, commits [0.05, and a part of produce's 0.78]",
    ),
    ("flush", "RocksDB"),
    ("shadow", "the rules that run beside"),
    ("other", "supervisor, lookups"),
];

/// The parts of a worker, as its metric names them. Their planned share is in brackets.
const WORKER: [(&str, &str); 6] = [
    (
        "poll",
        "takes fetched records over [fetch: 0.47 with librdkafka's part]",
    ),
    ("arrive", "event time and order [0.14]"),
    (
        "rules",
        "the guest, the boundary, its reads of state [0.55, and a part of state's 0.50]",
    ),
    (
        "steps",
        "plans, checks, applies: rows and outputs [the rest of state's 0.50]",
    ),
    ("commit", "deltas, sweep, sealing, committing [0.15]"),
    ("other", "flushes, metrics"),
];

/// Prints a run.
pub fn print(report: &Report) {
    let money = report.written.made.money;
    let each = |time: Duration| time.as_secs_f64() * 1e6 / money as f64;
    let text = &report.metrics;
    println!("{}", report.totals);
    println!();
    println!(
        "money events     {:>12}   ({} records, {} MB)",
        grouped(money),
        grouped(report.written.made.records()),
        report.written.bytes / 1_000_000
    );
    println!(
        "wall             {:>12.2} s from the start to the last committed output ({:.2} s to the first); load {:.1}",
        report.wall.as_secs_f64(),
        report.first.as_secs_f64(),
        report.load
    );
    println!(
        "throughput       {:>12} money/s",
        grouped((money as f64 / report.wall.as_secs_f64()) as u64)
    );
    println!(
        "CPU of Pelton    {:>12.2} us a money event (promised: {PROMISED})",
        each(report.cpu)
    );
    if let Some(broker) = report.broker {
        println!("CPU of the broker{:>12.2} us a money event", each(broker));
    }
    println!("peak memory      {:>12} MiB", report.peak >> 20);
    let epochs = |how: &str| sum(text, "pelton_epochs_total", &[&format!("outcome=\"{how}\"")]);
    let commits = sum(text, "pelton_commit_seconds_count", &[]).max(1.0);
    println!(
        "epochs           {:>12} committed, {} aborted, {} ambiguous; a commit {:.1} ms on average",
        epochs("committed"),
        epochs("aborted"),
        epochs("ambiguous"),
        sum(text, "pelton_commit_seconds_sum", &[]) * 1e3 / commits
    );
    let cut = sum(text, "pelton_batches_cut_total", &[]);
    let state = sum(text, "pelton_state_bytes", &[]);
    println!(
        "state            {:>12} rows, {:.1} MB; changelog {:.1} MB; {cut} batches cut",
        sum(text, "pelton_state_rows", &[]),
        state / 1e6,
        sum(text, "pelton_changelog_bytes", &[]) / 1e6
    );
    if report.swaps != (0, 0) {
        let (committed, refused) = report.swaps;
        println!("swaps            {committed:>12} committed, {refused} refused");
    }
    if let Some(shadow) = &report.shadow {
        println!(
            "shadow           {:>12} steps compared, {} differ; {}",
            shadow.total.steps,
            shadow.total.differ(),
            shadow.over.as_deref().unwrap_or("it goes on")
        );
        for (task, report) in &shadow.tasks {
            println!(
                "  task {task}: {:?} {}",
                report.standing,
                report.why.as_deref().unwrap_or("")
            );
        }
    }
    println!();
    println!("us a money event, by thread:");
    let parts = parts(report);
    for ((part, what), cpu) in PARTS.iter().zip(&parts) {
        if !cpu.is_zero() {
            println!("  {part:<10}{:>8.3}   {what}", each(*cpu));
        }
    }
    println!("  {:<10}{:>8.3}", "sum", each(parts.iter().sum()));
    println!("  of the worker:");
    for (part, what) in WORKER {
        let cpu = sum(text, "pelton_worker_cpu_seconds_total", &[&format!("part=\"{part}\"")]);
        println!("    {part:<8}{:>8.3}   {what}", cpu * 1e6 / money as f64);
    }
}

/// Compares runs without and with swaps: how long a task with work took no step, and how much of that is due to swaps.
pub fn compare(runs: &[(String, Report)]) {
    println!("How long a task with work took no step; all figures of time are bounds that are not exceeded:");
    println!();
    println!(
        "{:<14}{:>11}{:>8}{:>9} |{:>10}{:>10}{:>10}{:>10} |{:>7}{:>10} |{:>11}{:>10}",
        "swaps",
        "money/s",
        "done",
        "refused",
        "half",
        "99 %",
        "99.9 %",
        "longest",
        "holds",
        "longest",
        "instances",
        "longest"
    );
    for (name, report) in runs {
        let rate = report.written.made.money as f64 / report.wall.as_secs_f64();
        let (committed, refused) = report.swaps;
        let text = &report.metrics;
        let pause = |part| millis(quantile(text, "pelton_pause_seconds", part));
        let count = |name: &str| sum(text, &format!("{name}_count"), &[]);
        println!(
            "{name:<14}{:>11}{committed:>8}{refused:>9} |{:>10}{:>10}{:>10}{:>10} |{:>7}{:>10} |{:>11}{:>10}",
            grouped(rate as u64),
            pause(0.5),
            pause(0.99),
            pause(0.999),
            pause(1.0),
            count("pelton_held_seconds"),
            millis(quantile(text, "pelton_held_seconds", 1.0)),
            count("pelton_sandbox_seconds"),
            millis(quantile(text, "pelton_sandbox_seconds", 1.0)),
        );
    }
    println!();
    println!("holds: a task came to its bound before the deploy was decided; instances: of a version, one a worker.");
}

fn millis(seconds: f64) -> String {
    match seconds {
        0.0 => "-".to_owned(),
        seconds if seconds.is_finite() => format!("{:.1} ms", seconds * 1e3),
        _ => "> 20 s".to_owned(),
    }
}

/// CPU time of the parts, in their order.
fn parts(report: &Report) -> Vec<Duration> {
    let part = |name: &str| match name {
        name if name.starts_with("worker-") => "worker",
        name if name.starts_with("rdk:broker") => "brokers",
        name if name.starts_with("rdk:") => "clients",
        name if name.starts_with("commit-") => "commit",
        name if name.starts_with("shadow") => "shadow",
        name if name == "store" || name.starts_with("rocksdb") => "flush",
        _ => "other",
    };
    let mut sums = vec![Duration::ZERO; PARTS.len()];
    for Thread { name, cpu } in report.threads.values() {
        if let Some(index) = PARTS.iter().position(|(known, _)| *known == part(name)) {
            sums[index] += *cpu;
        }
    }
    if let Some(other) = sums.last_mut() {
        *other += report.others;
    }
    sums
}
