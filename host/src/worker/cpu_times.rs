//! Where the CPU time of a worker's thread goes. The clock is read a few times in each turn, never for a record.

use crate::metrics::{Part, cpu_time};
use std::time::Duration;

/// CPU time by what it was spent on.
#[derive(Default)]
pub struct CpuTimes {
    /// Everything up to here is accounted for.
    last: Duration,
    parts: [Duration; Part::ALL.len()],
}

impl CpuTimes {
    /// Whatever was spent until now, for something else, counts for nothing.
    pub fn begin(&mut self) {
        self.last = cpu_time();
    }

    /// What was spent since the last call was for this.
    pub fn charge(&mut self, part: Part) {
        let now = cpu_time();
        self.parts[part as usize] += now.saturating_sub(self.last);
        self.last = now;
    }

    /// Some of the time of one part was for another.
    pub fn shift(&mut self, from: Part, to: Part, time: Duration) {
        let time = time.min(self.parts[from as usize]);
        self.parts[from as usize] -= time;
        self.parts[to as usize] += time;
    }

    /// What was spent since the last call, in the order of [`Part::ALL`].
    pub fn take(&mut self) -> [Duration; Part::ALL.len()] {
        std::mem::take(&mut self.parts)
    }
}
