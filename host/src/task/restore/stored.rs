//! What a restore takes from the local store.
//!
//! Rules:
//! - A stamp below the log's start, above its end, or of another cluster or topic: wipe, and restore from the log.
//! - A disk that can't be read or written is done without; the worker wipes what is there before it writes.

use super::{Restored, Restoring};
use crate::error::{Failure, Result};
use crate::record::{Offset, Partition};
use crate::store::Store;

impl Restoring {
    /// Takes what is stored, if it fits the changelog, which has these bounds.
    pub(super) fn load(&mut self, store: &mut dyn Store, start: Offset, end: Offset) -> Result<()> {
        let stamp = match store.open(self.partition) {
            Ok(Some(stamp)) => stamp,
            Ok(None) => return Ok(()),
            Err(Failure::Retry(why)) => {
                tracing::warn!(task = self.partition, why, "there is no stored state to be had");
                return Ok(());
            }
            Err(other) => return Err(other),
        };
        let name = &self.layout.topics[usize::from(self.layout.changelog)];
        let topic = self.log.topic(name)?.map(|info| info.id).unwrap_or_default();
        let cluster = self.log.cluster()?;
        if stamp.cluster != cluster || stamp.topic != topic || stamp.offset < start || stamp.offset > end {
            tracing::warn!(
                task = self.partition,
                stamp = stamp.offset,
                log_start = start,
                log_end = end,
                "the stored state does not fit the changelog: it is wiped, and restored from there"
            );
            return wipe(store, self.partition);
        }
        let state = &mut self.state;
        let mut wrong = None;
        let loaded = store.load(self.partition, &mut |change| {
            if wrong.is_none() {
                wrong = state.apply(change).err();
            }
        });
        if let Some(wrong) = wrong.or(loaded.err()) {
            if let Failure::Fatal(_) | Failure::Fenced(_) = wrong {
                return Err(wrong);
            }
            tracing::warn!(task = self.partition, %wrong, "the stored state can't be read: it is wiped");
            *state = Restored {
                changelog: start,
                offsets: std::mem::take(&mut state.offsets),
                ..Restored::default()
            };
            // Or the next flush would take none of its rows.
            state.rows.track();
            return wipe(store, self.partition);
        }
        state.settle();
        state.rows.mark_clean();
        state.changelog = stamp.offset;
        state.stored = Some(stamp.offset);
        tracing::info!(
            task = self.partition,
            stamp = stamp.offset,
            log_end = end,
            "the stored state is loaded: the changelog is read from its stamp on"
        );
        Ok(())
    }
}

/// Nothing of what is stored may be used. If it can't be wiped now, whoever opens the task sees that it was not restored from it.
fn wipe(store: &mut dyn Store, task: Partition) -> Result<()> {
    match store.wipe(task) {
        Err(Failure::Retry(why)) => {
            tracing::warn!(task, why, "the stored state can't be wiped yet");
            Ok(())
        }
        wiped => wiped,
    }
}
