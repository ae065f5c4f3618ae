//! What the steps of a batch change: the overlay over state, and the effects.
//!
//! Rule: each effect is recorded once, in the order of the handler's calls. A step that fails leaves only a `reject`.

use crate::overlay::{Overlay, PAGE, Slot};
use crate::reject::Reject;
use crate::wire::{Action, Effect, Effects, Header, Question, Read, Span};

/// Maximum number of entries in a page.
pub(crate) const PAGE_LEN: u32 = 64;

/// What the steps change.
#[derive(Default)]
pub(crate) struct Work<'a> {
    pub(crate) overlay: Overlay<'a>,
    pub(crate) effects: Effects,
    /// Index of the current input.
    pub(crate) of: u32,
    pub(crate) now: i64,
    pub(crate) key: Span,
    /// Lengths of effects, headers, bytes and clears when the step began.
    begin: [usize; 4],
    /// The first error of a read. The step is rejected for it after its handler has returned.
    broken: Option<Reject>,
    /// Reads for the next call, and the cells that they are for.
    pub(crate) reads: Vec<Read>,
    pub(crate) asked: Vec<u32>,
    /// A buffer for `Ctx::text`.
    pub(crate) text: String,
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
