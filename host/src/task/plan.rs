//! The next steps of a task, as one batch for the rules.
//!
//! Rule: a batch holds the next inputs in step order, and nothing is taken by planning: what the batch turns out not to
//! cover is planned again. Replies stand right after the last step taken, so they come first.

use super::shelf::Shelf;
use super::sources::Sources;
use super::{Guest, Task};
use crate::journal::{Ending, Verdict};
use crate::lookups::LookupName;
use crate::metrics::DeadLetter;
use crate::order::Entry;
use crate::record::{Millis, Span, StepKey};
use crate::rows;
use crate::rules::{Happening, Header, Input};

/// Bytes of values in one batch, beyond its first input: 512 inputs of 512 bytes. It bounds the guest's memory too.
const BATCH_BYTES: usize = 256 << 10;

/// One step of a batch.
pub struct Planned {
    /// What it is.
    pub what: What,
    /// Its index among the inputs of the call; none: the rules don't see it.
    pub input: Option<u32>,
    /// Why it goes to the dead letters; empty: it does not.
    pub dead: String,
    /// The kind of that reason.
    pub kind: DeadLetter,
    /// Its time.
    pub time: Millis,
    /// Hash of its key.
    pub hash: u64,
}

/// What a step is.
pub enum What {
    /// A record.
    Record(Entry),
    /// A timer.
    Timer(StepKey),
    /// The end of a lookup.
    Reply {
        /// Which lookup.
        name: LookupName,
        /// Its id.
        id: Box<[u8]>,
        /// What came.
        ending: Ending,
    },
}

impl Task {
    /// Plans up to `limit` steps. False: there is none now.
    pub fn plan(&mut self, guest: &mut Guest, sources: &mut Sources) -> bool {
        self.plan.clear();
        self.batch.inputs.clear();
        self.batch.headers.clear();
        self.batch.bytes.clear();
        self.view.inputs.clear();
        self.batch_number += 1;
        self.shelf.begin();

        self.plan_replies();
        self.plan_order();
        self.build(guest, sources);
        !self.plan.is_empty()
    }

    fn plan_replies(&mut self) {
        let time = self.last.time();
        while self.plan.len() < self.limit
            && let Some(reply) = self.schedule.reply(self.plan.len())
        {
            let Some((name, _)) = self.lookups.find(&reply.id) else {
                // The lookup was asked again since, so this reply is to the old question.
                self.schedule.drop_reply(self.plan.len());
                continue;
            };
            let what = What::Reply {
                name: name.clone(),
                id: reply.id.clone(),
                ending: reply.ending.clone(),
            };
            self.plan.push(Planned::new(what, time));
        }
    }

    fn plan_order(&mut self) {
        // What an order holds back is behind the bound, as what is not final is.
        let watermark = self.watermark().min(self.schedule.bound());
        if self.plan.len() >= self.limit || self.schedule.awaits_reply(&self.last) {
            return;
        }
        let want = self.limit - self.plan.len();
        let bound = self.schedule.journal_bound();
        // What was ready under a later bound stays so, when an order has brought the bound back.
        let ready = self.order.ready(watermark, want).iter();
        let mut records = ready.take_while(|entry| entry.time < watermark).peekable();
        let mut timers = self
            .timers
            .iter()
            .take_while(|timer| timer.time() < watermark)
            .peekable();
        let mut bytes = 0;
        while self.plan.len() < self.limit && bytes < BATCH_BYTES {
            let is_record = match (records.peek(), timers.peek()) {
                // A record goes before a timer of the same time.
                (Some(record), Some(timer)) => record.time <= timer.time(),
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => break,
            };
            let planned = if is_record {
                // Peeked just now.
                let Some(&entry) = records.next() else { break };
                if !self.shelf.bring(entry.chunk) {
                    break;
                }
                let (_, record) = self.shelf.get(entry.chunk, entry.record);
                bytes += record.value.map_or(0, |value| value.len as usize);
                Planned::new(What::Record(entry), entry.time)
            } else {
                let Some(timer) = timers.next() else { break };
                Planned::new(What::Timer(timer.clone()), timer.time())
            };
            if let Some(bound) = bound
                && planned.step().is_some_and(|step| step > *bound)
            {
                break;
            }
            self.plan.push(planned);
        }
    }

