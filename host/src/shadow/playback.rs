//! The ports of a shadow's stepper: inputs come from a tape, and effects are compared with the live ones.
//!
//! Rules:
//! - The live task's steps come in their order, with the shadow's own timers between them where the order of steps has
//!   them. Each live step is a step here, even if the shadow's rules have nothing to do in it.
//! - If the live rules ask the same question at the same step, the shadow's question gets the live id, and so the live
//!   answer. All other questions get no answer. The same is true for one that only the live rules repeat.

use super::compare::{Comparison, ShadowStep, Taken};
use super::tape::{self, Tape, TapedInput, TapedStep};
use crate::binding::Sources;
use crate::metrics::DeadLetterReason;
use crate::record::journal::LookupEnding;
use crate::record::{Millis, StepKey};
use crate::rules::{Action, Effects};
use crate::state::TaskState;
use crate::state::lookups::{self, LookupName};
use crate::step::{
    BATCH_BYTES, Cause, Guest, Inputs, LookupQuestion, OutputRecord, PATIENCE, RecordInput, Refusal, RulesCall, Sink,
    StepEffects, StepInput,
};

/// What a shadow remembers between tapes.
pub struct PlaybackPosition {
    /// The time of its last step.
    pub last: Millis,
    /// The last step of the live task that is not a reply.
    pub live: StepKey,
    /// Ids of lookups that will get no answer.
    pub orphans: Vec<Box<[u8]>>,
}

/// Plays a part of a tape.
pub struct Playback<'a> {
    pub tape: &'a Tape,
    pub part: TapePart,
    pub place: &'a mut PlaybackPosition,
    pub compare: &'a mut Comparison,
    /// The questions of the live rules at this step.
    asked: Vec<LiveQuestion>,
}

/// What is played.
pub enum TapePart {
    /// The steps of the tape from `at` to `end`, and the shadow's own timers that are due before `until`.
    Steps { at: usize, end: usize, until: Millis },
    /// The ends of lookups that get no answer.
    Unanswered(Vec<Box<[u8]>>),
}

/// A question of the live rules.
struct LiveQuestion {
    name: LookupName,
    id: Box<[u8]>,
    request: Vec<u8>,
}

