//! `make soak-flat`: swaps the rules many times on a running process. Its memory, threads and file descriptors must not
//! grow.
//!
//! Rules:
//! - Every swap is committed. After each one an event is processed, so that a task has taken it over.
//! - A deploy leaves only its line in the history (what was deployed, from when on, and by whom): see [`LINE`]. The
//!   first half of the run is the warm-up. Of the second half, the first third is compared with the last one. The
//!   smallest value of each is used, because allocators and compilations only ever add to it.

use super::options::{PARTITIONS, Program};
use super::outputs::Outputs;
use super::pipeline::Pipeline;
use super::swapping::Swapping;
use crate::rig::{Record, Rig};
use anyhow::{Context, Result, ensure};
use pelton::deploy::api::DeployRequest;
use pelton_demo::session_service::{Behaviour, SessionService};
use pelton_demo::traffic::{Parameters, Traffic};
use serde_json::json;
use std::fmt;
use std::time::{Duration, Instant};

/// What a deploy may leave behind, in bytes. This is about 0.6 KB in the history and 0.1 KB in the list that tasks get.
/// In addition, the events of a swap leave something in the state, in the store's buffers and in the allocator's pages.
/// (3.8 KiB were measured in total.)
const LINE: u64 = 8192;

/// How much memory may grow in addition: an arena of the allocator.
const NOISE: u64 = 2 << 20;

/// How many swaps there are between two samples.
const EVERY: usize = 5;

/// The number of money events for each swap.
const MONEY: u64 = 4;

/// What the kernel reports about a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// The number of swaps so far.
    pub swaps: usize,
    /// The private resident memory, in bytes.
    pub memory: u64,
    pub threads: u64,
    pub descriptors: u64,
}

/// The measurements.
#[derive(Clone, Debug, Default)]
pub struct Flatness {
    pub samples: Vec<Sample>,
    /// The median duration of a swap in the first and in the last tenth.
    pub swap: (Duration, Duration),
    /// How long it took to read the control topic at the end, and its records and bytes.
    pub read: Duration,
    pub control: (usize, usize),
}

/// Swaps the rules this many times, and compares. `say` receives messages about the progress.
pub fn flat(swaps: usize, pelton: &Program, rig: &Rig, say: fn(&str)) -> Result<Flatness> {
    let service = SessionService::start(Behaviour::default())?;
    let pipeline = Pipeline::new(rig, pelton, &service.url())?;
    let mut instance = pipeline.one()?;
    let pid = instance.pid().context("it runs")?;
    let swapping = Swapping::new(&pipeline, 1)?;
    let writer = rig.writer()?;
    let mut outputs = Outputs::of(rig, &pipeline.output)?;
    let mut traffic = Traffic::new(Parameters {
        money: MONEY * swaps as u64,
        users: 40,
        partitions: PARTITIONS,
        span: 1_000 * swaps as i64,
        without_session: 1.0,
        duplicates: 0.0,
        ..Parameters::default()
    });
    let (mut seen, mut times) = (Flatness::default(), vec![]);
    for swap in 1..=swaps {
        let label = json!(format!("s{swap}-"));
        // Other settings of one component, and another component, take turns.
        let component = swap.is_multiple_of(2).then(|| swapping.component(swap / 2));
        let request = DeployRequest {
            component,
            set: [("label".to_owned(), label)].into(),
            ..DeployRequest::default()
        };
        let begun = Instant::now();
        swapping.deploy(request)?;
        times.push(begun.elapsed());
        let until = traffic.made().money + MONEY;
        while traffic.made().money < until
            && let Some(item) = traffic.next()
        {
            let record = Record::new(item.key, item.value)
                .at(item.partition.0)
                .time(item.timestamp);
            writer.put(&pipeline.inputs[item.stream as usize], &[record])?;
        }
        if swap.is_multiple_of(EVERY) {
            instance.lives()?;
            seen.samples.push(sample(pid, swap)?);
        }
        if swap.is_multiple_of(50) {
            say(&format!("{swap} swaps; {:?}", seen.samples.last()));
        }
    }
    while let Some(item) = traffic.next() {
        let record = Record::new(item.key, item.value)
            .at(item.partition.0)
            .time(item.timestamp);
        writer.put(&pipeline.inputs[item.stream as usize], &[record])?;
    }
    writer.settle()?;
    outputs.until((MONEY * swaps as u64) as usize, || instance.lives())?;
    instance.stop()?;
    let tenth = (times.len() / 10).max(1);
    let median = |times: &[Duration]| {
        let mut times = times.to_vec();
        times.sort();
        times[times.len() / 2]
    };
    seen.swap = (median(&times[..tenth]), median(&times[times.len() - tenth..]));
    let begun = Instant::now();
    let control = swapping.control()?;
    seen.read = begun.elapsed();
    ensure!(
        control.last() as usize == swaps + 1,
        "{} deploys are known",
        control.last()
    );
    let records = rig.read(&pipeline.config()?.control_topic())?;
    let bytes = records
        .iter()
        .map(|read| read.value.as_deref().unwrap_or_default().len());
    seen.control = (records.len(), bytes.sum());
    seen.check()?;
    Ok(seen)
}

