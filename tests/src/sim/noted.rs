//! What is noted when an instance starts and after each turn of its workers, so that it can be checked later.

use super::world::World;
use anyhow::{Result, bail};
use pelton::record::{Partition, StepKey, TopicIx};

impl World {
    /// Notes what is seen after a turn of a worker.
    pub(super) fn note_turn(&mut self, number: usize) -> Result<()> {
        if let Some(life) = &self.processes[number].life {
            self.budgets.note(number, &life.instance);
        }
        self.note_beginnings(number)
    }

    /// Notes where the tasks of an instance begin that have not taken a step.
    fn note_beginnings(&mut self, number: usize) -> Result<()> {
        if !self.plan.latest.contains(&true) {
            return Ok(());
        }
        let Some(life) = &self.processes[number].life else {
            return Ok(());
        };
        for partition in Partition::all(self.plan.partitions) {
            let Some(task) = life.instance.task(partition) else {
                continue;
            };
            let meta = task.committed();
            if meta.last != StepKey::Start {
                continue;
            }
            let beginning: Vec<_> = meta.inputs.iter().map(|input| input.next).collect();
            let seen = self.beginnings.seen.entry(partition).or_default();
            if seen.contains(&beginning) {
                continue;
            }
            let ends = &self.processes[number].ends;
            for (rank, begins) in beginning.iter().enumerate().filter(|(rank, _)| self.plan.latest[*rank]) {
                let ended = ends[rank][partition.index()];
                // It may have been committed by an earlier owner, or have moved on from there without a step.
                let goes_on = seen.iter().any(|seen| seen[rank] <= *begins);
                if *begins < ended && !goes_on {
                    bail!(
                        "task {partition} begins at {begins} of an input that ended at {ended} when its instance started"
                    );
                }
            }
            seen.push(beginning);
        }
        Ok(())
    }

    /// Notes where the inputs end while an instance starts.
    pub(super) fn note_ends(&mut self, number: usize) -> Result<()> {
        let mut ends = vec![];
        for rank in 0..self.plan.latest.len() {
            let of_input =
                Partition::all(self.plan.partitions).map(|partition| self.outside.bounds(TopicIx::at(rank), partition));
            let of_input: Result<Vec<_>, _> = of_input.map(|bounds| bounds.map(|(_, end)| end)).collect();
            ends.push(of_input?);
        }
        self.processes[number].ends = ends;
        Ok(())
    }

    /// Checks a task for each of its possible beginnings, until one is right.
    pub(super) fn with_beginnings<T>(
        &mut self,
        partition: Partition,
        mut check: impl FnMut(&mut World) -> Result<T>,
    ) -> Result<T> {
        let seen = self.beginnings.seen.get(&partition).cloned().unwrap_or_default();
        let Some((last, others)) = seen.split_last() else {
            return check(self);
        };
        for beginning in others {
            self.beginnings.taken.insert(partition, beginning.clone());
            if let Ok(right) = check(self) {
                return Ok(right);
            }
        }
        self.beginnings.taken.insert(partition, last.clone());
        check(self)
    }
}
