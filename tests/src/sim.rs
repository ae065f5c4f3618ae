//! The simulator: the real worker on the embedded log, driven by a seed.
//!
//! Rule: nothing but the clock, the service and the supervisor's threads is replaced. The seed decides the traffic, the
//! settings, who goes next, how every transactional call ends, and who dies when; the same seed gives the same run.
//!
//! At the end all is made good, and what stands in the topics is compared with the auditor: see `check`.

mod check;
mod dice;
mod evidence;
mod instance;
mod plan;
mod report;
mod rules;
mod service;
mod setup;
mod state;
mod traffic;
mod trouble;
mod world;

pub use evidence::{Output, results};
pub use plan::{Chaos, Plan};
pub use report::Report;
pub use traffic::{Arrival, Shape, records};
pub use world::{World, Wrong};

use std::panic::{AssertUnwindSafe, catch_unwind};

/// A run that did not end as it must.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Repeats it.
    pub seed: u64,
    /// What is wrong.
    pub why: Wrong,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Failure { seed, why } = self;
        write!(
            f,
            "seed {seed}: {why}\nrepeat it (PELTON_TRACE=1 says more):\n  PELTON_SEED={seed} cargo test --release -p pelton-tests \
             --no-default-features --test it sim::one -- --nocapture"
        )
    }
}

/// Runs what a seed decides.
pub fn run(seed: u64) -> Result<Report, Failure> {
    let run = || {
        let mut world = World::new(Plan::of(seed));
        world.run().map(|()| world.report)
    };
    let why = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(report)) => return Ok(report),
        Ok(Err(why)) => why,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            format!("a panic: {}", text.unwrap_or("without a message"))
        }
    };
    Err(Failure { seed, why })
}
