//! What was seen.

use pelton_demo::show::grouped;
use pelton_demo::traffic::Made;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The traffic.
    pub made: Made,
    /// From the first swap to the last committed output, with everything that was killed meanwhile.
    pub wall: Duration,
    /// Committed swaps, by what they were and how.
    pub swaps: BTreeMap<&'static str, usize>,
    /// Swaps that were refused or cancelled, and why.
    pub refused: Vec<String>,
    /// Processes that were killed while a swap was not decided.
    pub killed_in_swaps: usize,
    /// Processes that were killed with an open transaction whose records were in the log.
    pub killed_in_commits: usize,
    /// All kills: some hit neither.
    pub kills: usize,
    /// Outputs, each there once.
    pub outputs: usize,
    /// Those that replies of the service have sent.
    pub looked_up: usize,
    /// Outputs by the component that made them.
    pub by_code: BTreeMap<String, usize>,
    /// Deploys that outputs were made by.
    pub deploys: usize,
    /// "These rules from here on", in the journals of all tasks.
    pub takeovers: usize,
    /// How long the replay took.
    pub replay: Duration,
    /// Of the machine, at the end.
    pub load: f64,
}

impl Report {
    /// Swaps that were committed.
    pub fn committed(&self) -> usize {
        self.swaps.get("by T").unwrap_or(&0) + self.swaps.get("now").unwrap_or(&0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { made, .. } = self;
        let rate = made.money as f64 / self.wall.as_secs_f64();
        writeln!(
            f,
            "{} money events, {} records",
            grouped(made.money),
            grouped(made.records())
        )?;
        writeln!(
            f,
            "{:.1} s from the first swap to the last output, {} money/s; load {:.1}",
            self.wall.as_secs_f64(),
            grouped(rate as u64),
            self.load
        )?;
        writeln!(f, "{} swaps committed: {:?}", self.committed(), self.swaps)?;
        writeln!(f, "{} refused", self.refused.len())?;
        for why in &self.refused {
            writeln!(f, "  {why}")?;
        }
        writeln!(
            f,
            "{} kills: {} in the middle of a swap, {} in the middle of a commit",
            self.kills, self.killed_in_swaps, self.killed_in_commits
        )?;
        writeln!(
            f,
            "{} outputs, each once and as the auditor says; {} by replies of the service",
            grouped(self.outputs as u64),
            grouped(self.looked_up as u64)
        )?;
        writeln!(
            f,
            "made by {} deploys, each by the one that its event time calls for: {:?}; {} takeovers",
            self.deploys, self.by_code, self.takeovers
        )?;
        write!(
            f,
            "the replay from the start with the journal: the same bytes, in {:.1} s",
            self.replay.as_secs_f64()
        )
    }
}
