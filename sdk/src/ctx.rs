//! The context of the current step: what handlers can read and do.

use crate::entry::Part;
use crate::inputs::Timers;
use crate::reject::Reject;
use crate::shared::Shared;
use crate::wire::{Action, Span};
use std::fmt::{Display, Write};
use std::time::Duration;

/// The current step. `'a` is the lifetime of the batch: everything that is read from it or from state lives that long,
/// even after a write.
pub struct Ctx<'a> {
    pub(crate) shared: &'a Shared<'a>,
    pub(crate) now: i64,
    pub(crate) key: Span,
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
