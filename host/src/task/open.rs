//! A task opens, and starts over after a dropped epoch.
//!
//! Rule: opening and starting over are the same: everything that is not committed is built again from the committed meta.

use super::arrivals::Arrivals;
use super::ledger::{Ledger, Snapshot};
use super::progress::Progress;
use super::schedule::{Preset, Replay, RulesSchedule, Schedule};
use super::{Layout, Restored, Task};
use crate::error::{Failure, Result};
use crate::meta::{InputMeta, Meta};
use crate::record::{Offset, Partition, StepKey};
use crate::rules::Version;
use crate::watermark::Clock;
use std::sync::Arc;

impl Task {
    /// Opens a task on what was restored. Of `rules`, the version that it begins with must be compiled. `starts`: where inputs
    /// begin, by rank, when it has never committed.
    pub fn open(
        partition: Partition,
        layout: Arc<Layout>,
        rules: Arc<RulesSchedule>,
        restored: Restored,
        starts: &[Offset],
    ) -> Result<Task> {
        let (deployed, wiring) = rules.opening(restored.meta.as_ref()).map_err(|version| {
            Failure::Fatal(format!(
                "task {partition}: its rules {} are not at hand: they are neither on the control topic nor in the file",
                Version(version)
            ))
        })?;
        let wiring = wiring.clone();
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
            for (input, preset) in inputs.iter_mut().zip(presets) {
                preset_input(input, preset);
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
        let mut state = restored.state;
        let opened = state.open(&meta.sweep);
        opened.map_err(|why| Failure::Fatal(format!("task {partition}: {why}")))?;
        let progress = Progress::committed(&meta);
        let committed = Snapshot {
            meta,
            wiring: wiring.clone(),
        };
        let mut task = Task {
            partition,
            wiring,
            arrivals: Arrivals::new(partition, layout.clone()),
            state,
            progress,
            schedule: Schedule::open(rules, replay),
            ledger: Ledger::new(committed, restored.changelog, restored.bytes, restored.stored),
            shadow: restored.shadow,
            stepper: Default::default(),
            layout,
        };
        task.accepts(&task.wiring.clone())
            .map_err(|why| Failure::Fatal(format!("task {partition}: {why}, although they set it")))?;
        task.start_over();
        if let Some(shadow) = &mut task.shadow {
            shadow.settle(task.progress.last(), task.progress.sequence());
        }
        Ok(task)
    }

    /// What is committed, after [`abort`](Task::abort).
    pub(super) fn into_restored(self) -> Restored {
        let (committed, changelog) = self.ledger.into_committed();
        Restored {
            state: self.state,
            meta: Some(committed.meta),
            changelog,
            shadow: self.shadow,
            ..Restored::default()
        }
    }

    /// Builds what is not committed again from the committed meta.
    pub(super) fn start_over(&mut self) {
        let committed = self.ledger.committed();
        self.arrivals
            .restart(&committed.meta.inputs, committed.meta.last.clone());
        self.progress = Progress::committed(&committed.meta);
        self.schedule.start_over(&committed.meta);
        let wiring = committed.wiring.clone();
        self.bind(wiring);
    }

    /// True, once, when a replay of the journal has ended: pending questions may be asked.
    pub fn take_resumed(&mut self) -> bool {
        self.schedule.take_may_ask()
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

/// What a journal that is followed says of an input counts as read.
fn preset_input(input: &mut InputMeta, preset: Preset) {
    let beats = preset.heartbeats.iter().map(|(position, _)| *position);
    let judged = preset.verdicts.iter().map(|(offset, _)| offset + 1);
    input.read = beats.chain(judged).fold(input.read, Offset::max);
    input.heartbeats = preset.heartbeats;
    input.verdicts = preset.verdicts;
}
