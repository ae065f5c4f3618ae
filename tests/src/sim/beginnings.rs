//! Where tasks begin whose inputs are read from their end.
//!
//! Rule: a task that has never committed begins where its inputs ended when it was restored. Several instances may have
//! restored it before anything was committed, and the first commit decides. So the outputs must be right for one of
//! those beginnings.

use pelton::record::{Offset, Partition};
use std::collections::BTreeMap;

/// The possible beginnings of the tasks.
#[derive(Default)]
pub struct Beginnings {
    /// By task. Each beginning is by rank.
    pub seen: BTreeMap<Partition, Vec<Vec<Offset>>>,
    /// The beginning that is assumed now.
    pub taken: BTreeMap<Partition, Vec<Offset>>,
}

impl Beginnings {
    /// The first record that a task reads.
    pub fn of(&self, partition: Partition, rank: usize) -> Offset {
        self.taken
            .get(&partition)
            .map(|beginning| beginning[rank])
            .unwrap_or_default()
    }
}
