//! Where the CPU time of a worker's thread goes: read at the seams of a turn, never for a record.

use crate::metrics::{Part, cpu_time};
use std::time::Duration;

/// See the module.
#[derive(Default)]
pub struct Spent {
    last: Duration,
    parts: [Duration; Part::ALL.len()],
}

impl Spent {
    /// What comes now counts.
    pub fn begin(&mut self) {
        self.last = cpu_time();
    }

    /// What was spent since the seam before was for this.
    pub fn seam(&mut self, part: Part) {
        let now = cpu_time();
        self.parts[part as usize] += now.saturating_sub(self.last);
        self.last = now;
    }

    /// So much of one part was for another.
    pub fn shift(&mut self, from: Part, to: Part, time: Duration) {
        let time = time.min(self.parts[from as usize]);
        self.parts[from as usize] -= time;
        self.parts[to as usize] += time;
    }

    /// In the order of [`Part::ALL`]: drained.
    pub fn take(&mut self) -> [Duration; Part::ALL.len()] {
        std::mem::take(&mut self.parts)
    }
}
