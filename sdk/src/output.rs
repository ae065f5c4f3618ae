//! What rules send: records to outputs, questions to services, counts.

use crate::avro::Datum;
use crate::ctx::Ctx;
use crate::entry::{Entry, Part};
use crate::wire::Action;
use std::marker::PhantomData;

/// An output stream.
pub struct Output<T> {
    output: u16,
    of: PhantomData<fn() -> T>,
}

impl<T: Datum> Output<T> {
    pub(crate) fn new(output: u16) -> Self {
        Output {
            output,
            of: PhantomData,
        }
    }

    /// Sends a record with the key and the time of the input.
    #[inline]
    pub fn send(&self, ctx: &mut Ctx, value: &T::Of<'_>) {
        let at = ctx.now();
        let mut work = ctx.shared.work.borrow_mut();
        work.emit(Action::Send, self.output, at, |_| (), |out| T::encode(value, out));
    }

    /// Begins a record that may have another key or time, headers, or no value.
    pub fn record<'c, 'a>(&self, ctx: &'c mut Ctx<'a>) -> OutputRecord<'c, 'a, T> {
        OutputRecord {
            output: self.output,
            at: ctx.now(),
            ctx,
            key: None,
            headers: Vec::new(),
            of: PhantomData,
        }
    }
}

/// A record that was not sent yet, made by [`Output::record`].
#[must_use = "it is sent by `send` or `send_tombstone`"]
pub struct OutputRecord<'c, 'a, T> {
    ctx: &'c mut Ctx<'a>,
    output: u16,
    at: i64,
    key: Option<&'c [u8]>,
    headers: Vec<(&'c str, &'c [u8])>,
    of: PhantomData<fn() -> T>,
}

impl<'c, T: Datum> OutputRecord<'c, '_, T> {
    /// Sets another key than the input's.
    pub fn key(mut self, key: &'c (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.key = Some(key.as_ref());
        self
    }

    /// Sets another time than now, in milliseconds since 1970.
    pub fn time(mut self, at: i64) -> Self {
        self.at = at;
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: &'c str, value: &'c [u8]) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Sends the record with this value.
    pub fn send(self, value: &T::Of<'_>) {
        let what = if self.key.is_some() {
            Action::SendKeyed
        } else {
            Action::Send
        };
        self.emit(what, |out| T::encode(value, out));
    }

    /// Sends the record without a value.
    pub fn send_tombstone(self) {
        let what = if self.key.is_some() {
            Action::TombstoneKeyed
        } else {
            Action::Tombstone
        };
        self.emit(what, |_| ());
    }

    fn emit(self, what: Action, value: impl FnOnce(&mut Vec<u8>)) {
        let mut work = self.ctx.shared.work.borrow_mut();
        for (name, value) in &self.headers {
            work.header(name, value);
        }
        let key = self.key.unwrap_or_default();
        work.emit(what, self.output, self.at, |out| out.extend_from_slice(key), value);
    }
}

/// An external service.
pub struct Lookup<Tag, Req> {
    lookup: u16,
    of: PhantomData<fn() -> (Tag, Req)>,
}

impl<Tag: Entry, Req: Datum> Lookup<Tag, Req> {
    pub(crate) fn new(lookup: u16) -> Self {
        Lookup {
            lookup,
            of: PhantomData,
        }
    }

    /// Asks a question. The reply comes to `on_reply` with the tag. Asking again with the same tag replaces the
    /// question.
    #[inline]
    pub fn ask(&self, ctx: &mut Ctx, tag: Tag::Of<'_>, request: &Req::Of<'_>) {
        let mut work = ctx.shared.work.borrow_mut();
        work.emit(
            Action::Ask,
            self.lookup,
            0,
            |out| tag.put(true, out),
            |out| Req::encode(request, out),
        );
    }
}

/// A counter that shows up in the metrics.
pub struct Counter {
    counter: u16,
}

impl Counter {
    pub(crate) fn new(counter: u16) -> Self {
        Counter { counter }
    }

    /// Adds to the counter.
    #[inline]
    pub fn add(&self, ctx: &mut Ctx, by: u32) {
        let mut work = ctx.shared.work.borrow_mut();
        work.emit(Action::Count, self.counter, by.into(), |_| (), |_| ());
    }
}
