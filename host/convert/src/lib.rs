//! Conversion of values: Avro to Avro, JSON to Avro and back; also event times, URL templates and schema compatibility.
//!
//! Rule: a schema, or a (writer, reader) pair, is compiled once. After that, a value costs one pass over its bytes, and
//! only `out` allocates. Whatever the bytes are, the result is a value or [`Unreadable`]: no panic, no endless loop, at
//! most [`MAX_OUT`] bytes. On an error, `out` is left as it was.
//!
//! All converters agree on this:
//! - A decimal is a two's complement number of at least one byte and any length, within its precision.
//! - Text is UTF-8. A boolean is 0 or 1. Nothing follows the value. Values nest at most [`MAX_DEPTH`] deep.
//! - Invalid and unknown logical types are ignored, as Avro demands.

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
mod template;
mod time;
mod validator;

#[cfg(test)]
mod tests;

pub use canonical::fingerprint;
pub use instant::write_millis;
pub use json_reader::JsonReader;
pub use json_writer::JsonWriter;
pub use resolver::{Resolver, incompatibilities};
pub use template::Template;
pub use time::{AvroTime, JsonTime};
pub use validator::Validator;

use std::fmt;
use std::sync::Arc;

/// Maximum nesting of records, arrays and maps. A level takes under 1 KiB of stack, 128 KiB of 2 MiB in all.
pub const MAX_DEPTH: u32 = 128;

/// Maximum size of a converted value in bytes: sixty times Kafka's default limit for a record. Positions fit into u32.
pub const MAX_OUT: usize = 64 << 20;

/// Maximum number of items without bytes (nulls, empty records) in a datum. Ten bytes could claim 2^63 of them.
pub const MAX_EMPTY_ITEMS: u32 = 1 << 16;

/// Formats a time as ISO-8601.
pub fn iso(at: i64) -> String {
    let mut text = vec![];
    instant::write_millis(at, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Parses a time: ISO-8601 with an offset, or milliseconds since 1970.
pub fn instant(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| instant::parse_millis(text.as_bytes()))
}

/// Why a value can't be read, and where in it. The text is only formatted when it is displayed.
#[derive(Clone, PartialEq, Eq)]
pub struct Unreadable(Box<Fault>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    what: &'static str,
    detail: Detail,
    /// Innermost place first.
    path: Vec<Place>,
}

/// What the message adds to `what`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Detail {
    None,
    Number(i64),
    Name(Arc<str>),
    /// Byte position in a JSON text.
    At(usize),
}

/// One step of the path from the top of the value to the fault.
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

    /// Adds that the fault is in this field.
    #[cold]
    #[inline(never)]
    fn in_field(mut self, name: &Arc<str>) -> Self {
        self.0.path.push(Place::Field(name.clone()));
        self
    }

    /// Adds that the fault is in this item of an array.
    #[cold]
    #[inline(never)]
    fn in_item(mut self, index: u64) -> Self {
        self.0.path.push(Place::Item(index));
        self
    }

    /// Adds that the fault is in this entry of a map.
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

/// Why a schema can't be used, or why a reader's schema can't read what a writer's schema writes.
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

    /// Path in the schema, its fields joined by dots. Empty at the top.
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

impl From<pelton_avro_schema::Invalid> for Incompatible {
    fn from(invalid: pelton_avro_schema::Invalid) -> Self {
        Incompatible::new(&invalid.place, invalid.what)
    }
}
