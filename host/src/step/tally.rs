//! Counts what a task did in an epoch, for the metrics. The counts are reported when the epoch is committed, and
//! dropped if the epoch is dropped.

use crate::metrics::DeadLetterReason;

/// The counts of one epoch. A vector grows when it gets a new index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records that were steps, by rank.
    pub records: Vec<u64>,
    /// How many of them were late, by rank.
    pub late: Vec<u64>,
    /// Records whose key murmur2 would place in another partition, by rank.
    pub foreign: Vec<u64>,
    /// Records written, by the index of the output in the config.
    pub outputs: Vec<u64>,
    /// Inputs that went to the dead letters, by kind of reason.
    pub dead_letters: [u64; DeadLetterReason::ALL.len()],
    /// The rules' own counters, by index.
    pub counts: Vec<u64>,
    /// Batches that were cut short because another step had become due first.
    pub cuts: u64,
    /// Calls that trapped.
    pub traps: u64,
    /// Inputs that went to the dead letters because of the rules. See [`Faults`](super::Faults).
    pub faults: u64,
    /// Calls into the rules.
    pub calls: CallTally,
}

/// Calls into the rules, and what they took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallTally {
    /// How many there were.
    pub count: u64,
    /// Inputs given to the rules.
    pub inputs: u64,
    /// Time spent in them, in nanoseconds.
    pub nanos: u64,
    /// CPU time spent in them, in nanoseconds.
    pub cpu_nanos: u64,
}

impl Tally {
    /// Adds to one entry of a list.
    #[inline]
    pub fn add(list: &mut Vec<u64>, index: usize, by: u64) {
        if list.len() <= index {
            list.resize(index + 1, 0);
        }
        list[index] += by;
    }

    /// Other rules count from here on. Counts are kept by index, so this moves each count to the new index of the
    /// counter with the same name.
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
