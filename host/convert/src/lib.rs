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
mod incompatible;
mod instant;
mod json;
mod json_reader;
mod json_writer;
mod leaf;
mod limits;
mod quoted;
mod resolver;
mod template;
mod time;
mod unreadable;
mod validator;

#[cfg(test)]
mod tests;

pub use canonical::fingerprint;
pub use incompatible::Incompatible;
pub use instant::write_millis;
pub use json_reader::JsonReader;
pub use json_writer::JsonWriter;
pub use limits::{MAX_DEPTH, MAX_EMPTY_ITEMS, MAX_OUT};
pub use resolver::{Resolver, incompatibilities};
pub use template::Template;
pub use time::{AvroTime, JsonTime};
pub use unreadable::Unreadable;
pub use validator::Validator;

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