impl<'a> Playback<'a> {
    /// Makes the ports for a part of a tape.
    pub fn new(
        tape: &'a Tape,
        part: TapePart,
        place: &'a mut PlaybackPosition,
        compare: &'a mut Comparison,
    ) -> Playback<'a> {
        Playback {
            tape,
            part,
            place,
            compare,
            asked: vec![],
        }
    }

    fn step(&self, planned: &ShadowStep) -> Option<&'a TapedStep> {
        planned.mark.map(|live| &self.tape.steps[live])
    }

    /// What a live step is in the shadow.
    fn happens(&self, at: usize, own: Option<&StepKey>, state: &TaskState) -> StepInput<usize> {
        let step = &self.tape.steps[at];
        match &step.what {
            TapedInput::Record { .. } => StepInput::Record(at),
            TapedInput::Timer { .. } => match (tape::timer_of(step, self.tape), own) {
                (Some(live), Some(own)) if live == *own => StepInput::Timer(live),
                (live, _) => StepInput::Elsewhere(live),
            },
            TapedInput::Reply { id, ending, .. } => match state.lookups().find(id.of(&self.tape.bytes)) {
                Some((name, pending)) => StepInput::Reply {
                    name: name.clone(),
                    id: pending.id.clone(),
                    ending: ending.clone(),
                },
                None => StepInput::Elsewhere(None),
            },
        }
    }

    fn plan_steps(&self, state: &TaskState, limit: usize, plan: &mut Vec<ShadowStep>) {
        let TapePart::Steps { mut at, end, until } = self.part else {
            return;
        };
        let mut own = state.timers().iter().peekable();
        let mut bytes = 0;
        while plan.len() < limit && bytes < BATCH_BYTES {
            let step = self.tape.steps[..end].get(at);
            let live = step.and_then(|step| tape::timer_of(step, self.tape));
            let before = |own: &&StepKey| match (step, &live) {
                (None, _) => own.time() < until,
                (Some(_), Some(live)) => *own < live,
                // At the same time, a record comes before a timer.
                (Some(step), None) if matches!(step.what, TapedInput::Record { .. }) => own.time() < step.time,
                // A reply comes right after the step before it.
                (Some(_), None) => false,
            };
            if let Some(due) = own.next_if(before) {
                plan.push(ShadowStep::new(StepInput::Timer(due.clone()), None, due.time()));
                continue;
            }
            let Some(step) = step else { break };
            if let TapedInput::Record { value: Some(value), .. } = &step.what {
                bytes += value.len as usize;
            }
            let what = self.happens(at, own.peek().copied(), state);
            if let StepInput::Timer(_) = what {
                own.next();
            }
            plan.push(ShadowStep::new(what, Some(at), step.time));
            at += 1;
        }
    }

    /// The questions of the live rules at a step.
    fn asked_live(&self, step: &TapedStep, state: &TaskState) -> Vec<LiveQuestion> {
        let mut asked = vec![];
        let sequence = match &step.what {
            TapedInput::Reply { sequence, .. } => sequence + 1,
            _ => 0,
        };
        let (tape, live) = (self.tape, &self.compare.live);
        let mut number = 0;
        for effect in &tape.effects[step.effects.start as usize..step.effects.end as usize] {
            if effect.what != Action::Ask {
                continue;
            }
            let on = usize::from(effect.on);
            let mut request = vec![];
            let url = &live.lookups[on].url;
            if url.render(effect.value.of(&tape.bytes), &mut request).is_err() {
                continue;
            }
            let id = lookups::id(&self.place.live, sequence, number);
            number += 1;
            let name = &live.rules.description().lookups[on].name;
            if let Some(lookup) = state.names().lookups.iter().position(|known| known == name) {
                let (key, tag) = (step.key.of(&tape.bytes), effect.name.of(&tape.bytes));
                let name = LookupName::new(key, lookup as u16, tag);
                asked.push(LiveQuestion { name, id, request });
            }
        }
        asked
    }
}

impl Inputs for Playback<'_> {
    type Record = usize;
    type Mark = Option<usize>;

    /// The shadow's thread has the lowest priority, so a slow call says little. Only calls that don't end trap because
    /// of time.
    const FIRST_PATIENCE: u32 = PATIENCE;

    fn plan(&mut self, state: &TaskState, limit: usize, plan: &mut Vec<ShadowStep>) {
        let TapePart::Unanswered(ids) = &mut self.part else {
            return self.plan_steps(state, limit, plan);
        };
        ids.retain(|id| state.lookups().find(id).is_some());
        let pending = ids.iter().filter_map(|id| Some((id, state.lookups().find(id)?.0)));
        plan.extend(pending.take(limit).map(|(id, name)| {
            let what = StepInput::Reply {
                name: name.clone(),
                id: id.clone(),
                ending: LookupEnding::Unavailable,
            };
            ShadowStep::new(what, None, self.place.last)
        }));
    }

    fn key(&self, record: &usize) -> &[u8] {
        self.tape.steps[*record].key.of(&self.tape.bytes)
    }

    fn read(&self, record: &usize, _: &mut Sources) -> Result<RecordInput<'_>, Refusal> {
        let step = &self.tape.steps[*record];
        match &step.what {
            TapedInput::Record {
                rank,
                offset,
                late,
                unreadable: false,
                value,
                ..
            } => Ok(RecordInput {
                rank: *rank,
                offset: *offset,
                late: *late,
                value: value.map(|value| value.of(&self.tape.bytes)),
            }),
            // Rules don't see it, so the reason is the live one.
            _ => Err(Refusal {
                kind: DeadLetterReason::Unreadable,
                why: String::from_utf8_lossy(step.dead.of(&self.tape.bytes)).into_owned(),
            }),
        }
    }

    fn headers(&self, record: &usize, mut each: impl FnMut(&[u8], &[u8])) {
        let TapedInput::Record { headers, .. } = &self.tape.steps[*record].what else {
            return;
        };
        for (name, value) in &self.tape.record_headers[headers.start as usize..headers.end as usize] {
            each(name.of(&self.tape.bytes), value.of(&self.tape.bytes));
        }
    }

    fn known_trap(&self, _: &ShadowStep) -> Option<&str> {
        None
    }

    fn take(&mut self, planned: &ShadowStep, state: &TaskState) {
        self.place.last = self.place.last.max(planned.time);
        self.asked.clear();
        let Some(step) = self.step(planned) else { return };
        match &step.what {
            TapedInput::Record { rank, offset, .. } => {
                self.place.live = StepKey::Record {
                    time: step.time,
                    rank: *rank,
                    offset: *offset,
                }
            }
            TapedInput::Timer { .. } => self.place.live = tape::timer_of(step, self.tape).unwrap_or(StepKey::Start),
            TapedInput::Reply { .. } => {}
        }
        self.asked = self.asked_live(step, state);
    }
}

