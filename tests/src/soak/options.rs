//! The settings of a run.

use pelton_demo::traffic::Parameters;
use std::path::PathBuf;
use std::time::Duration;

/// The number of partitions of every topic. The output has as many as the inputs. So each of its partitions belongs to
/// one task, and its records have one order.
pub const PARTITIONS: i32 = 4;

/// Longer than anything takes here, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// The settings of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The number of money events. Users, sessions and duplicates are added to them.
    pub money: u64,
    /// The number of swaps that must be committed.
    pub swaps: usize,
    /// The number of kills: the first in the middle of a swap, the next in the middle of a commit, and so on.
    pub kills: usize,
    /// The number of freezes that last longer than the session.
    pub freezes: usize,
    /// The seed of the traffic and of the swaps.
    pub seed: u64,
    /// How to start `pelton`.
    pub pelton: Program,
    /// Receives messages about the progress.
    pub say: fn(&str),
}

impl Options {
    /// A little of everything. An hour after its end, every timer has fired.
    pub fn traffic(&self) -> Parameters {
        Parameters {
            seed: self.seed,
            money: self.money,
            users: (self.money / 50).clamp(300, 20_000) as u32,
            partitions: PARTITIONS,
            // Longer than money waits for its session, so that timers also fire in the middle.
            span: 2 * 3_600_000,
            closing: Some(2 * 3_600_000),
            ..Parameters::varied()
        }
    }
}

/// How to start `pelton`.
#[derive(Clone, Debug)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// The arguments before pelton's own ones.
    pub words: Vec<String>,
    /// Where to keep the processes' logs. `None` removes them together with the pipeline.
    pub logs: Option<PathBuf>,
}
