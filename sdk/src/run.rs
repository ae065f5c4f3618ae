//! Runs rules on a batch: decodes all inputs, reads all announced state, and calls one handler after the other.
//!
//! Rule: the effects of an input don't depend on what else is in the batch.

use crate::arena::Arena;
use crate::ctx::{Ctx, Reads};
use crate::declare::Declare;
use crate::declared::Declared;
use crate::entry::Parts;
use crate::inputs::{Inputs, NoAnswer, Replies, Timers};
use crate::overlay::recycle;
use crate::place::Place;
use crate::reject::Reject;
use crate::rules::{Outcome, Record, Rules, Step};
use crate::settings::Settings;
use crate::shared::{Reader, Shared};
use crate::wire::{self, Batch, Description, Effects, Happening, Input};
use crate::work::Work;
use std::cell::RefCell;

/// An instance of rules. Memory is reused from batch to batch, but nothing in it.
pub struct Runner<R: Rules> {
    rules: R,
    declared: Declared,
    arena: Arena,
    work: Work<'static>,
    steps: Vec<Result<Step<'static, R>, Reject>>,
}

impl<R: Rules> Runner<R> {
    /// Makes an instance from the settings, which are the text of a JSON object.
    pub fn new(settings: &str) -> Result<Self, String> {
        let settings = Settings::read::<R::Settings>(settings)?;
        let mut declare = Declare::new(
            <R::Event<'static> as Inputs>::STREAMS,
            <R::Reply<'static> as Replies>::LOOKUPS,
            <R::Due<'static> as Timers>::KINDS,
        );
        let rules = R::new(settings, &mut declare);
        Ok(Runner {
            rules,
            declared: declare.finish()?,
            arena: Arena::default(),
            work: Work::default(),
            steps: Vec::new(),
        })
    }

    /// The result of `describe`.
    pub fn description(&self) -> Description {
        self.declared.description()
    }

    /// Does the work of `process`.
    pub fn run(&mut self, batch: &Batch, reader: &dyn Reader) -> Effects {
        let stores = self.declared.stores.len();
        let mut work = std::mem::take(&mut self.work).recycle(batch.inputs.len(), stores);
        // An input has two or three effects with about 300 bytes. If that is too little, a vector is copied once.
        work.effects.effects.reserve(batch.inputs.len() * 4);
        work.effects.bytes.reserve(batch.inputs.len() * 512);
        let shared = Shared {
            batch,
            arena: &self.arena,
            reader,
            declared: &self.declared,
            work: RefCell::new(work),
        };
        let mut steps: Vec<Result<Step<'_, R>, Reject>> = recycle(std::mem::take(&mut self.steps));
        step_all(&self.rules, &shared, &mut steps);
        let mut work = shared.work.take();
        let effects = std::mem::take(&mut work.effects);
        // What borrows from the batch ends with the call; the memory is kept, empty.
        self.work = work.recycle(0, stores);
        self.steps = recycle(steps);
        self.arena.reset();
        effects
    }
}

fn step_all<'a, R: Rules>(rules: &R, shared: &'a Shared<'a>, steps: &mut Vec<Result<Step<'a, R>, Reject>>) {
    let batch = shared.batch;
    let mut reads = Reads { shared };
    for (of, input) in batch.inputs.iter().enumerate() {
        let step = decode::<R>(shared, input);
        shared.work.borrow_mut().overlay.prefetching();
        if let Ok(step) = &step {
            shared.work.borrow_mut().begin(of, input.time, input.key);
            rules.reads(step, &mut reads);
        }
        steps.push(step);
    }
    shared.ask();
    for (of, (input, step)) in batch.inputs.iter().zip(steps.drain(..)).enumerate() {
        {
            let mut work = shared.work.borrow_mut();
            work.begin(of, input.time, input.key);
            work.overlay.handling(of);
        }
        let mut ctx = Ctx {
            shared,
            now: input.time,
            key: input.key,
        };
        let outcome = step.and_then(|step| handle(rules, &mut ctx, step));
        shared.work.borrow_mut().end(outcome);
    }
}

#[inline]
fn handle<'a, R: Rules>(rules: &R, ctx: &mut Ctx<'a>, step: Step<'a, R>) -> Outcome {
    match step {
        Step::Event(record) => rules.on_event(ctx, record),
        Step::Timer(due) => rules.on_timer(ctx, due),
        Step::Reply(reply) => rules.on_reply(ctx, reply),
    }
}

#[inline]
fn decode<'a, R: Rules>(shared: &'a Shared<'a>, input: &Input) -> Result<Step<'a, R>, Reject> {
    let bytes = &shared.batch.bytes;
    let tag = || Parts::new(input.tag.of(bytes), shared.arena);
    let event = |value| {
        R::Event::decode(input.source, value).map(|event| {
            Step::Event(Record {
                event,
                late: input.late,
                place: Place {
                    time: input.time,
                    rank: input.rank,
                    offset: input.offset,
                },
            })
        })
    };
    let reply = |answer| R::Reply::decode(input.source, tag(), answer).map(Step::Reply);
    match input.what {
        Happening::Event => event(Some(input.value.of(bytes))),
        Happening::Tombstone => event(None),
        Happening::Timer => R::Due::decode(input.source, tag()).map(Step::Timer).map_err(|bad| {
            let name = shared.declared.timers.get(input.source as usize).unwrap_or(&"?");
            Reject::new(format_args!("tag of timer `{name}`: {bad}"))
        }),
        Happening::Answer => reply(Ok(input.value.of(bytes))),
        Happening::Absent => reply(Err(NoAnswer::Absent)),
        Happening::Unavailable => reply(Err(NoAnswer::Unavailable)),
        Happening::Unreadable => reply(Err(NoAnswer::Unreadable)),
    }
}

/// The runner of a component, which exists after `describe`.
pub struct Slot<R: Rules>(RefCell<Option<Runner<R>>>);

impl<R: Rules> Slot<R> {
    /// The slot before `describe`.
    #[allow(clippy::new_without_default, reason = "it is called in a const")]
    pub const fn new() -> Self {
        Slot(RefCell::new(None))
    }

    /// Implements the export `describe`.
    pub fn describe(&self, settings: &str) -> Result<Description, String> {
        std::panic::set_hook(Box::new(|panic| {
            wire::host::log(wire::Level::Error, &panic.to_string())
        }));
        let runner = Runner::new(settings)?;
        let description = runner.description();
        *self.0.borrow_mut() = Some(runner);
        Ok(description)
    }

    /// Implements the export `process`.
    pub fn process(&self, batch: &Batch) -> Effects {
        match &mut *self.0.borrow_mut() {
            Some(runner) => runner.run(batch, &Host),
            None => panic!("`process` was called before `describe`"),
        }
    }
}

/// Reads state from the host.
struct Host;

impl Reader for Host {
    fn get_many(&self, reads: &[wire::Read], bytes: &[u8]) -> wire::Found {
        wire::host::get_many(reads, bytes)
    }
}
