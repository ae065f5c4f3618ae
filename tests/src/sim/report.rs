//! The numbers of a run.

/// Counts what has happened in a run.
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
    /// Faults of processes: killed, stopped, evicted or frozen.
    pub troubles: u64,
    /// Changelogs that were cut.
    pub cuts: u64,
    /// Processes that ended because a worker did not close its tasks in time.
    pub deadlines: u64,
    /// Checks of the committed state.
    pub looks: u64,
    /// Deploys that were committed, without the first ones.
    pub committed: u64,
    /// Deploys that were cancelled.
    pub cancelled: u64,
    /// Deploys that did not count.
    pub refused: u64,
    /// Deploys that were withdrawn after they had been committed.
    pub withdrawn: u64,
    /// Shadows that began.
    pub shadows: u64,
    /// Steps that the last shadows took.
    pub shadowed: u64,
    /// Decisions that came too late to count.
    pub too_late: u64,
    /// Take-overs in tasks.
    pub takeovers: u64,
    /// Processes that died in a call to the log.
    pub fuses: u64,
    /// Runs that were repeated from their journal.
    pub replays: u64,
    /// A hash of the output topic and of the pipeline's own topics. Two runs of a seed must have the same.
    pub fingerprint: u64,
}

impl Report {
    /// Adds the numbers of another run.
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
        self.withdrawn += other.withdrawn;
        self.shadows += other.shadows;
        self.shadowed += other.shadowed;
        self.too_late += other.too_late;
        self.takeovers += other.takeovers;
        self.fuses += other.fuses;
        self.replays += other.replays;
        self.fingerprint ^= other.fingerprint;
    }
}
