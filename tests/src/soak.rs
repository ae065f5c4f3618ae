//! `make soak`: money events at full speed through two processes on a real Kafka, while the rules are swapped all the time and
//! processes are killed.
//!
//! Rule: every output is there once, made by the version that its event time calls for, byte for byte what the auditor says of the
//! inputs, the journal and the control topic; and who is given the inputs and the journal again makes the same bytes.
//!
//! `pipeline` is the topics and the file, `instance` a process, `versions` the rules, `feed` the traffic, `swapping` deploys,
//! `killing` kills in the middle of a commit, `check` asks the auditor, `replay` does it again, `report` says what was seen. `flat` is about what many swaps
//! leave behind, `steady` about the memory of a live stream.

mod check;
mod feed;
mod flat;
mod instance;
mod killing;
mod outputs;
mod pipeline;
mod replay;
mod report;
mod steady;
mod swapping;
mod versions;

pub use flat::{Flatness, Sample, flat};
pub use instance::Program;
pub use report::Report;
pub use steady::{Steadiness, steady};

use crate::rig::Rig;
use anyhow::{Result, ensure};
use feed::Feed;
use outputs::Outputs;
use pelton_demo::session_service::{Behaviour, SessionService};
use pelton_demo::traffic::Parameters;
use pipeline::Pipeline;
use std::time::{Duration, Instant};
use swapping::Swapping;

/// Partitions of every topic. The output has as many as the inputs, so that each of its partitions is of one task, and its
/// records have one order.
const PARTITIONS: i32 = 4;

/// Longer than anything takes here, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(180);

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Money events; users, sessions and duplicates come on top.
    pub money: u64,
    /// Swaps that must be committed.
    pub swaps: usize,
    /// Kills: the first in the middle of a swap, the next in the middle of a commit, and so on.
    pub kills: usize,
    /// The same seed makes the same traffic and wants the same swaps.
    pub seed: u64,
    /// How `pelton` is started.
    pub pelton: Program,
    /// Is told how far it is.
    pub say: fn(&str),
}

impl Options {
    /// A little of everything; an hour after its end every timer is through.
    fn traffic(&self) -> Parameters {
        Parameters {
            seed: self.seed,
            money: self.money,
            users: (self.money / 50).clamp(300, 20_000) as u32,
            partitions: PARTITIONS,
            // Longer than money waits for its session, so that there are timers in the middle, too.
            span: 2 * 3_600_000,
            closing: Some(2 * 3_600_000),
            ..Parameters::varied()
        }
    }
}

/// Does all of it. Err: what is not as it must be.
pub fn run(options: &Options, rig: &Rig) -> Result<Report> {
    let service = SessionService::start(Behaviour {
        latency: Duration::from_millis(1),
        errors: 0.02,
    })?;
    let traffic = options.traffic();
    let pipeline = Pipeline::new(rig, &options.pelton, &service.url())?;
    let mut outputs = Outputs::of(rig, &pipeline.output)?;
    let mut report = Report::default();
    let mut instances = pipeline.two()?;
    let begun = Instant::now();
    let (made, due) = std::thread::scope(|scope| {
        let due = scope.spawn(|| check::count(&traffic));
        let mut feed = Feed::start(scope, &pipeline, traffic.clone(), (options.swaps, options.kills));
        let mut swapping = Swapping::new(&pipeline, options.seed)?;
        let swapped = swapping.run(options, &mut feed, &mut instances, &mut report);
        let made = feed.end();
        swapped?;
        anyhow::Ok((made?, due.join().expect("no panic")))
    })?;
    outputs.until(due, || instances.iter_mut().try_for_each(|instance| instance.lives()))?;
    report.wall = begun.elapsed();
    report.made = made;
    for instance in instances {
        instance.stop()?;
    }
    let first = rig.read(&pipeline.output)?;
    check::all(&pipeline, &traffic, &first, &mut report)?;
    let begun = Instant::now();
    let again = replay::again(&pipeline, first.len())?;
    report.replay = begun.elapsed();
    replay::same(&first, &again)?;
    report.load = crate::bench::cpu::load()?;
    ensure!(
        report.made.money == options.money,
        "the traffic is not what was asked for: {:?}",
        report.made
    );
    Ok(report)
}
