//! Decides where a task begins when it opens: at its last commit, or at the start of its inputs.
//!
//! Rule: a task that has a journal but has never committed follows the journal. Input that the journal mentions counts
//! as read.

use super::Restored;
use super::schedule::{Preset, Replay};
use crate::binding::Layout;
use crate::record::watermark::PartitionClock;
use crate::record::{Number, Offset, StepKey, VersionId};
use crate::state::meta::{InputMeta, Meta};

/// Where a task begins.
pub(super) struct Beginning {
    /// The committed meta. For a task that has never committed, the meta that a first commit would have had.
    pub meta: Meta,
    /// The journal that it follows, if there is one.
    pub journal: Option<Replay>,
}

/// The rules of a task that opens.
#[derive(Clone, Copy)]
pub(super) struct OpeningRules {
    /// The deploy that they belong to.
    pub deploy: Number,
    /// Their version.
    pub version: VersionId,
}

impl Beginning {
    /// Takes the meta and the journal out of the restored state. `starts` says where the inputs begin, by rank, if the
    /// task has never committed.
    pub fn of(restored: &mut Restored, layout: &Layout, first: OpeningRules, starts: &[Offset]) -> Beginning {
        let meta = restored.meta.take();
        let follows = match &meta {
            Some(meta) => meta.follows,
            None => restored.follows,
        };
        let (presets, journal) = match follows {
            Some(end) => Replay::new(std::mem::take(&mut restored.journal), end, layout.inputs.len()),
            None => (vec![], None),
        };
        let meta = meta.unwrap_or_else(|| {
            let mut inputs: Vec<_> = starts.iter().map(|start| unread(*start)).collect();
            for (input, preset) in inputs.iter_mut().zip(presets) {
                preset_input(input, preset);
            }
            Meta {
                fingerprint: layout.fingerprint,
                inputs,
                last: StepKey::Start,
                sequence: 0,
                version: first.version,
                deployed: first.deploy,
                prepared: None,
                sweep: vec![],
                follows,
                round: restored.changelog,
            }
        });
        Beginning { meta, journal }
    }
}

/// The meta of an input that nothing was read from.
fn unread(start: Offset) -> InputMeta {
    InputMeta {
        next: start,
        clock: PartitionClock::START,
        heartbeats: vec![],
        verdicts: vec![],
        read: start,
    }
}

/// Marks the input as read as far as the journal that is followed mentions it.
fn preset_input(input: &mut InputMeta, preset: Preset) {
    let heartbeats = preset.heartbeats.iter().map(|(position, _)| *position);
    let judged = preset.verdicts.iter().map(|(offset, _)| offset.next());
    input.read = heartbeats.chain(judged).fold(input.read, Offset::max);
    input.heartbeats = preset.heartbeats;
    input.verdicts = preset.verdicts;
}
