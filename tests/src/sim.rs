//! The simulator: production's supervisor, restores and workers run on the embedded log, driven by a seed.
//!
//! Rule: only the clock, the log, the service and the threads are replaced. The seed decides the traffic, the settings,
//! who runs next, how every transactional call ends, and who dies when. The same seed gives the same run.
//!
//! At the end all faults are lifted, and the content of the topics is compared with the auditor: see `check`.

mod acts;
mod beginnings;
mod budgets;
mod check;
mod client;
mod decided;
mod deploying;
mod dice;
mod evidence;
mod instance;
mod letting_go;
mod lines;
mod mortal;
mod noted;
mod outcomes;
mod patience;
mod plan;
mod process;
mod report;
mod run;
mod running;
mod service;
mod setup;
mod state;
mod topics;
mod traffic;
mod trials;
mod trouble;
mod turns;
mod versions;
mod world;

pub use evidence::{Output, results};
pub use plan::{Chaos, Plan};
pub use report::Report;
pub use traffic::{Arrival, Shape, records};
pub use world::World;

use anyhow::anyhow;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The kind of run that a seed decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One version of the rules.
    One,
    /// Other versions are deployed during the run.
    Deploys,
    /// Instances join and leave all the time, and more goes wrong meanwhile.
    Unrest,
    /// As with unrest, and shadows run.
    Shadows,
    /// As with unrest, and versions are deployed that are withdrawn.
    Withdrawals,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 5] = [Kind::One, Kind::Deploys, Kind::Unrest, Kind::Shadows, Kind::Withdrawals];

    /// The plan that a seed decides.
    pub fn plan(self, seed: u64) -> Plan {
        match self {
            Kind::One => Plan::of(seed),
            Kind::Deploys => Plan::with_deploys(seed),
            Kind::Unrest => Plan::with_unrest(seed),
            Kind::Shadows => Plan::with_shadows(seed),
            Kind::Withdrawals => Plan::with_withdrawals(seed),
        }
    }

    /// The name of the test that repeats a seed.
    fn test(self) -> &'static str {
        match self {
            Kind::One => "sim::one",
            Kind::Deploys => "sim::deploy",
            Kind::Unrest => "sim::unrest",
            Kind::Shadows => "sim::shadow",
            Kind::Withdrawals => "sim::withdrawal",
        }
    }
}

/// A run that did not end as it should.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed. With the kind, it repeats the run.
    pub seed: u64,
    /// The kind of run.
    pub kind: Kind,
    /// What is wrong.
    pub why: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Failure { seed, kind, why } = self;
        write!(
            f,
            "seed {seed}: {why}\nrepeat it (PELTON_TRACE=1 says more):\n  PELTON_SEED={seed} cargo test --release -p pelton-tests \
             --no-default-features --test it {} -- --exact --nocapture",
            kind.test()
        )
    }
}

/// Runs what the seed decides.
pub fn run(kind: Kind, seed: u64) -> Result<Report, Failure> {
    let run = || -> anyhow::Result<Report> {
        let mut world = World::new(kind.plan(seed));
        world.run()?;
        if world.plan.is_replayed() {
            again(&world)?;
            world.report.replays += 1;
        }
        Ok(world.report)
    };
    let why = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(report)) => return Ok(report),
        Ok(Err(why)) => why.to_string(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            format!("a panic: {}", text.unwrap_or("without a message"))
        }
    };
    Err(Failure { seed, kind, why })
}

/// Follows the journal from the start, with another number of workers and other batch sizes. The same bytes must come
/// out.
fn again(world: &World) -> anyhow::Result<()> {
    let plan = Plan {
        batch: [1, 7, 64][world.plan.seed as usize / 4 % 3],
        instances: [vec![1], vec![2], vec![1, 1]][world.plan.seed as usize / 12 % 3].clone(),
        ..world.plan.clone()
    };
    let mut again = World::replay(world, plan);
    again
        .run()
        .map_err(|why| anyhow!("made again from its journal: {why}"))?;
    let (is, must) = (results(&again)?, results(world)?);
    match is.iter().zip(&must).find(|(is, must)| is != must) {
        None if is.len() == must.len() => Ok(()),
        None => Err(anyhow!(
            "made again from its journal, there are {} outputs, and were {}",
            is.len(),
            must.len()
        )),
        Some((is, must)) => Err(anyhow!(
            "made again from its journal, an output is {is:?}, and was {must:?}"
        )),
    }
}
