//! Functions that derived code calls. They are not for authors of rules.

use crate::avro::{Datum, decode_all};
use crate::entry::Part;
pub use crate::entry::{BadParts, Parts};
use crate::inputs::NoAnswer;
pub use crate::inputs::{Answers, Named};
use crate::reject::Reject;
pub use crate::settings::Settings;

pub const fn stream<T: Datum>(name: &'static str) -> Named {
    Named {
        name,
        schema: T::SCHEMA,
    }
}

#[inline]
pub fn event<'a, T: Datum>(name: &str, value: Option<&'a [u8]>) -> Result<T::Of<'a>, Reject> {
    match value {
        Some(value) => decode_all::<T>(value)
            .map_err(|bad| Reject::new(format_args!("the value from `{name}` can't be read: {bad}"))),
        None => Err(Reject::new(format_args!("a record without a value came from `{name}`"))),
    }
}

#[cold]
pub fn no_stream<T>(source: u16) -> Result<T, Reject> {
    Err(Reject::new(format_args!("these rules have no input number {source}")))
}

#[cold]
pub fn no_lookup<T>(source: u16) -> Result<T, Reject> {
    Err(Reject::new(format_args!("these rules have no lookup number {source}")))
}

pub const fn lookup<'p, T: Datum, Tag: Part<'p>>(name: &'static str) -> Answers {
    Answers {
        name,
        schema: T::SCHEMA,
        tag: Tag::shape,
    }
}

pub fn tag<T>(name: &str, tag: Result<T, BadParts>) -> Result<T, Reject> {
    tag.map_err(|bad| Reject::new(format_args!("tag of lookup `{name}`: {bad}")))
}

/// An answer that can't be decoded counts as unreadable, although the host has checked it against the schema.
pub fn answer<'a, T: Datum>(answer: Result<&'a [u8], NoAnswer>) -> Result<T::Of<'a>, NoAnswer> {
    answer.and_then(|answer| decode_all::<T>(answer).map_err(|_| NoAnswer::Unreadable))
}
