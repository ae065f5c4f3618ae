//! What a task did in an epoch, for the metrics. It is reported when the epoch is committed, and dropped with an epoch that is
//! dropped.

use crate::metrics::DeadLetter;

/// The counts of one epoch. The vectors grow when an index comes up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records that were steps, by rank.
    pub records: Vec<u64>,
    /// Those of them that were late, by rank.
    pub late: Vec<u64>,
    /// Records whose key belongs in another partition by murmur2, by rank.
    pub foreign: Vec<u64>,
    /// Records written, by the index of the output in the config.
    pub outputs: Vec<u64>,
    /// Inputs that went to the dead letters, by kind of reason.
    pub dead_letters: [u64; DeadLetter::ALL.len()],
    /// What the rules counted, by the index of the counter.
    pub counts: Vec<u64>,
    /// Batches whose rest was planned again, because a step had become due before it.
    pub cuts: u64,
    /// Calls that trapped.
    pub traps: u64,
    /// Inputs that went to the dead letters because of the rules: see [`Faults`](super::Faults).
    pub faults: u64,
    /// Calls into the rules.
    pub calls: u64,
    /// Inputs given in these calls.
    pub inputs: u64,
    /// Time in these calls, in nanoseconds.
    pub guest_nanos: u64,
    /// CPU time in them, in nanoseconds.
    pub guest_cpu_nanos: u64,
}

impl Tally {
    /// Adds to an entry.
    #[inline]
    pub fn add(list: &mut Vec<u64>, index: usize, by: u64) {
        if list.len() <= index {
            list.resize(index + 1, 0);
        }
        list[index] += by;
    }

    /// Other rules count from here on. Counts go by index: a counter of the same name keeps what was counted so far.
    pub fn carry_counts(&mut self, before: &[String], after: &[String]) {
        let counts = std::mem::take(&mut self.counts);
        for (name, count) in before.iter().zip(counts) {
            if let Some(index) = after.iter().position(|known| known == name) {
                Tally::add(&mut self.counts, index, count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_keep_their_counts_by_name() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut tally = Tally {
            counts: vec![1, 2, 3],
            ..Tally::default()
        };
        tally.carry_counts(&names(&["seen", "gone", "late"]), &names(&["late", "new", "seen"]));
        assert_eq!(tally.counts, [3, 0, 1]);
    }
}
