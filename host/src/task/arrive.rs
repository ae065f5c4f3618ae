//! Records arrive: each is placed in event time, in the order of its partition.
//!
//! Rule: what can't be read keeps its place (e = the watermark) and moves no clock. A record whose schema can't be asked for
//! now holds back its partition, and nothing is lost.

use super::Task;
use super::epoch::Epoch;
use super::sources::{NoTime, Sources};
use super::tally::Tally;
use crate::journal::{Entry as Journaled, Verdict};
use crate::log::Chunk;
use crate::murmur2;
use crate::order::Entry;
use crate::record::{Millis, Offset, Rank, StepKey};
use std::time::Duration;

impl Task {
    /// Takes records of an input. `wall`: the wall clock. Err: the registry is away, why; the records wait.
    pub fn arrive(
        &mut self,
        rank: Rank,
        chunk: Chunk,
        sources: &mut Sources,
        wall: Millis,
        epoch: &mut Epoch,
    ) -> Result<(), String> {
        let held = &mut self.held[usize::from(rank)];
        if !held.is_empty() {
            held.push_back((chunk, 0));
            return Ok(());
        }
        self.place(rank, chunk, 0, sources, wall, epoch)
    }

    /// Tries again what waits for the registry.
    pub fn retry_held(&mut self, sources: &mut Sources, wall: Millis, epoch: &mut Epoch) -> Result<(), String> {
        for rank in 0..self.held.len() {
            while let Some((chunk, from)) = self.held[rank].pop_front() {
                let rest = std::mem::take(&mut self.held[rank]);
                let placed = self.place(rank as Rank, chunk, from, sources, wall, epoch);
                self.held[rank].extend(rest);
                placed?;
            }
        }
        Ok(())
    }

    /// True when records wait for the registry.
    pub fn holds_records(&self) -> bool {
        self.held.iter().any(|held| !held.is_empty())
    }

    fn place(
        &mut self,
        rank: Rank,
        chunk: Chunk,
        from: usize,
        sources: &mut Sources,
        wall: Millis,
        epoch: &mut Epoch,
    ) -> Result<(), String> {
        let max_ahead = self.layout.inputs[usize::from(rank)].max_ahead;
        let place = self.shelf.next();
        let mut live = 0;
        let mut wait = None;
        for (index, record) in chunk.records.iter().enumerate().skip(from) {
            let inbox = &mut self.inboxes[usize::from(rank)];
            if record.offset < inbox.position() {
                // Fetched before a seek, or delivered again: it was taken already.
                continue;
            }
            let time = match sources.time(rank, &chunk, record) {
                _ if inbox.verdict(record.offset).is_some() => None,
                Ok(time) if record.append_time && record.timestamp >= 0 => {
                    (time <= record.timestamp.saturating_add(max_ahead)).then_some(time)
                }
                Ok(time) if time <= wall.saturating_add(max_ahead) || inbox.was_read(record.offset) => Some(time),
                Ok(_) => {
                    self.judge(rank, record.offset, Verdict::TooFarAhead, wall, epoch);
                    None
                }
                Err(NoTime::Unreadable(_)) => None,
                Err(NoTime::UnknownSchema(id)) if inbox.was_read(record.offset) => {
                    // It was readable when it was read before: the registry has lost it.
                    wait = Some((
                        index,
                        format!("the registry does not know schema {id} any more: restore it there"),
                    ));
                    break;
                }
                Err(NoTime::UnknownSchema(id)) => {
                    self.judge(rank, record.offset, Verdict::UnknownSchema(id), wall, epoch);
                    None
                }
                Err(NoTime::Wait(why)) => {
                    wait = Some((index, why));
                    break;
                }
            };
            if let Some(key) = record.key
                && murmur2::partition(key.of(&chunk.bytes), self.layout.partitions) != self.partition
            {
                Tally::add(&mut self.ledger.tally().foreign, usize::from(rank), 1);
            }
            let inbox = &mut self.inboxes[usize::from(rank)];
            let (placed, ticket) = inbox.arrive(record.offset, time);
            let entry = Entry {
                time: placed.time,
                offset: record.offset,
                ticket,
                chunk: place,
                record: index as u32,
                rank,
                late: placed.late,
                unreadable: time.is_none(),
            };
            let last = self.progress.last();
            if *last != StepKey::Start && entry.step() <= *last {
                // Processed before the last commit; only its clock was needed again.
                inbox.done(ticket);
                continue;
            }
            live += 1;
            self.order.push(entry);
        }
        self.quiet = None;
        // It is paused soon, when it is over its bytes. So it need not spill.
        let ahead = self.inboxes[usize::from(rank)].watermark() > self.watermark();
        if let Some((index, why)) = wait {
            self.inboxes[usize::from(rank)].heard();
            // The rest is the same chunk again: records are few when a registry is away at their first sight.
            let rest = Chunk {
                topic: chunk.topic,
                partition: chunk.partition,
                records: chunk.records.clone(),
                headers: chunk.headers.clone(),
                bytes: chunk.bytes.clone(),
            };
            self.shelf.add(rank, chunk, live, ahead);
            self.held[usize::from(rank)].push_front((rest, index));
            return Err(why);
        }
        self.shelf.add(rank, chunk, live, ahead);
        Ok(())
    }

    fn judge(&mut self, rank: Rank, offset: Offset, verdict: Verdict, wall: Millis, epoch: &mut Epoch) {
        let inbox = &mut self.inboxes[usize::from(rank)];
        assert!(
            !inbox.was_read(offset),
            "a verdict about a record that was read before would change what is decided"
        );
        inbox.judge(offset, verdict.clone());
        epoch.journal(
            self.layout.journal,
            self.partition,
            wall,
            &Journaled::Verdict { rank, offset, verdict },
        );
    }

    /// A proof that an input's log ended at `end`, at monotonic `now`.
    pub fn proved_end(&mut self, rank: Rank, end: Offset, now: Duration) {
        if self.held[usize::from(rank)].is_empty() {
            self.inboxes[usize::from(rank)].proved_end(end, now);
        }
    }
}
