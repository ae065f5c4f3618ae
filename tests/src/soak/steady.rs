//! `make soak ARGS="--steady 600"`: a live stream at an ordinary rate. The memory of the process must stop growing.
//!
//! Rules:
//! - The clock paces the stream, so that the task looks at the watermark after every few records, as in production.
//! - Only a leak may grow: there are few users, the rules forget after a minute, and there is no local store with
//!   caches that fill up. The first two minutes are the warm-up.
//! - Then [`CROWD`] unreadable records arrive at one partition. They wait at its watermark, which nothing moves any
//!   more. They must not cost more than their own bytes.

use super::flat::{Sample, sample};
use super::instance::Instance;
use super::options::{PARTITIONS, Program};
use super::outputs::Outputs;
use super::pipeline::Pipeline;
use crate::rig::{Record, Rig};
use anyhow::{Context, Result, ensure};
use pelton_demo::session_service::{Behaviour, SessionService};
use pelton_demo::traffic::{Parameters, Traffic};
use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The time between two samples.
const EVERY: Duration = Duration::from_secs(5);

/// Samples before this are not compared.
const WARM_UP: Duration = Duration::from_secs(120);

/// How much memory may grow after the warm-up, in bytes.
const GROWTH: u64 = 5 << 20;

/// The number of records that wait at one watermark.
const CROWD: usize = 50_000;

/// How long these records are watched.
const WATCHED: Duration = Duration::from_secs(30);

/// The measurements.
#[derive(Debug, Default)]
pub struct Steadiness {
    rate: u64,
    /// By time since the start.
    live: Vec<(Duration, Sample)>,
    /// The samples while the records wait.
    crowd: Vec<(Duration, Sample)>,
    outputs: usize,
}

/// Streams `rate` money events a second for `seconds`, and compares. `say` receives messages about the progress.
pub fn steady(rate: u64, seconds: u64, pelton: &Program, rig: &Rig, say: fn(&str)) -> Result<Steadiness> {
    let service = SessionService::start(Behaviour::default())?;
    let pipeline = Pipeline::new(rig, pelton, &service.url())?.forgetful()?;
    let mut instance = pipeline.one()?;
    let pid = instance.pid().context("it runs")?;
    let mut seen = Steadiness {
        rate,
        ..Steadiness::default()
    };
    stream(&pipeline, rate, seconds, |at| {
        instance.lives()?;
        seen.live.push((at, sample(pid, 0)?));
        if at.as_secs() % 60 < EVERY.as_secs() {
            say(&format!("{} s: {} MiB", at.as_secs(), seen.memory() >> 20));
        }
        Ok(())
    })?;
    let mut outputs = Outputs::of(rig, &pipeline.output)?;
    // The out-of-orderness still holds back the last ones.
    seen.outputs = (rate * seconds.saturating_sub(30)) as usize;
    outputs.until(seen.outputs, || instance.lives())?;
    seen.crowd = crowd(&pipeline, &mut instance, pid)?;
    instance.stop()?;
    seen.check()?;
    Ok(seen)
}

/// Writes the traffic at the pace of the clock. Calls `look` every few seconds.
fn stream(pipeline: &Pipeline, rate: u64, seconds: u64, mut look: impl FnMut(Duration) -> Result<()>) -> Result<()> {
    let start = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i64;
    let mut traffic = Traffic::new(Parameters {
        money: rate * seconds,
        users: 400,
        partitions: PARTITIONS,
        start,
        span: 1000 * seconds as i64,
        duplicates: 0.0,
        closing: None,
        ..Parameters::default()
    });
    let writer = pipeline.rig.writer()?;
    let (begun, mut next) = (Instant::now(), Duration::ZERO);
    while let Some(item) = traffic.next() {
        let due = Duration::from_millis((item.timestamp - start).max(0) as u64);
        if let Some(ahead) = due.checked_sub(begun.elapsed()) {
            std::thread::sleep(ahead);
        }
        let record = Record::new(item.key, item.value)
            .at(item.partition.0)
            .time(item.timestamp);
        writer.put(&pipeline.inputs[item.stream as usize], &[record])?;
        if begun.elapsed() >= next {
            look(begun.elapsed())?;
            next = begun.elapsed() + EVERY;
        }
    }
    writer.settle()
}

fn crowd(pipeline: &Pipeline, instance: &mut Instance, pid: u32) -> Result<Vec<(Duration, Sample)>> {
    let writer = pipeline.rig.writer()?;
    let wallet = &pipeline.inputs[2];
    for _ in 0..CROWD / 100 {
        let records: Vec<Record> = (0..100).map(|_| Record::new(b"u1", b"not Avro").at(0)).collect();
        writer.put(wallet, &records)?;
    }
    writer.settle()?;
    let (begun, mut seen) = (Instant::now(), vec![]);
    while begun.elapsed() < WATCHED {
        std::thread::sleep(Duration::from_secs(1));
        instance.lives()?;
        seen.push((begun.elapsed(), sample(pid, 0)?));
    }
    Ok(seen)
}

impl Steadiness {
    fn memory(&self) -> u64 {
        self.live.last().map_or(0, |(_, sample)| sample.memory)
    }

    /// The smallest memory in the minute after the warm-up, and in the last minute. Allocators only ever add to it.
    fn ends(&self) -> (u64, u64) {
        let least = |from: Duration, to: Duration| {
            let within = |(at, _): &&(Duration, Sample)| (from..=to).contains(at);
            let within = self.live.iter().filter(within);
            within.map(|(_, sample)| sample.memory).min().unwrap_or_default()
        };
        let minute = Duration::from_secs(60);
        let end = self.live.last().map_or(Duration::ZERO, |(at, _)| *at);
        (least(WARM_UP, WARM_UP + minute), least(end.saturating_sub(minute), end))
    }

    /// How much memory grew while the records waited. In the first third of the time they arrive.
    fn crowd_growth(&self) -> u64 {
        let settled = self
            .crowd
            .get(self.crowd.len() / 3)
            .map_or(0, |(_, sample)| sample.memory);
        let most = self.crowd.iter().skip(self.crowd.len() / 3);
        let most = most.map(|(_, sample)| sample.memory).max().unwrap_or_default();
        most.saturating_sub(settled)
    }

    fn check(&self) -> Result<()> {
        let (before, after) = self.ends();
        ensure!(before > 0, "a run of {WARM_UP:?} and less compares nothing");
        ensure!(after < before + GROWTH, "memory grows in a live stream:\n{self}");
        ensure!(
            self.crowd_growth() < GROWTH,
            "memory grows while records wait at the watermark:\n{self}"
        );
        Ok(())
    }
}

impl fmt::Display for Steadiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Steadiness { rate, outputs, .. } = self;
        writeln!(f, "{rate} money events a second; {outputs} outputs and more")?;
        writeln!(f, "  second  memory KiB")?;
        for (at, sample) in self.live.iter().step_by((self.live.len() / 20).max(1)) {
            writeln!(f, "{:8}  {:10}", at.as_secs(), sample.memory / 1024)?;
        }
        let (before, after) = self.ends();
        writeln!(
            f,
            "from minute {} to the last one: memory {:+} KiB",
            WARM_UP.as_secs() / 60,
            (after as i64 - before as i64) / 1024
        )?;
        write!(
            f,
            "while {CROWD} records wait at the watermark: memory {:+} KiB",
            self.crowd_growth() / 1024
        )
    }
}
