//! `make soak`: money events run at full speed through two processes on a real Kafka, while the rules are swapped all
//! the time and processes are killed.
//!
//! Rule: every output exists exactly once, and the version that its event time requires has made it. It is byte for
//! byte what the auditor derives from the inputs, the journal and the control topic. A replay of the inputs and the
//! journal makes the same bytes.
//!
//! `pipeline` has the topics and the file, `instance` a process, `versions` the rules, `feed` the traffic, and
//! `swapping` the deploys. `killing` kills in the middle of a commit, `check` asks the auditor, `replay` runs it again,
//! and `report` prints the results. `flat` checks what many swaps leave behind, and `steady` checks the memory of a
//! live stream.

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

/// The number of partitions of every topic. The output has as many as the inputs. So each of its partitions belongs to
/// one task, and its records have one order.
const PARTITIONS: i32 = 4;

/// Longer than anything takes here, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// The settings of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The number of money events. Users, sessions and duplicates are added to them.
    pub money: u64,
    /// The number of swaps that must be committed.
    pub swaps: usize,
    /// The number of kills: the first in the middle of a swap, the next in the middle of a commit, and so on.
    pub kills: usize,
    /// The seed of the traffic and of the swaps.
    pub seed: u64,
    /// How to start `pelton`.
    pub pelton: Program,
    /// Receives messages about the progress.
    pub say: fn(&str),
}

impl Options {
    /// A little of everything. An hour after its end, every timer has fired.
    fn traffic(&self) -> Parameters {
        Parameters {
            seed: self.seed,
            money: self.money,
            users: (self.money / 50).clamp(300, 20_000) as u32,
            partitions: PARTITIONS,
            // Longer than money waits for its session, so that timers also fire in the middle.
            span: 2 * 3_600_000,
            closing: Some(2 * 3_600_000),
            ..Parameters::varied()
        }
    }
}

/// Runs everything. The error says what is not as it must be.
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
