//! Where tasks begin whose inputs are read from their end.
//!
//! Rule: a task that has never committed begins where its inputs ended when it was restored. Several instances may have
//! restored it before anything was committed, and the first commit decides. So the outputs must be right for one of
//! those beginnings.

use super::world::{World, Wrong};
use pelton::record::{Offset, StepKey, TopicIx};
use std::collections::BTreeMap;

/// The possible beginnings of the tasks.
#[derive(Default)]
pub struct Beginnings {
    /// By task. Each beginning is by rank.
    seen: BTreeMap<i32, Vec<Vec<Offset>>>,
    /// The beginning that is assumed now.
    taken: BTreeMap<i32, Vec<Offset>>,
}

impl Beginnings {
    /// The first record that a task reads.
    pub fn of(&self, partition: i32, rank: usize) -> Offset {
        self.taken
            .get(&partition)
            .map(|beginning| beginning[rank])
            .unwrap_or_default()
    }
}

impl World {
    /// Notes where the tasks of an instance begin that have not taken a step.
    pub(super) fn note_beginnings(&mut self, number: usize) -> Result<(), Wrong> {
        if !self.plan.latest.contains(&true) {
            return Ok(());
        }
        let Some(life) = &self.processes[number].life else {
            return Ok(());
        };
        for partition in 0..self.plan.partitions {
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
                let ended = ends[rank][partition as usize];
                // It may have been committed by an earlier owner, or have moved on from there without a step.
                let goes_on = seen.iter().any(|seen| seen[rank] <= *begins);
                if *begins < ended && !goes_on {
                    return Err(format!(
                        "task {partition} begins at {begins} of an input that ended at {ended} when its instance started"
                    ));
                }
            }
            seen.push(beginning);
        }
        Ok(())
    }

    /// Notes where the inputs end while an instance starts.
    pub(super) fn note_ends(&mut self, number: usize) -> Result<(), Wrong> {
        let mut ends = vec![];
        for rank in 0..self.plan.latest.len() {
            let of_input = (0..self.plan.partitions).map(|partition| self.outside.bounds(TopicIx::at(rank), partition));
            let of_input: Result<Vec<_>, _> = of_input.map(|bounds| bounds.map(|(_, end)| end)).collect();
            ends.push(of_input.map_err(|why| why.to_string())?);
        }
        self.processes[number].ends = ends;
        Ok(())
    }

    /// Checks a task for each of its possible beginnings, until one is right.
    pub(super) fn with_beginnings<T>(
        &mut self,
        partition: i32,
        mut check: impl FnMut(&mut World) -> Result<T, Wrong>,
    ) -> Result<T, Wrong> {
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
