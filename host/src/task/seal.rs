//! The end of an epoch: what the task changed goes into the changelog, and is then committed or dropped.
//!
//! Invariant: the delta and the input offsets of an epoch go into the same transaction. At most one epoch is sealed.

use super::epoch::{Epoch, Piece};
use super::ledger::Snapshot;
use super::{Tally, Task};
use crate::meta::Meta;
use crate::record::Offset;

impl Task {
    /// Writes the open epoch's delta into the transaction, and the offsets of all inputs; a new epoch opens.
    ///
    /// # Panics
    /// When an epoch is sealed already.
    pub fn seal(&mut self, epoch: &mut Epoch) {
        let mut meta = Meta {
            fingerprint: self.layout.fingerprint,
            inputs: self.arrivals.meta(),
            last: self.progress.last().clone(),
            sequence: self.progress.sequence(),
            version: self.wiring.rules.version().0,
            deployed: self.schedule.deployed(),
            prepared: self.schedule.prepared(),
            // The state fills in the sweep, and its round if a new one starts.
            sweep: vec![],
            follows: self.schedule.follows(),
            round: self.ledger.committed().meta.round,
        };
        let timestamp = self.last_time().unwrap_or(0).max(0);
        let (topic, partition) = (self.layout.changelog, self.partition);
        let delta = self.state.seal(&mut meta, self.ledger.changelog(), |record| {
            epoch.write(Piece {
                topic,
                partition,
                timestamp,
                key: None,
                value: Some([record, &[]]),
            });
        });
        if self.shadow.is_some() {
            self.seal_shadow();
        }
        for (rank, input) in meta.inputs.iter().enumerate() {
            epoch
                .transaction
                .offsets
                .push((rank as u16, self.partition, input.next));
        }
        let wiring = self.wiring.clone();
        self.ledger.seal(Snapshot { meta, wiring }, delta);
    }

    /// The sealed epoch is in the log; `next` is the changelog position after it.
    /// Returns what was done in it.
    pub fn commit(&mut self, next: Offset) -> Tally {
        let Some(tally) = self.ledger.commit(next) else {
            return Tally::default();
        };
        let committed = &self.ledger.committed().meta;
        let now = committed.last.time();
        self.schedule.commit(committed.follows);
        if let Some(shadow) = &mut self.shadow
            && !shadow.commit(self.state.rows(), &tally)
        {
            self.shadow = None;
        }
        self.state.commit(now);
        tally
    }

    /// Sealed and open epoch are dropped: back to the last commit. The inputs must be read again from
    /// [`positions`](Task::positions).
    pub fn abort(&mut self) {
        self.ledger.abort();
        if let Some(shadow) = &mut self.shadow {
            shadow.abort();
        }
        self.state.abort();
        self.start_over();
    }

    /// Where the log may be cut, once a store does not need what lies before: told once.
    pub fn take_complete(&mut self) -> Option<Offset> {
        self.ledger.take_complete()
    }
}
