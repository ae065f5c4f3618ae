//! The running demo: it appends the traffic, shows what happens, and prints a summary at the end.
//!
//! Rule: it may run for days, so the log keeps only unprocessed inputs, and the last megabytes of the other topics.

use crate::args::{Args, PARTITIONS};
use crate::show::{Progress, Screen, Totals, grouped, readable};
use crate::traffic::{Format, Parameters, Stream, Traffic};
use anyhow::bail;
use pelton::config::Config;
use pelton::deploy::view::DeployView;
use pelton::instance::RunningInstance;
use pelton::log::embedded::{Embedded, NewRecord};
use pelton::metrics::{Metrics, TaskMetrics};
use pelton::record::{NEVER, Partition};
use pelton::registry::Schemas;
use pelton::rules::{Description, Version};
use pelton_convert::JsonWriter;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The counters of the money rules that the summary needs.
const MONEY_COUNTERS: [&str; 4] = ["duplicates", "ignored", "sessions", "user_changes"];

/// How often an enriched event is shown.
const SHOW_EVERY: Duration = Duration::from_secs(3);

/// The traffic pauses while this many records wait in the log, so that a slow machine makes the demo slower instead of
/// larger.
const BEHIND_MAX: u64 = 500_000;

/// How often processed records are removed from the log.
const FORGET_EVERY: Duration = Duration::from_secs(1);

/// A year, longer than anybody watches.
const ENDLESS: u64 = 365 * 86_400;

/// A demo that runs.
pub(crate) struct Demo {
    /// The streams that the pipeline reads.
    pub traffic: Vec<Stream>,
    /// How many of their records were appended.
    pub appended: Cell<u64>,
    pub schemas: Arc<dyn Schemas>,
    pub description: Description,
    pub metrics: Arc<Metrics>,
    pub tasks: Vec<TaskMetrics>,
    pub cluster: Embedded,
    pub running: RunningInstance,
    pub board: Arc<DeployView>,
    /// `None` if another program has started the demo, which then shows nothing.
    pub screen: Option<Screen>,
    pub config: Arc<Config>,
}

