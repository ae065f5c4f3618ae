//! The context of the current step: what handlers can read and do.
//!
//! Rule: each effect is recorded once, in the order of the handler's calls. A step that fails leaves only a `reject`.

use crate::arena::Arena;
use crate::declare::Declared;
use crate::entry::Part;
use crate::overlay::{FoundEntry, Overlay, PAGE, Slot};
use crate::rules::{Reject, Timers};
use crate::wire::{Action, Batch, Effect, Effects, Found, Header, Question, Read, Span};
use std::cell::RefCell;
use std::fmt::{Display, Write};
use std::time::Duration;

/// Where state is read from: the host, or its model in the test kit.
pub trait Reader {
    /// The import `get-many` of the WIT package.
    fn get_many(&self, reads: &[Read], bytes: &[u8]) -> Found;
}

/// Maximum number of entries in a page.
pub(crate) const PAGE_LEN: u32 = 64;

/// The current step. `'a` is the lifetime of the batch: everything that is read from it or from state lives that long,
/// even after a write.
pub struct Ctx<'a> {
    pub(crate) shared: &'a Shared<'a>,
    pub(crate) now: i64,
    pub(crate) key: Span,
}

/// What all steps of a batch share.
pub(crate) struct Shared<'a> {
    pub(crate) batch: &'a Batch,
    pub(crate) arena: &'a Arena,
    pub(crate) reader: &'a dyn Reader,
    pub(crate) declared: &'a Declared,
    pub(crate) work: RefCell<Work<'a>>,
}

/// What the steps change.
#[derive(Default)]
pub(crate) struct Work<'a> {
    pub(crate) overlay: Overlay<'a>,
    pub(crate) effects: Effects,
    /// Index of the current input.
    of: u32,
    now: i64,
    key: Span,
    /// Lengths of effects, headers, bytes and clears when the step began.
    begin: [usize; 4],
    /// The first error of a read. The step is rejected for it after its handler has returned.
    broken: Option<Reject>,
    /// Reads for the next call, and the cells that they are for.
    reads: Vec<Read>,
    asked: Vec<u32>,
    /// A buffer for `Ctx::text`.
    text: String,
}

impl Default for Span {
    fn default() -> Self {
        Span::EMPTY
    }
}

#[allow(clippy::derivable_impls, reason = "the type is generated")]
impl Default for Effects {
    fn default() -> Self {
        Effects {
            effects: Vec::new(),
            headers: Vec::new(),
            bytes: Vec::new(),
        }
    }
}

impl<'a> Work<'a> {
    pub(crate) fn recycle<'b>(self, inputs: usize, stores: usize) -> Work<'b> {
        Work {
            overlay: self.overlay.recycle(inputs, stores),
            effects: self.effects,
            reads: self.reads,
            asked: self.asked,
            text: self.text,
            ..Work::default()
        }
    }

    /// Begins step `of`.
    #[inline]
    pub(crate) fn begin(&mut self, of: usize, now: i64, key: Span) {
        (self.of, self.now, self.key) = (of as u32, now, key);
        let effects = &self.effects;
        self.begin = [
            effects.effects.len(),
            effects.headers.len(),
            effects.bytes.len(),
            self.overlay.begin(),
        ];
    }

    /// Index, time and key of the current step.
    pub(crate) fn step(&self) -> (u32, i64, Span) {
        (self.of, self.now, self.key)
    }

    /// Ends the step: keeps its effects, or replaces them by one `reject`.
    #[inline]
    pub(crate) fn end(&mut self, outcome: Result<(), Reject>) {
        let outcome = match self.broken.take() {
            None => outcome,
            Some(broken) => Err(broken),
        };
        if let Err(reject) = outcome {
            self.reject(&reject);
        }
    }

