//! The results of a soak test.

use pelton_demo::show::grouped;
use pelton_demo::traffic::Made;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The results of a soak test.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The traffic's records.
    pub made: Made,
    /// The time from the first swap to the last committed output, including the kills.
    pub wall: Duration,
    /// Committed swaps, by kind.
    pub swaps: BTreeMap<&'static str, usize>,
    /// Swaps that were refused or cancelled, with the reason.
    pub refused: Vec<String>,
    /// Processes that were killed while a swap was undecided.
    pub killed_in_swaps: usize,
    /// Processes that were killed while an open transaction had records in the log.
    pub killed_in_commits: usize,
    /// All kills. Some of them hit neither.
    pub kills: usize,
    /// Processes that were frozen until the other one had taken over their tasks.
    pub freezes: usize,
    /// Outputs. Each exists exactly once.
    pub outputs: usize,
    /// How many of them replies of the service have sent.
    pub looked_up: usize,
    /// Outputs by the component that made them.
    pub by_code: BTreeMap<String, usize>,
    /// How many deploys have made outputs.
    pub deploys: usize,
    /// The take-overs in the journals of all tasks.
    pub takeovers: usize,
    /// How long the replay took.
    pub replay: Duration,
    /// The load of the machine at the end.
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
            "{} kills: {} in the middle of a swap, {} in the middle of a commit; {} freezes",
            self.kills, self.killed_in_swaps, self.killed_in_commits, self.freezes
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
