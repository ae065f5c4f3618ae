//! The ports of a live task's stepper: inputs come from the records that have arrived, and effects go into the open
//! epoch.
//!
//! Rules:
//! - Replies come first in a batch, because a journaled input comes right after the last step.
//! - Nothing is copied. Records are read where they arrived, and are removed when their step is done.
//! - A refusal that depends on the clock (a trap) is journaled in the same transaction as its dead letter.

mod dead_letter;
mod plan;
mod port;

pub use port::LivePort;

use super::epoch::Piece;
use crate::arrivals::Waiting;
use crate::binding::{Form, Sources};
use crate::metrics::DeadLetterReason;
use crate::record::journal::{JournalEntry, JournalInput, Verdict};
use crate::record::{StepKey, murmur2};
use crate::rules::{Action, Effects, TrapKind};
use crate::service;
use crate::shadow::tape::LiveStep;
use crate::state::{TaskState, lookups};
use crate::step::{
    Cause, Guest, Inputs, LookupQuestion, OutputRecord, RecordInput, Refusal, RulesCall, Sink, StepEffects, StepInput,
    Tally,
};
use plan::step_of;

impl LivePort<'_> {
    /// The name of a step in the journal. For a reply this is the last step, and the reply's number after it. For any
    /// other step it is the step itself.
    fn journal_name(&self, planned: &LiveStep) -> (StepKey, Option<u64>) {
        match step_of(planned) {
            Some(step) => (step, None),
            None => (self.progress.last().clone(), Some(self.progress.sequence())),
        }
    }

    /// Explains why a record that had no time when it arrived can't be read.
    fn unreadable(&self, waiting: &Waiting, sources: &mut Sources) -> Refusal {
        let record = self.arrivals.record(waiting);
        let verdict = self.arrivals.verdict(waiting);
        let kind = match (record.key(), record.value(), verdict) {
            (_, _, Some(Verdict::TooFarAhead)) => DeadLetterReason::TooFarAhead,
            (None, _, _) => DeadLetterReason::NoKey,
            (_, None, _) => DeadLetterReason::NoValue,
            _ => DeadLetterReason::Unreadable,
        };
        let why = match verdict {
            Some(verdict) => verdict.to_string(),
            None => match sources.time(record) {
                Err(why) => why.to_string(),
                Ok(_) => "its time is further ahead of the broker's append time than max_ahead allows".into(),
            },
        };
        Refusal { kind, why }
    }
}

impl Inputs for LivePort<'_> {
    type Record = Waiting;
    type Mark = ();

    const FIRST_PATIENCE: u32 = 1;

    fn plan(&mut self, state: &TaskState, limit: usize, plan: &mut Vec<LiveStep>) {
        self.arrivals.begin_batch();
        self.plan_replies(state, limit, plan);
        self.plan_order(state, limit, plan);
    }

    #[inline]
    fn key(&self, waiting: &Waiting) -> &[u8] {
        self.arrivals.record(waiting).key().unwrap_or_default()
    }

    #[inline]
    fn read(&self, waiting: &Waiting, sources: &mut Sources) -> Result<RecordInput<'_>, Refusal> {
        if waiting.is_unreadable() {
            return Err(self.unreadable(waiting, sources));
        }
        Ok(RecordInput {
            rank: waiting.rank(),
            offset: waiting.offset(),
            late: waiting.is_late(),
            value: self.arrivals.record(waiting).value(),
        })
    }

    #[inline]
    fn headers(&self, waiting: &Waiting, mut each: impl FnMut(&[u8], &[u8])) {
        for (name, value) in self.arrivals.record(waiting).headers() {
            each(name, value);
        }
    }

    fn known_trap(&self, planned: &LiveStep) -> Option<&str> {
        self.schedule.trapped_before(|| Some(self.journal_name(planned)))
    }

    fn take(&mut self, planned: &LiveStep, _: &TaskState) {
        match &planned.what {
            StepInput::Record(record) => {
                let rank = usize::from(record.rank());
                Tally::add(&mut self.tally.records, rank, 1);
                if record.is_late() {
                    Tally::add(&mut self.tally.late, rank, 1);
                }
                self.progress.step(record.step());
            }
            StepInput::Timer(step) => self.progress.step(step.clone()),
            StepInput::Reply { id, ending, .. } => {
                if !self.schedule.take_given(id) {
                    let entry = JournalEntry::After {
                        anchor: self.progress.last().clone(),
                        sequence: self.progress.sequence(),
                        what: JournalInput::Reply {
                            id: id.clone(),
                            answer: ending.clone(),
                        },
                    };
                    let (topic, task) = (self.layout.journal, self.partition);
                    self.epoch.journal(topic, task, planned.time, &entry);
                }
                self.schedule.take_reply();
            }
            StepInput::Elsewhere(_) => {}
        }
    }
}