    #[cold]
    fn reject(&mut self, reject: &Reject) {
        let [effects, headers, bytes, clears] = self.begin;
        self.effects.effects.truncate(effects);
        self.effects.headers.truncate(headers);
        self.effects.bytes.truncate(bytes);
        self.overlay.rollback(clears);
        let reason = reject.reason().as_bytes();
        self.emit(Action::Reject, 0, 0, |_| (), |out| out.extend_from_slice(reason));
    }

    #[cold]
    pub(crate) fn fail(&mut self, reject: Reject) {
        self.broken.get_or_insert(reject);
    }

    /// Records an effect. Returns the span of its value.
    #[inline]
    pub(crate) fn emit(
        &mut self,
        what: Action,
        on: u16,
        at: i64,
        name: impl FnOnce(&mut Vec<u8>),
        value: impl FnOnce(&mut Vec<u8>),
    ) -> Span {
        let bytes = &mut self.effects.bytes;
        let start = bytes.len();
        name(bytes);
        let middle = bytes.len();
        value(bytes);
        let name = Span {
            start: start as u32,
            len: (middle - start) as u32,
        };
        let value = Span::since(bytes, middle);
        self.effects.effects.push(Effect {
            what,
            on,
            of: self.of,
            at,
            name,
            value,
        });
        value
    }

    /// Adds a header to the next effect.
    pub(crate) fn header(&mut self, name: &str, value: &[u8]) {
        let bytes = &mut self.effects.bytes;
        let start = bytes.len();
        bytes.extend_from_slice(name.as_bytes());
        let middle = bytes.len();
        bytes.extend_from_slice(value);
        self.effects.headers.push(Header {
            of: self.effects.effects.len() as u32,
            name: Span {
                start: start as u32,
                len: (middle - start) as u32,
            },
            value: Span::since(bytes, middle),
        });
    }

    /// The cell of an entry of the current key.
    #[inline]
    pub(crate) fn cell(&mut self, on: u32, name: impl FnOnce(&mut Vec<u8>)) -> usize {
        let start = self.overlay.names.len();
        name(&mut self.overlay.names);
        self.overlay.cell(on, self.key, start)
    }

    /// Announces that the current step will need an entry, so that it is read in the batch's one call.
    #[inline]
    pub(crate) fn prefetch(&mut self, on: u32, name: impl FnOnce(&mut Vec<u8>)) {
        let cell = self.want(on, name);
        self.overlay.prefetched(cell);
    }

    /// Adds an entry to the next call, unless it is known.
    #[inline]
    pub(crate) fn want(&mut self, on: u32, name: impl FnOnce(&mut Vec<u8>)) -> usize {
        let cell = self.cell(on, name);
        let found = &mut self.overlay.cells[cell];
        if !found.slot.is_unknown(self.of) {
            return cell;
        }
        let of = self.of;
        found.slot = if on & PAGE == 0 {
            Slot::Absent { seq: 0, of }
        } else {
            Slot::Page { first: 0, len: 0, of }
        };
        self.reads.push(Read {
            what: if on & PAGE == 0 {
                Question::Entry
            } else {
                Question::Page
            },
            store: on as u16,
            of: self.of,
            entry: found.name,
            after: Span::EMPTY,
            limit: if on & PAGE == 0 { 1 } else { PAGE_LEN },
        });
        self.asked.push(cell as u32);
        cell
    }
}

impl<'a> Shared<'a> {
    /// Makes the call for everything that is wanted.
    pub(crate) fn ask(&self) {
        let mut work = self.work.borrow_mut();
        let work = &mut *work;
        if work.reads.is_empty() {
            return;
        }
        let found = self.reader.get_many(&work.reads, &work.overlay.names);
        let bytes = self.arena.adopt(found.bytes);
        for cell in &found.cells {
            let asked = &mut work.overlay.cells[work.asked[cell.of as usize] as usize];
            let (value, expires) = (cell.value.of(bytes), cell.expires);
            match &mut asked.slot {
                Slot::Page { first, len, .. } => {
                    if *len == 0 {
                        *first = work.overlay.found.len() as u32;
                    }
                    *len += 1;
                    let entry = cell.entry.of(bytes);
                    work.overlay.found.push(FoundEntry { entry, value, expires });
                }
                slot => *slot = Slot::Held { value, expires, seq: 0 },
            }
        }
        work.reads.clear();
        work.asked.clear();
    }

