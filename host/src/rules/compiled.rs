//! Compiled rules, which sandboxes are made from, and the limits of these.
//!
//! Rule: nothing of them changes any more.

use super::clock::{TICK, Ticking};
use super::inside::Inside;
use super::{Description, Version};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::InstancePre;

/// Limits of one sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SandboxLimits {
    /// Linear memory in bytes. The host also copies no more than this from one call.
    pub memory: usize,
    /// Time limit of a call.
    pub time: Duration,
    /// Added to it for each input of the batch.
    pub time_per_input: Duration,
}

impl Default for SandboxLimits {
    fn default() -> Self {
        SandboxLimits {
            memory: 64 << 20,
            time: Duration::from_secs(1),
            time_per_input: Duration::from_millis(1),
        }
    }
}

impl SandboxLimits {
    /// Number of ticks until a call is interrupted. The current tick does not count.
    pub(super) fn ticks(&self, inputs: usize, patience: u32) -> u64 {
        let share = self
            .time_per_input
            .saturating_mul(u32::try_from(inputs).unwrap_or(u32::MAX));
        let time = self.time.saturating_add(share).saturating_mul(patience);
        // Half of the maximum can't be reached, and can be added to the current number of ticks without an overflow.
        u64::try_from(time.as_nanos().div_ceil(TICK.as_nanos()))
            .unwrap_or(u64::MAX / 4)
            .min(u64::MAX / 4)
            + 1
    }
}

/// Compiled, linked and described rules. Cheap to clone.
#[derive(Clone)]
pub struct Rules(pub(super) Arc<SharedRules>);

/// What all sandboxes of one version share.
pub(super) struct SharedRules {
    pub(super) pre: InstancePre<Inside>,
    pub(super) version: Version,
    pub(super) settings: String,
    pub(super) limits: SandboxLimits,
    pub(super) description: Arc<Description>,
    pub(super) clock: Arc<Ticking>,
}

impl Rules {
    /// The version of the rules.
    pub fn version(&self) -> Version {
        self.0.version
    }

    /// What the rules say about themselves.
    pub fn description(&self) -> &Description {
        &self.0.description
    }
}
