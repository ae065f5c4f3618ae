//! `make soak`: money events run at full speed through two processes on a real Kafka, while the rules are swapped all
//! the time and processes are killed.
//!
//! Rule: every output exists exactly once, and the version that its event time requires has made it. It is byte for
//! byte what the auditor derives from the inputs, the journal and the control topic. A replay of the inputs and the
//! journal makes the same bytes.
//!
//! `pipeline` has the topics and the file, `instance` a process, `versions` the rules, `feed` the traffic, and
//! `swapping` the deploys. `killing` kills in the middle of a commit, `freezing` stops a process for longer than its session, `check` asks the auditor, `replay` runs it again,
//! and `report` prints the results. `flat` checks what many swaps leave behind, `steady` the memory of a live
//! stream, and `mixed` two versions of Pelton in one group.

mod check;
mod feed;
mod flat;
mod freezing;
mod instance;
mod killing;
mod mixed;
mod options;
mod outputs;
mod pipeline;
mod replay;
mod report;
mod steady;
mod swapping;
mod versions;

pub use flat::{Flatness, Sample, flat};
pub use mixed::{Mixture, mixed};
pub use options::{Options, Program};
pub use report::Report;
pub use steady::{Steadiness, steady};

use crate::rig::Rig;
use anyhow::{Result, ensure};
use feed::Feed;
use outputs::Outputs;
use pelton_demo::session_service::{Behaviour, SessionService};
use pipeline::Pipeline;
use std::time::{Duration, Instant};
use swapping::Swapping;

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
        let mut feed = Feed::start(
            scope,
            &pipeline,
            traffic.clone(),
            (options.swaps, options.kills + options.freezes),
        );
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
    replay::check(&pipeline, &traffic, &mut report)?;
    ensure!(
        report.made.money == options.money,
        "the traffic is not what was asked for: {:?}",
        report.made
    );
    Ok(report)
}