    /// The current value of an entry.
    #[inline]
    pub(crate) fn get(&self, store: u16, name: impl Fn(&mut Vec<u8>)) -> Option<&'a [u8]> {
        let mut work = self.work.borrow_mut();
        let cell = work.cell(store.into(), &name);
        let now = work.now;
        if !work.overlay.visible(cell, now).is_unknown(work.of) {
            return self.value(&mut work, cell);
        }
        work.want(store.into(), name);
        drop(work);
        self.ask();
        let mut work = self.work.borrow_mut();
        self.value(&mut work, cell)
    }

    /// The value of a known cell. A value that the batch has written is copied, so that it stays readable.
    #[inline]
    pub(crate) fn value(&self, work: &mut Work<'a>, cell: usize) -> Option<&'a [u8]> {
        match work.overlay.visible(cell, work.now) {
            Slot::Held { value, .. } => Some(value),
            Slot::Written { value, expires, seq } => {
                let value = self.arena.copy(value.of(&work.effects.bytes));
                work.overlay.cells[cell].slot = Slot::Held { value, expires, seq };
                Some(value)
            }
            _ => None,
        }
    }

    /// Whether an entry exists now.
    #[inline]
    pub(crate) fn has(&self, store: u16, name: impl Fn(&mut Vec<u8>)) -> bool {
        {
            let mut work = self.work.borrow_mut();
            let cell = work.cell(store.into(), &name);
            match work.overlay.visible(cell, work.now) {
                Slot::Held { .. } | Slot::Written { .. } => return true,
                slot if slot.is_unknown(work.of) => {}
                _ => return false,
            }
        }
        self.get(store, name).is_some()
    }

    /// Writes an entry, for `ttl` milliseconds or for ever.
    #[inline]
    pub(crate) fn put(
        &self,
        store: u16,
        ttl: Option<i64>,
        name: impl FnOnce(&mut Vec<u8>),
        value: impl FnOnce(&mut Vec<u8>),
    ) {
        let mut work = self.work.borrow_mut();
        let work = &mut *work;
        let cell = work.cell(store.into(), name);
        let expires = ttl.map_or(i64::MAX, |ttl| work.now.saturating_add(ttl));
        let (effects, entry) = (&mut work.effects.bytes, work.overlay.cells[cell].name);
        effects.reserve(entry.len as usize);
        let names = std::mem::take(&mut work.overlay.names);
        let value = work.emit(
            Action::Put,
            store,
            expires,
            |out| out.extend_from_slice(entry.of(&names)),
            value,
        );
        work.overlay.names = names;
        work.overlay.write(cell, store, Some((value, expires)));
    }

    /// Removes an entry.
    #[inline]
    pub(crate) fn delete(&self, store: u16, name: impl FnOnce(&mut Vec<u8>)) {
        let mut work = self.work.borrow_mut();
        let work = &mut *work;
        let cell = work.cell(store.into(), name);
        let entry = work.overlay.cells[cell].name;
        let names = std::mem::take(&mut work.overlay.names);
        work.emit(
            Action::Delete,
            store,
            0,
            |out| out.extend_from_slice(entry.of(&names)),
            |_| (),
        );
        work.overlay.names = names;
        work.overlay.write(cell, store, None);
    }

    /// Removes every entry that begins with `head`.
    pub(crate) fn clear(&self, store: u16, head: impl Fn(&mut Vec<u8>)) {
        let mut work = self.work.borrow_mut();
        let work = &mut *work;
        work.emit(Action::Clear, store, 0, &head, |_| ());
        let start = work.overlay.names.len();
        head(&mut work.overlay.names);
        work.overlay.clear(store, work.key, start);
    }

    /// The decoded value. If it can't be decoded, the step is rejected.
    #[inline]
    pub(crate) fn read<T, E: Display>(&self, store: u16, decoded: Result<T, E>) -> Option<T> {
        match decoded {
            Ok(value) => Some(value),
            Err(error) => {
                let name = &self.declared.stores[store as usize].name;
                self.work
                    .borrow_mut()
                    .fail(Reject::new(format_args!("state `{name}` can't be read: {error}")));
                None
            }
        }
    }
}

