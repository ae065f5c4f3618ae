//! What has happened in a run, in numbers.

/// What has happened in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Steps of the world.
    pub steps: u64,
    /// Input records.
    pub records: u64,
    /// Outputs.
    pub outputs: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Journal entries.
    pub journaled: u64,
    /// Processes killed, stopped, evicted, frozen.
    pub troubles: u64,
    /// Changelogs that were cut.
    pub cuts: u64,
    /// Processes that ended because a worker did not close its tasks in time.
    pub deadlines: u64,
    /// Looks at committed state.
    pub looks: u64,
    /// Deploys that hold, without the first ones.
    pub committed: u64,
    /// Deploys that never held.
    pub cancelled: u64,
    /// Deploys that did not count.
    pub refused: u64,
    /// Orders that came too late to count.
    pub too_late: u64,
    /// Versions that took over in a task.
    pub takeovers: u64,
    /// Processes that died within a call to the log.
    pub fuses: u64,
    /// Runs that were made again from their journal.
    pub replays: u64,
    /// Of everything in the output and the owned topics: two runs of a seed are equal.
    pub fingerprint: u64,
}

impl Report {
    /// Sums up.
    pub fn add(&mut self, other: &Report) {
        self.steps += other.steps;
        self.records += other.records;
        self.outputs += other.outputs;
        self.dead_letters += other.dead_letters;
        self.journaled += other.journaled;
        self.troubles += other.troubles;
        self.cuts += other.cuts;
        self.deadlines += other.deadlines;
        self.looks += other.looks;
        self.committed += other.committed;
        self.cancelled += other.cancelled;
        self.refused += other.refused;
        self.too_late += other.too_late;
        self.takeovers += other.takeovers;
        self.fuses += other.fuses;
        self.replays += other.replays;
        self.fingerprint ^= other.fingerprint;
    }
}
