//! The sweep: the slow, endless walk over a task's rows that writes them into the deltas again.
use crate::delta::Delta;
use crate::record::Millis;
use crate::rows::Rows;

/// Where the sweep stands: everything up to here was written in this round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    hash: u64,
}

impl Cursor {
    /// At the front: a round begins.
    pub fn new() -> Self {
        Self::default()
    }
    /// For the meta.
    pub fn encode(&self) -> Vec<u8> {
        unimplemented!()
    }
    /// None: not written by [`encode`](Cursor::encode).
    pub fn decode(_bytes: &[u8]) -> Option<Self> {
        unimplemented!()
    }
}

impl Rows {
    /// Writes entries from the cursor on, as they stand now (open epoch included), without those that are expired at `now`,
    /// until `budget` bytes are written. True: the round is complete; the cursor is at the front again.
    pub fn sweep(&mut self, _cursor: &mut Cursor, _budget: usize, _now: Millis, _delta: &mut Delta) -> bool {
        unimplemented!()
    }
}