impl Flatness {
    /// The two samples that are compared.
    fn ends(&self) -> (Sample, Sample) {
        let half = &self.samples[self.samples.len() / 2..];
        let third = (half.len() / 3).max(1);
        let least = |samples: &[Sample]| Sample {
            swaps: samples.iter().map(|sample| sample.swaps).sum::<usize>() / samples.len(),
            memory: samples.iter().map(|sample| sample.memory).min().unwrap_or_default(),
            threads: samples.iter().map(|sample| sample.threads).min().unwrap_or_default(),
            descriptors: samples
                .iter()
                .map(|sample| sample.descriptors)
                .min()
                .unwrap_or_default(),
        };
        (least(&half[..third]), least(&half[half.len() - third..]))
    }

    fn check(&self) -> Result<()> {
        let (before, after) = self.ends();
        let may = before.memory + LINE * (after.swaps - before.swaps) as u64 + NOISE;
        ensure!(after.memory <= may, "memory grows with the swaps:\n{self}");
        ensure!(after.threads <= before.threads, "threads grow with the swaps:\n{self}");
        ensure!(
            after.descriptors <= before.descriptors,
            "file descriptors grow with the swaps:\n{self}"
        );
        Ok(())
    }
}

impl fmt::Display for Flatness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "   swaps  memory KiB  threads  descriptors")?;
        let every = (self.samples.len() / 20).max(1);
        for sample in self.samples.iter().step_by(every) {
            let Sample {
                swaps,
                memory,
                threads,
                descriptors,
            } = sample;
            writeln!(f, "{swaps:8}  {:10}  {threads:7}  {descriptors:11}", memory / 1024)?;
        }
        let (before, after) = self.ends();
        writeln!(
            f,
            "from swap {} to {}: memory {:+} KiB, threads {:+}, descriptors {:+}",
            before.swaps,
            after.swaps,
            (after.memory as i64 - before.memory as i64) / 1024,
            after.threads as i64 - before.threads as i64,
            after.descriptors as i64 - before.descriptors as i64
        )?;
        writeln!(
            f,
            "a swap takes {:?} at first, {:?} at the end (median)",
            self.swap.0, self.swap.1
        )?;
        write!(
            f,
            "the control topic has {} records with {} KiB, read in {:?}",
            self.control.0,
            self.control.1 / 1024,
            self.read
        )
    }
}

/// What the kernel reports now.
pub(super) fn sample(pid: u32, swaps: usize) -> Result<Sample> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line
            .and_then(|rest| rest.split_whitespace().next())
            .map(str::parse::<u64>);
        number.with_context(|| format!("{name} in a process's status"))
    };
    Ok(Sample {
        swaps,
        memory: number("RssAnon:")?? * 1024,
        threads: number("Threads:")??,
        descriptors: std::fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64,
    })
}