    /// Makes the inputs of the call: keys, values in the reader's schema, headers.
    fn build(&mut self, guest: &mut Guest, sources: &mut Sources) {
        let mut plan = std::mem::take(&mut self.plan);
        // Two passes, so that the cache lines of all keys are on their way before the first is needed.
        self.hashes.clear();
        for planned in &mut plan {
            planned.hash = rows::hash(key(&self.shelf, &planned.what));
            self.hashes.push(planned.hash);
        }
        self.view.rows.prefetch_all(&self.hashes);
        for planned in &mut plan {
            let trapped = self.schedule.trapped_before(|| match &planned.what {
                What::Reply { .. } => Some((self.last.clone(), Some(self.sequence))),
                _ => Some((planned.step()?, None)),
            });
            if let Some(reason) = trapped {
                planned.dead = reason.to_owned();
                planned.kind = DeadLetter::Trap;
                continue;
            }
            match self.input(planned, guest, sources) {
                Ok(Some(input)) => {
                    planned.input = Some(self.batch.inputs.len() as u32);
                    self.batch.inputs.push(input);
                }
                Ok(None) => {}
                Err(reason) => {
                    planned.dead = reason;
                    planned.kind = self.kind(&planned.what);
                }
            }
        }
        self.plan = plan;
    }

    /// Why a step can't be read, as a kind.
    fn kind(&self, what: &What) -> DeadLetter {
        let What::Record(entry) = what else {
            return DeadLetter::Unreadable;
        };
        let (_, record) = self.shelf.get(entry.chunk, entry.record);
        let judged = self.inboxes[usize::from(entry.rank)].verdict(entry.offset);
        match (record.key, record.value, judged) {
            (_, _, Some(Verdict::TooFarAhead)) => DeadLetter::TooFarAhead,
            (None, _, _) => DeadLetter::NoKey,
            (_, None, _) => DeadLetter::NoValue,
            _ => DeadLetter::Unreadable,
        }
    }

