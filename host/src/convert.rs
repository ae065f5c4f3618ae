//! Values into values: Avro to Avro, JSON to Avro and back, event times, URL templates, compatibility.
//!
//! Rule: a schema, or a (writer, reader) pair, is compiled once; after that a value costs one pass over its bytes, and
//! nothing is allocated but what `out` grows by. Whatever the bytes are, the answer is a value or [`Unreadable`]: no
//! panic, no endless loop, no more than [`MAX_OUT`] bytes. Where something is unreadable, `out` is as it was before.
//!
//! What every program here agrees on:
//! - A decimal is a two's complement number of any length, at least one byte, within its precision.
//! - Text is UTF-8; a boolean is 0 or 1; nothing follows the value; values nest [`MAX_DEPTH`] deep at most.
//! - Logical types that are invalid, or not known, are ignored, as Avro demands.

mod canonical;
mod datum;
mod decimal;
mod default;
mod gather;
mod instant;
mod json;
mod json_reader;
mod json_writer;
mod leaf;
mod quoted;
mod resolver;
mod schema;
mod template;
mod time;
mod validator;

#[cfg(test)]
mod tests;

pub use canonical::fingerprint;
pub(crate) use instant::write_millis;
pub use json_reader::JsonReader;
pub use json_writer::JsonWriter;
pub use resolver::{Resolver, incompatibilities};
pub use template::Template;
pub use time::{AvroTime, JsonTime};
pub use validator::Validator;

use std::fmt;
use std::sync::Arc;

/// Records, arrays and maps within each other, at most. A level takes under 1 KiB of stack, so 128 KiB of a thread's 2 MiB.
pub const MAX_DEPTH: u32 = 128;

/// What one value may become, in bytes. Sixty times Kafka's default for a record; it also keeps positions within u32.
pub const MAX_OUT: usize = 64 << 20;

/// Items without any bytes (nulls, empty records) in one datum, at most: ten bytes may claim 2^63 of them.
pub const MAX_EMPTY_ITEMS: u32 = 1 << 16;

/// A time as ISO-8601.
pub fn iso(at: crate::record::Millis) -> String {
    let mut text = vec![];
    instant::write_millis(at, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// The time of a text: ISO-8601 with an offset, or a number of milliseconds since 1970.
pub fn instant(text: &str) -> Option<crate::record::Millis> {
    text.parse().ok().or_else(|| instant::parse_millis(text.as_bytes()))
}

/// Why a value can't be read: what, and where in it. Cheap until it is displayed; allocated only when there is one.
#[derive(Clone, PartialEq, Eq)]
pub struct Unreadable(Box<Fault>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    what: &'static str,
    detail: Detail,
    /// Innermost first.
    path: Vec<Place>,
}

/// What a message is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Detail {
    None,
    Number(i64),
    Name(Arc<str>),
    /// Position in a text.
    At(usize),
}

/// A step of the path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Field(Arc<str>),
    Item(u64),
    Entry(u64),
}

impl Unreadable {
    #[cold]
    #[inline(never)]
    fn new(what: &'static str) -> Self {
        Self::with(what, Detail::None)
    }

    #[cold]
    #[inline(never)]
    fn number(what: &'static str, number: i64) -> Self {
        Self::with(what, Detail::Number(number))
    }

    #[cold]
    #[inline(never)]
    fn name(what: &'static str, name: &Arc<str>) -> Self {
        Self::with(what, Detail::Name(name.clone()))
    }

    #[cold]
    #[inline(never)]
    fn at(what: &'static str, at: usize) -> Self {
        Self::with(what, Detail::At(at))
    }

    fn with(what: &'static str, detail: Detail) -> Self {
        Unreadable(Box::new(Fault {
            what,
            detail,
            path: Vec::new(),
        }))
    }

    /// The same, in a field of this name.
    #[cold]
    #[inline(never)]
    fn in_field(mut self, name: &Arc<str>) -> Self {
        self.0.path.push(Place::Field(name.clone()));
        self
    }

    /// The same, in an item of an array.
    #[cold]
    #[inline(never)]
    fn in_item(mut self, index: u64) -> Self {
        self.0.path.push(Place::Item(index));
        self
    }

    /// The same, in an entry of a map.
    #[cold]
    #[inline(never)]
    fn in_entry(mut self, index: u64) -> Self {
        self.0.path.push(Place::Entry(index));
        self
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for place in self.0.path.iter().rev() {
            match place {
                Place::Field(name) if first => write!(f, "{name}")?,
                Place::Field(name) => write!(f, ".{name}")?,
                Place::Item(index) => write!(f, "[{index}]")?,
                Place::Entry(index) => write!(f, "{{entry {index}}}")?,
            }
            first = false;
        }
        if !first {
            f.write_str(": ")?;
        }
        f.write_str(self.0.what)?;
        match &self.0.detail {
            Detail::None => Ok(()),
            Detail::Number(number) => write!(f, ": {number}"),
            Detail::Name(name) => write!(f, ": {name}"),
            Detail::At(at) => write!(f, ", at byte {at} of the text"),
        }
    }
}

impl fmt::Debug for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unreadable({self})")
    }
}

impl std::error::Error for Unreadable {}

/// Why a schema can't be used, or a reader can't read what a writer writes: the path in the schema, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incompatible {
    path: String,
    why: String,
}

impl Incompatible {
    fn new(path: &str, why: impl Into<String>) -> Self {
        Incompatible {
            path: path.to_owned(),
            why: why.into(),
        }
    }

    /// Where in the schema, fields with dots between; empty at the top.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The reason, without the path.
    pub fn why(&self) -> &str {
        &self.why
    }
}

impl fmt::Display for Incompatible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.why)
        } else {
            write!(f, "{}: {}", self.path, self.why)
        }
    }
}

impl std::error::Error for Incompatible {}