impl Demo {
    /// Runs until the time is over, or until the program that started it is gone.
    pub fn run(self, args: &Args) -> anyhow::Result<()> {
        let gone = Arc::new(AtomicBool::new(false));
        if args.attached {
            let gone = gone.clone();
            std::thread::spawn(move || {
                // It ends, in whatever way, when nobody holds the other end any more.
                let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
                gone.store(true, Ordering::Release);
            });
        }
        let rate = args.rate();
        let seconds = if args.attached { ENDLESS } else { args.seconds };
        let mut traffic = Traffic::new(Parameters {
            seed: args.seed,
            format: Format::Avro,
            money: rate * seconds,
            users: args.users,
            partitions: PARTITIONS,
            start: now(),
            span: (seconds * 1000) as i64,
            disorder: 2_000,
            session_delay: 5_000,
            closing: None,
            ..Parameters::varied()
        });
        let begun = Instant::now();
        let (mut shown, mut looked, mut forgot) = (begun, (begun, 0), begun);
        let mut per_second = 0.0;
        let over = || begun.elapsed() >= Duration::from_secs(seconds) || gone.load(Ordering::Acquire);
        while !over() && !self.running.has_ended() {
            let behind = self.appended.get().saturating_sub(self.processed());
            if behind < BEHIND_MAX {
                self.append(&mut traffic)?;
            }
            if looked.0.elapsed() >= Duration::from_millis(250) {
                let processed = self.processed();
                let rate = (processed - looked.1) as f64 / looked.0.elapsed().as_secs_f64();
                per_second = if per_second == 0.0 {
                    rate
                } else {
                    0.7 * per_second + 0.3 * rate
                };
                looked = (Instant::now(), processed);
                if let Some(screen) = &self.screen {
                    screen.progress(&self.progress(processed, per_second));
                }
            }
            if shown.elapsed() >= SHOW_EVERY {
                shown = Instant::now();
                self.screen.iter().for_each(|screen| self.show(screen));
            }
            if forgot.elapsed() >= FORGET_EVERY {
                forgot = Instant::now();
                self.forget()?;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let seconds = begun.elapsed().as_secs_f64();
        self.end(seconds)
    }

    /// Removes processed records from the inputs.
    fn forget(&self) -> anyhow::Result<()> {
        for ((topic, partition), offset) in self.cluster.group_offsets(&self.config.name) {
            self.cluster.truncate(&topic, partition, offset)?;
        }
        Ok(())
    }

    /// Appends all records that are due.
    fn append(&self, traffic: &mut Traffic) -> anyhow::Result<()> {
        let now = now();
        self.cluster.appending(|log| {
            while let Some(item) = traffic.due(now) {
                if !self.traffic.contains(&item.stream) {
                    continue;
                }
                let record = NewRecord {
                    key: Some(item.key),
                    value: Some(item.value),
                    timestamp: item.timestamp,
                    headers: &[],
                };
                log.append(item.stream.topic(), item.partition, record)?;
                self.appended.set(self.appended.get() + 1);
            }
            anyhow::Ok(())
        })
    }

    fn processed(&self) -> u64 {
        self.tasks
            .iter()
            .flat_map(|task| &task.inputs.events_in)
            .map(|counter| counter.get())
            .sum()
    }

    fn progress(&self, read: u64, per_second: f64) -> Progress {
        let watermark = self.running.statuses().iter().map(|status| status.watermark).min();
        let watermark = watermark.filter(|watermark| *watermark != NEVER);
        Progress {
            read,
            per_second,
            watermark,
            lag: watermark.map_or(0, |watermark| now() - watermark),
            rules: self
                .board
                .version()
                .map_or_else(String::new, |version| Version(version).to_string()),
        }
    }

    /// Shows the newest record of the first output.
    fn show(&self, screen: &Screen) {
        let Some(output) = self.config.outputs.first() else {
            return;
        };
        let partition = Partition((now() / 1000 % i64::from(PARTITIONS)) as i32);
        let Ok(Some(newest)) = self.cluster.last(&output.topic, partition) else {
            return;
        };
        let value = newest.value.as_deref().unwrap_or_default();
        let text = match self.is_money() {
            true => readable(value),
            false => as_json(self.schemas.as_ref(), value).map(|json| format!("{}: {json}", output.name)),
        };
        text.iter().for_each(|text| screen.line(text));
    }

    /// Whether these are the money rules, or others with the same counters.
    fn is_money(&self) -> bool {
        MONEY_COUNTERS
            .iter()
            .all(|name| self.description.counters.iter().any(|known| known == name))
    }

    fn end(self, seconds: f64) -> anyhow::Result<()> {
        // The stop commits the open epochs, so the numbers are complete.
        let is_money = self.is_money();
        let ended = self.running.stop();
        let Some(screen) = self.screen else {
            return Ok(ended?);
        };
        screen.end();
        ended?;
        let sum = |of: &dyn Fn(&TaskMetrics) -> u64| self.tasks.iter().map(of).sum::<u64>();
        let count = |name: &str| self.metrics.rules(&[], &[name.to_owned()]).counters[0].get();
        let processed: u64 = sum(&|task| task.inputs.events_in.iter().map(|counter| counter.get()).sum());
        let gauge = |of: &dyn Fn(&TaskMetrics) -> i64| self.tasks.iter().map(of).sum::<i64>().max(0) as u64;
        let read = self.appended.get();
        let sent = sum(&|task| task.events_out.iter().map(|counter| counter.get()).sum());
        let dead_letters = sum(&|task| task.dead_letters.iter().map(|counter| counter.get()).sum());
        let (timers, asked) = (
            gauge(&|task| task.timers.get()),
            gauge(&|task| task.lookups_pending.get()),
        );
        let rate = grouped((processed as f64 / seconds) as u64);
        if !is_money {
            // The counters of other rules don't add up to the number of records read.
            let mut lines = vec![("read", read), ("waiting", read - processed), ("sent", sent)];
            lines.extend([("dead letters", dead_letters), ("timers", timers), ("asked", asked)]);
            let counters = self.description.counters.iter();
            lines.extend(counters.map(|name| (name.as_str(), count(name))));
            for (name, count) in lines {
                println!("  {name:<14}{:>14}", grouped(count));
            }
            println!("{rate} events a second, for {seconds:.1} s");
            return Ok(());
        }
        let [duplicates, ignored, sessions, user_changes] = MONEY_COUNTERS.map(count);
        let totals = Totals {
            read,
            enriched: sent,
            duplicates,
            ignored,
            sessions,
            user_changes,
            pending: timers,
            asked,
            dead_letters,
            waiting: read - processed,
        };
        println!("{totals}");
        println!("{rate} events a second, for {seconds:.1} s");
        if !totals.adds_up() {
            bail!("the totals don't add up: that is a bug");
        }
        Ok(())
    }
}

/// An Avro record as JSON.
fn as_json(schemas: &dyn Schemas, value: &[u8]) -> Option<String> {
    let (head, datum) = value.split_at_checked(5)?;
    let id = u32::from_be_bytes(head[1..].try_into().ok()?);
    let mut json = vec![];
    let writer = JsonWriter::new(&schemas.by_id(id).ok()?).ok()?;
    writer.convert(datum, &mut json).ok()?;
    String::from_utf8(json).ok()
}

/// Milliseconds since 1970.
fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64)
}