impl Sink for Playback<'_> {
    fn called(&mut self, call: &RulesCall<'_>, _: &mut Guest) {
        let seen = &mut self.compare.report.seen;
        seen.shadow_nanos += call.cpu.as_nanos() as u64;
        seen.shadow_inputs += call.inputs as u64;
    }

    fn refused(&mut self, planned: &ShadowStep, _: Cause, state: &TaskState, _: &mut Guest) {
        let why = planned.refused.as_ref().map_or("", |refusal| &refusal.why);
        let taken = Taken {
            planned,
            tape: self.tape,
            names: state.names(),
        };
        self.compare.trapped(taken, why);
    }

    fn fault(&mut self, _: &str, _: &mut Guest) {}

    fn begin(&mut self, _: &[ShadowStep], _: usize, _: &mut Guest) {}

    fn cut(&mut self) {}

    /// A shadow has no effect outside: its outputs are only compared.
    fn output(&mut self, _: &OutputRecord<'_>, _: &Guest) {}

    fn ask(&mut self, question: &LookupQuestion<'_>, _: &ShadowStep, _: &Guest) -> Box<[u8]> {
        let same = |asked: &LiveQuestion| asked.name == *question.name && asked.request == question.request;
        if let Some(live) = self.asked.iter().position(same) {
            return self.asked.remove(live).id;
        }
        self.compare.report.seen.unanswered += 1;
        let number = self.compare.report.seen.unanswered.to_be_bytes();
        // No id of the live task begins with this byte, because an id begins with the kind of a step.
        let id: Box<[u8]> = [&[u8::MAX][..], &number].concat().into();
        self.place.orphans.push(id.clone());
        id
    }

    fn count(&mut self, _: u16, _: u64) {}

    fn done(&mut self, planned: &ShadowStep, made: &StepEffects<'_>, state: &TaskState, _: &Guest) {
        // Only the live rules ask these questions again. A pending lookup with the same name gets no answer any more.
        for asked in self.asked.drain(..) {
            let pending = state.lookups().get(&asked.name);
            if let Some(pending) = pending.filter(|pending| pending.id.first() != Some(&u8::MAX)) {
                self.compare.report.seen.unanswered += 1;
                self.place.orphans.push(pending.id.clone());
            }
        }
        let taken = Taken {
            planned,
            tape: self.tape,
            names: state.names(),
        };
        self.compare.step(taken, made);
        if let (TapePart::Steps { at, .. }, Some(live)) = (&mut self.part, planned.mark) {
            *at = live + 1;
        }
    }

    fn end(&mut self, _: &[ShadowStep], _: &Effects) {}
}