impl Sink for LivePort<'_> {
    fn called(&mut self, call: &RulesCall<'_>, guest: &mut Guest) {
        let calls = &mut self.tally.calls;
        calls.count += 1;
        calls.inputs += call.inputs as u64;
        calls.nanos += call.took.as_nanos() as u64;
        calls.cpu_nanos += call.cpu.as_nanos() as u64;
        guest.spent += call.cpu;
        if call.patience > 1 {
            let why = "an input that needed more time than rules.time_limit";
            guest.faults.slow(call.took, why);
        }
        if let Some(trap) = call.trap {
            self.tally.traps += 1;
            if trap.kind == TrapKind::Time {
                guest.faults.slow(call.took, &trap.text);
            }
        }
    }

    fn refused(&mut self, planned: &LiveStep, cause: Cause, _: &TaskState, guest: &mut Guest) {
        let reason = planned.refused.as_ref().map_or("", |refusal| &refusal.why);
        if cause == Cause::Trap {
            let (step, sequence) = self.journal_name(planned);
            let entry = JournalEntry::Trapped {
                step,
                sequence,
                version: guest.wiring.rules.version().0,
                reason: reason.to_owned(),
            };
            let (topic, task) = (self.layout.journal, self.partition);
            self.epoch.journal(topic, task, planned.time, &entry);
        }
        self.fault(reason, guest);
    }

    /// Counts a fault of the version. While a journal is followed, the budget is not charged again.
    fn fault(&mut self, why: &str, guest: &mut Guest) {
        self.tally.faults += 1;
        if !self.schedule.follows_journal() {
            guest.faults.fault(why);
        }
    }

    fn begin(&mut self, plan: &[LiveStep], inputs: usize, guest: &mut Guest) {
        guest.faults.handed(inputs);
        if let Some(tape) = self.shadow.as_mut().and_then(|shadow| shadow.tape()) {
            tape.begin(plan, self.arrivals, self.progress.sequence());
        }
    }

    fn cut(&mut self) {
        self.tally.cuts += 1;
    }

    fn output(&mut self, output: &OutputRecord<'_>, guest: &Guest) {
        let OutputRecord { effect, effects, .. } = output;
        let wire = &guest.wiring.outputs[usize::from(effect.on)];
        let key = match effect.what {
            Action::SendKeyed | Action::TombstoneKeyed => effect.name.of(&effects.bytes),
            _ => output.key,
        };
        let mut text = vec![];
        let value = match (effect.what, &wire.form) {
            (Action::Tombstone | Action::TombstoneKeyed, _) => None,
            (_, Form::Avro(prefix)) => Some([prefix.as_slice(), effect.value.of(&effects.bytes)]),
            (_, Form::Json(json)) => {
                // The datum was checked just before.
                let _ = json.convert(effect.value.of(&effects.bytes), &mut text);
                Some([text.as_slice(), &[]])
            }
        };
        let index = usize::from(wire.topic) - usize::from(self.layout.outputs);
        Tally::add(&mut self.tally.outputs, index, 1);
        self.epoch.write(Piece {
            topic: wire.topic,
            partition: murmur2::partition(key, wire.partitions),
            timestamp: effect.at,
            key: Some(key),
            value,
        });
        for header in output.headers() {
            let name = String::from_utf8_lossy(header.name.of(&effects.bytes)).into_owned();
            self.epoch.header(&name, header.value.of(&effects.bytes));
        }
    }

    fn ask(&mut self, question: &LookupQuestion<'_>, planned: &LiveStep, guest: &Guest) -> Box<[u8]> {
        // A record or a timer asks as number 0. A reply asks by its own number after the last step, starting at 1.
        let sequence = match planned.what {
            StepInput::Reply { .. } => self.progress.sequence() + 1,
            _ => 0,
        };
        let id = lookups::id(self.progress.last(), sequence, question.number);
        if !self.schedule.follows_journal() {
            self.epoch.questions.push(service::ServiceCall {
                task: self.partition,
                id: id.clone(),
                service: guest.wiring.lookups[usize::from(question.lookup)].service,
                request: question.request.to_vec(),
            });
        }
        id
    }

    fn count(&mut self, counter: u16, by: u64) {
        Tally::add(&mut self.tally.counts, usize::from(counter), by);
    }

    fn done(&mut self, planned: &LiveStep, _: &StepEffects<'_>, state: &TaskState, guest: &Guest) {
        if let Some(refusal) = &planned.refused {
            self.dead_letter(planned, refusal, state, guest);
        }
        match &planned.what {
            StepInput::Record(record) => self.arrivals.take(record),
            StepInput::Reply { .. } => self.progress.journaled(),
            StepInput::Timer(_) | StepInput::Elsewhere(_) => {}
        }
    }

    fn end(&mut self, taken: &[LiveStep], effects: &Effects) {
        if let Some(tape) = self.shadow.as_mut().and_then(|shadow| shadow.tape()) {
            tape.taken(taken, effects);
        }
    }
}
