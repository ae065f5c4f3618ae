//! A task opens, and starts over after a dropped epoch.
//!
//! Rule: opening and starting over are the same: everything that is not committed is built again from the committed meta.

use super::replay::Replay;
use super::seal::SweepState;
use super::{Ids, Layout, Orders, Restored, Task};
use crate::delta::Delta;
use crate::error::{Failure, Result};
use crate::inbox::Inbox;
use crate::journal::Verdict;
use crate::meta::{self, InputMeta, Meta};
use crate::order::Order;
use crate::record::{Millis, NEVER, Offset, Partition, StepKey};
use crate::rows;
use crate::rules::{Batch, Version};
use crate::store::scratch::Scratch;
use crate::watermark::Clock;
use std::collections::VecDeque;
use std::sync::Arc;

impl Task {
    /// Opens a task on what was restored. `orders`: the version that it begins with must be compiled. `starts`: where inputs
    /// begin, by rank, when it has never committed.
    pub fn open(
        partition: Partition,
        layout: Arc<Layout>,
        orders: Arc<Orders>,
        restored: Restored,
        starts: &[Offset],
    ) -> Result<Task> {
        let (deployed, wiring) = orders.opening(restored.meta.as_ref()).map_err(|version| {
            Failure::Fatal(format!(
                "task {partition}: its rules {} are not at hand: they are neither on the control topic nor in the file",
                Version(version)
            ))
        })?;
        let wiring = wiring.clone();
        let mut names = restored.names;
        if names.hash.is_empty() {
            names.hash = rows::HASH.to_owned();
        }
        if names.hash != rows::HASH {
            return Err(Failure::Fatal(format!(
                "task {partition}: its keys were placed by '{}', and this version of Pelton places them by '{}'",
                names.hash,
                rows::HASH
            )));
        }
        let end = match &restored.meta {
            Some(meta) => meta.follows,
            None => restored.follows,
        };
        let (presets, replay) = match end {
            Some(end) => Replay::new(restored.journal, end, layout.inputs.len()),
            None => (vec![], None),
        };
        let meta = restored.meta.unwrap_or_else(|| {
            let mut inputs: Vec<_> = starts.iter().map(|start| first(*start)).collect();
            for (input, (heartbeats, verdicts)) in inputs.iter_mut().zip(presets) {
                preset(input, heartbeats, verdicts);
            }
            Meta {
                fingerprint: layout.fingerprint,
                inputs,
                last: StepKey::Start,
                sequence: 0,
                version: wiring.rules.version().0,
                deployed,
                prepared: None,
                sweep: vec![],
                follows: end,
                round: restored.changelog,
            }
        });
        // Unreadable: the round begins again, which is always right.
        let sweep: SweepState = meta::decode(&meta.sweep).unwrap_or_default();
        let inputs = layout.inputs.len();
        let mut task = Task {
            partition,
            wiring: wiring.clone(),
            inboxes: vec![],
            order: Order::default(),
            shelf: super::Shelf::new(layout.buffer_bytes, Scratch::new(layout.scratch.clone())),
            held: (0..inputs).map(|_| VecDeque::new()).collect(),
            replies: VecDeque::new(),
            quiet: None,
            beaten: None,
            replay,
            resumed: false,
            view: super::View {
                rows: restored.rows,
                ..Default::default()
            },
            timers: restored.timers,
            lookups: restored.lookups,
            committed_names: names.clone(),
            names,
            ids: Ids::default(),
            last: StepKey::Start,
            sequence: 0,
            orders,
            obeyed: false,
            deployed,
            prepared: None,
            refused: 0,
            next: None,
            fallen: false,
            until: NEVER,
            stride: Default::default(),
            awaited: None,
            delta: Delta::new(),
            swept: Delta::new(),
            sweep: sweep.clone(),
            tally: super::Tally::default(),
            sealed: None,
            committed: meta,
            committed_sweep: sweep,
            committed_wiring: wiring,
            shadow: restored.shadow,
            changelog: restored.changelog,
            stored: restored.stored,
            unflushed: 0,
            rounds: (restored.bytes, 0),
            complete: None,
            batch: Batch::default(),
            plan: vec![],
            hashes: vec![],
            spans: vec![],
            batch_number: 0,
            limit: 1,
            layout,
        };
        task.accepts(&task.wiring.clone())
            .map_err(|why| Failure::Fatal(format!("task {partition}: {why}, although they set it")))?;
        task.start_over();
        if let Some(shadow) = &mut task.shadow {
            shadow.settle(&task.last, task.sequence);
        }
        Ok(task)
    }

    /// What is committed, after [`abort`](Task::abort).
    pub(super) fn into_restored(self) -> Restored {
        Restored {
            rows: self.view.rows,
            timers: self.timers,
            lookups: self.lookups,
            names: self.committed_names,
            meta: Some(self.committed),
            changelog: self.changelog,
            shadow: self.shadow,
            ..Restored::default()
        }
    }

    /// Builds what is not committed again from the committed meta.
    pub(super) fn start_over(&mut self) {
        let inputs = self.layout.inputs.iter().zip(&self.committed.inputs);
        self.inboxes = inputs
            .map(|(input, meta)| Inbox::new(input.out_of_orderness, meta))
            .collect();
        self.order.clear();
        self.shelf.clear();
        self.held.iter_mut().for_each(VecDeque::clear);
        self.replies.clear();
        self.quiet = None;
        self.beaten = None;
        self.tally = super::Tally::default();
        self.last = self.committed.last.clone();
        self.sequence = self.committed.sequence;
        if let Some(replay) = &mut self.replay {
            replay.resume(&self.last, self.sequence);
        }
        self.names = self.committed_names.clone();
        self.spans.clear();
        self.bind(self.committed_wiring.clone());
        // The orders of now are looked at before the next step.
        self.obeyed = false;
        self.refused = 0;
        self.awaited = None;
        self.deployed = self.committed.deployed;
        self.prepared = self.committed.prepared;
        self.bind_order();
    }

    /// True, once, when a replay of the journal has ended: pending questions may be asked.
    pub fn take_resumed(&mut self) -> bool {
        std::mem::take(&mut self.resumed)
    }
}

/// An input that nothing was read of.
fn first(start: Offset) -> InputMeta {
    InputMeta {
        next: start,
        clock: Clock::START,
        heartbeats: vec![],
        verdicts: vec![],
        read: start,
    }
}

/// Heartbeats and verdicts of a journal that is followed: they count as read.
fn preset(input: &mut InputMeta, heartbeats: Vec<(Offset, Millis)>, verdicts: Vec<(Offset, Verdict)>) {
    let beats = heartbeats.iter().map(|(position, _)| *position);
    let judged = verdicts.iter().map(|(offset, _)| offset + 1);
    input.read = beats.chain(judged).fold(input.read, Offset::max);
    input.heartbeats = heartbeats;
    input.verdicts = verdicts;
}