impl<'a> Ctx<'a> {
    /// Time of the step in milliseconds since 1970: the effective time of an event, or the due time of a timer.
    #[inline]
    pub fn now(&self) -> i64 {
        self.now
    }

    /// Key of the input. State, timers and lookups belong to it.
    #[inline]
    pub fn key(&self) -> &'a [u8] {
        self.key.of(&self.shared.batch.bytes)
    }

    /// Key of the input, as text.
    pub fn key_text(&self) -> Result<&'a str, std::str::Utf8Error> {
        std::str::from_utf8(self.key())
    }

    /// Headers of the event, in their order, without those whose names are not UTF-8.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        let batch = self.shared.batch;
        let of = self.shared.work.borrow().of;
        let first = batch.headers.partition_point(|header| header.of < of);
        let own = batch.headers[first..].iter().take_while(move |header| header.of == of);
        own.map(|header| {
            (
                std::str::from_utf8(header.name.of(&batch.bytes)).unwrap_or(""),
                header.value.of(&batch.bytes),
            )
        })
    }

    /// The first header with this name.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers().find(|header| header.0 == name).map(|header| header.1)
    }

    /// Sets a timer. It replaces one of the same kind with the same fields. A time that is not after now becomes now +
    /// 1 ms.
    pub fn set_timer<'d, D: Timers<'d>>(&mut self, at: i64, due: D) {
        self.timer(Action::SetTimer, at, due);
    }

    /// Sets a timer that is due this long after now.
    pub fn set_timer_in<'d, D: Timers<'d>>(&mut self, after: Duration, due: D) {
        self.set_timer(self.now.saturating_add(millis(after)), due);
    }

    /// Cancels a timer, if it is set.
    pub fn cancel<'d, D: Timers<'d>>(&mut self, due: D) {
        self.timer(Action::CancelTimer, 0, due);
    }

    #[inline]
    fn timer<'d, D: Timers<'d>>(&mut self, what: Action, at: i64, due: D) {
        let kinds = self.shared.declared.timers;
        assert!(
            std::ptr::eq(kinds, D::KINDS) || kinds == D::KINDS,
            "this timer is not of the rules' own `Due`: there are {kinds:?}, not {:?}",
            D::KINDS
        );
        self.shared
            .work
            .borrow_mut()
            .emit(what, due.kind(), at, |out| due.tag(out), |_| ());
    }

    /// Makes a text that can be put into a value of this batch.
    pub fn text(&self, text: impl Display) -> &'a str {
        let mut made = std::mem::take(&mut self.shared.work.borrow_mut().text);
        made.clear();
        let written = write!(made, "{text}");
        let copy = self.shared.arena.text(&made);
        let mut work = self.shared.work.borrow_mut();
        work.text = made;
        if written.is_err() {
            work.fail(Reject::new("a text could not be written"));
        }
        copy
    }
}

/// Announces the state that a step will read.
pub struct Reads<'a> {
    pub(crate) shared: &'a Shared<'a>,
}

pub(crate) fn millis(duration: Duration) -> i64 {
    duration.as_millis().try_into().unwrap_or(i64::MAX)
}

/// Encodes a part that is a whole name.
#[inline]
pub(crate) fn whole<'p>(part: impl Part<'p>) -> impl Fn(&mut Vec<u8>) {
    move |out| part.put(true, out)
}