    /// The input of a step; none: the rules don't see it. Err: it can't be read, why.
    fn input(&mut self, planned: &Planned, guest: &mut Guest, sources: &mut Sources) -> Result<Option<Input>, String> {
        let none = Span::default();
        let mut input = Input {
            what: Happening::Event,
            late: false,
            source: 0,
            rank: 0,
            time: planned.time,
            offset: 0,
            key: none,
            tag: none,
            value: none,
        };
        match &planned.what {
            What::Record(entry) => {
                let (chunk, record) = self.shelf.get(entry.chunk, entry.record);
                if entry.unreadable {
                    return Err(match self.inboxes[usize::from(entry.rank)].verdict(entry.offset) {
                        Some(verdict) => verdict.to_string(),
                        None => unreadable(sources.time(entry.rank, chunk, record)),
                    });
                }
                let Some((source, _)) = &guest.wiring.inputs[usize::from(entry.rank)] else {
                    return Ok(None);
                };
                input.source = *source;
                input.rank = entry.rank;
                input.late = entry.late;
                input.offset = entry.offset as u64;
                let bytes = &mut self.batch.bytes;
                let before = bytes.len();
                match record.value {
                    None => input.what = Happening::Tombstone,
                    Some(value) => {
                        let value = value.of(&chunk.bytes);
                        if let Err(why) = guest.readers.read(sources, entry.rank, value, bytes) {
                            bytes.truncate(before);
                            return Err(why);
                        }
                    }
                }
                input.value = Span {
                    start: before as u32,
                    len: (bytes.len() - before) as u32,
                };
                for (name, value) in &chunk.headers[record.headers.start as usize..record.headers.end as usize] {
                    let of = self.batch.inputs.len() as u32;
                    let name = Span::append(bytes, name.of(&chunk.bytes));
                    let value = Span::append(bytes, value.of(&chunk.bytes));
                    self.batch.headers.push(Header { of, name, value });
                }
            }
            What::Timer(StepKey::Timer { kind, tag, .. }) => {
                input.what = Happening::Timer;
                // Binding a version refuses one that does not know a pending kind.
                let index = self.ids.timers.iter().position(|id| id == kind);
                input.source = index.ok_or("the rules don't know this kind of timer")? as u16;
                input.tag = Span::append(&mut self.batch.bytes, tag);
            }
            What::Timer(_) => return Err("not a timer".into()),
            What::Reply { name, ending, .. } => {
                let index = self.ids.lookups.iter().position(|id| *id == name.1);
                let index = index.ok_or("the rules don't know this lookup")?;
                input.source = index as u16;
                input.tag = Span::append(&mut self.batch.bytes, &name.2);
                (input.what, input.value) = match ending {
                    Ending::Absent => (Happening::Absent, none),
                    Ending::Unavailable => (Happening::Unavailable, none),
                    Ending::Body(body) => {
                        let before = self.batch.bytes.len();
                        match guest.wiring.lookups[index].reply.read(body, &mut self.batch.bytes) {
                            Ok(()) => {
                                let len = (self.batch.bytes.len() - before) as u32;
                                (
                                    Happening::Answer,
                                    Span {
                                        start: before as u32,
                                        len,
                                    },
                                )
                            }
                            Err(_) => {
                                self.batch.bytes.truncate(before);
                                (Happening::Unreadable, none)
                            }
                        }
                    }
                };
            }
        }
        input.key = self.place_key(planned);
        Ok(Some(input))
    }

    /// The key's place in the batch: the same for equal keys. Also tells the view whose input this is.
    fn place_key(&mut self, planned: &Planned) -> Span {
        let key = key(&self.shelf, &planned.what);
        let slot = self.view.rows.slot(planned.hash, key);
        self.view.inputs.push((slot, planned.time));
        let index = slot.index();
        if index >= self.spans.len() {
            self.spans.resize(index + 1, (0, Span::default()));
        }
        let (number, span) = &mut self.spans[index];
        if *number != self.batch_number {
            *number = self.batch_number;
            *span = Span::append(&mut self.batch.bytes, key);
        }
        *span
    }
}

/// The key of a step's state.
pub fn key<'a>(shelf: &'a Shelf, what: &'a What) -> &'a [u8] {
    match what {
        What::Record(entry) => {
            let (chunk, record) = shelf.get(entry.chunk, entry.record);
            record.key.map_or(&[], |key| key.of(&chunk.bytes))
        }
        What::Timer(StepKey::Timer { key, .. }) => key,
        What::Timer(_) => &[],
        What::Reply { name, .. } => &name.0,
    }
}

impl Planned {
    fn new(what: What, time: Millis) -> Planned {
        Planned {
            what,
            input: None,
            dead: String::new(),
            kind: DeadLetter::Unreadable,
            time,
            hash: 0,
        }
    }

    /// Its place in the order; none for a reply, which stands after the last step.
    pub fn step(&self) -> Option<StepKey> {
        match &self.what {
            What::Record(entry) => Some(entry.step()),
            What::Timer(step) => Some(step.clone()),
            What::Reply { .. } => None,
        }
    }
}

/// The reason again, of a record that had no time when it arrived.
fn unreadable(time: Result<Millis, super::sources::NoTime>) -> String {
    use super::sources::NoTime;
    match time {
        Err(NoTime::Unreadable(why) | NoTime::Wait(why)) => why,
        Err(NoTime::UnknownSchema(id)) => format!("the registry knows no schema with id {id}"),
        Ok(_) => "its time is further ahead of the broker's append time than max_ahead allows".into(),
    }
}
