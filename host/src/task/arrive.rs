//! The task's door for what its inputs bring: records, proofs of their ends, and their silence.
//!
//! Rule: what is decided about arrivals is journaled at once, in the open epoch.

use super::Task;
use super::arrivals::{Arrived, Demand, Heartbeat};
use super::epoch::Epoch;
use super::sources::Sources;
use super::tally::Tally;
use crate::journal::Entry;
use crate::log::Chunk;
use crate::record::{Millis, Offset, Rank, StepKey};
use std::time::Duration;

impl Task {
    /// Takes records of an input. `wall`: the wall clock. Err: why some of them wait for their schema; none is lost.
    pub fn arrive(
        &mut self,
        chunk: Chunk,
        sources: &mut Sources,
        wall: Millis,
        epoch: &mut Epoch,
    ) -> Result<(), String> {
        let arrived = self.arrivals.push(chunk, sources, wall);
        self.arrived(arrived, wall, epoch)
    }

    /// Tries again what waits for a schema.
    pub fn retry_schemas(&mut self, sources: &mut Sources, wall: Millis, epoch: &mut Epoch) -> Result<(), String> {
        for rank in 0..self.arrivals.inputs() {
            while let Some(arrived) = self.arrivals.retry(rank, sources, wall) {
                self.arrived(arrived, wall, epoch)?;
            }
        }
        Ok(())
    }

    /// True while records wait for a schema.
    pub fn waits_for_schema(&self) -> bool {
        self.arrivals.waits_for_schema()
    }

    fn arrived(&mut self, arrived: Arrived, wall: Millis, epoch: &mut Epoch) -> Result<(), String> {
        let rank = arrived.rank;
        for (offset, verdict) in arrived.verdicts {
            let entry = Entry::Verdict { rank, offset, verdict };
            epoch.journal(self.layout.journal, self.partition, wall, &entry);
        }
        if arrived.foreign > 0 {
            Tally::add(&mut self.ledger.tally().foreign, usize::from(rank), arrived.foreign);
        }
        arrived.waits.map_or(Ok(()), Err)
    }

    /// Takes a proof that an input's log ended at `end`, at monotonic `now`.
    pub fn prove_end(&mut self, rank: Rank, end: Offset, now: Duration) {
        self.arrivals.prove_end(rank, end, now);
    }

    /// Moves the watermarks of idle inputs, when something waits for that. The journal says so itself while it is followed.
    pub fn beat(&mut self, now: Duration, wall: Millis, epoch: &mut Epoch) {
        if self.schedule.follows_journal() {
            return;
        }
        let demand = Demand {
            timer: self.state.timers().first().map(StepKey::time),
            takeover: self.schedule.approaching().map(|next| next.at),
            until: self.schedule.bound(),
        };
        let heartbeats = self.arrivals.beat(now, &demand);
        self.journal_heartbeats(heartbeats, wall, epoch);
    }

    /// Event time comes to `target` on every input, as if all had been silent until then: for tests that move it by hand.
    pub fn beat_to(&mut self, target: Millis, wall: Millis, epoch: &mut Epoch) {
        if !self.schedule.follows_journal() {
            let heartbeats = self.arrivals.beat_to(target);
            self.journal_heartbeats(heartbeats, wall, epoch);
        }
    }

    fn journal_heartbeats(&self, heartbeats: Vec<Heartbeat>, wall: Millis, epoch: &mut Epoch) {
        for Heartbeat { rank, position, time } in heartbeats {
            let entry = Entry::Heartbeat { rank, position, time };
            epoch.journal(self.layout.journal, self.partition, wall, &entry);
        }
    }
}
