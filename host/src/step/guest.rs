//! A version of the rules, ready to run on one worker.
//!
//! Rule: the guest's memory is not state. Its instance may be replaced between any two calls.

use super::Faults;
use crate::binding::{Readers, Wiring};
use crate::rules::{Sandbox, Trap};
use crate::state::View;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Runs a version of the rules on one worker.
pub struct Guest {
    /// The version.
    pub wiring: Arc<Wiring>,
    pub(super) readers: Readers,
    sandbox: Option<Sandbox<View>>,
    /// CPU time of its calls since this was last taken.
    pub spent: Duration,
    /// How often the version was at fault.
    pub faults: Faults,
    /// How long it took to create the first instance.
    pub made_in: Duration,
}

impl Guest {
    /// Instantiates a version.
    pub fn new(wiring: Arc<Wiring>) -> Result<Guest, Trap> {
        // The wiring's own check has already made these readers once.
        let readers = wiring
            .readers()
            .unwrap_or_else(|why| panic!("{why}: checked when it was wired"));
        #[expect(clippy::disallowed_methods, reason = "for a metric only")]
        let begun = Instant::now();
        let sandbox = Some(Sandbox::new(&wiring.rules)?);
        let faults = Faults::new(wiring.budget);
        Ok(Guest {
            wiring,
            readers,
            sandbox,
            spent: Duration::ZERO,
            faults,
            made_in: begun.elapsed(),
        })
    }

    /// Drops the instance. The next call creates a fresh one.
    pub fn renew(&mut self) {
        self.sandbox = None;
    }

    pub(super) fn sandbox(&mut self) -> Result<&mut Sandbox<View>, Trap> {
        if self.sandbox.is_none() || self.wiring.fresh {
            self.sandbox = Some(Sandbox::new(&self.wiring.rules)?);
        }
        match &mut self.sandbox {
            Some(sandbox) => Ok(sandbox),
            None => unreachable!("just made"),
        }
    }
}
