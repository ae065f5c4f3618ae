//! Measures what a worker's thread spends its CPU time on. It reads the clock a few times in each turn, and never per
//! record.

use crate::metrics::{CpuPart, cpu_time};
use std::time::Duration;

/// CPU time by what it was spent on.
#[derive(Default)]
pub struct CpuTimes {
    /// Everything up to this point is accounted for.
    last: Duration,
    parts: [Duration; CpuPart::ALL.len()],
}

impl CpuTimes {
    /// Ignores what was spent up to now, because it was for something else.
    pub fn begin(&mut self) {
        self.last = cpu_time();
    }

    /// Charges the time since the last call to this part.
    pub fn charge(&mut self, part: CpuPart) {
        let now = cpu_time();
        self.parts[part as usize] += now.saturating_sub(self.last);
        self.last = now;
    }

    /// Moves some of the time charged to one part to another one.
    pub fn shift(&mut self, from: CpuPart, to: CpuPart, time: Duration) {
        let time = time.min(self.parts[from as usize]);
        self.parts[from as usize] -= time;
        self.parts[to as usize] += time;
    }

    /// Takes the times charged since the last call, in the order of [`CpuPart::ALL`].
    pub fn take(&mut self) -> [Duration; CpuPart::ALL.len()] {
        std::mem::take(&mut self.parts)
    }
}
