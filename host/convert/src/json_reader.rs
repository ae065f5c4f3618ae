//! Converts JSON text to datums of a schema.
//!
//! Rule: a value is read exactly or refused. Only floats are rounded, to the nearest. Members that the schema does not
//! know are skipped, but must be valid JSON.
//!
//! - In a union of records at top level, and in any union of several records, the member `type` names the record, with
//!   or without its namespace. In other unions, the first branch that accepts this kind of JSON value is used. A number
//!   is read as a time only if no numeric branch accepts it.
//! - An absent field gets its default, or else null if it may be null. Otherwise the value is unreadable. A `null`
//!   where null is not allowed counts as absent.
//! - If a field of the schema comes twice, the value is unreadable, because two readers might see two values.
//! - Times are ISO-8601 with an offset, or milliseconds, even if the schema has microseconds. Other logical types of
//!   numbers (dates, times of day) are plain numbers.
//! - Bytes and fixed are text of the characters U+0000 to U+00FF, one for each byte. NaN and the infinities are text
//!   too.

mod compile;
mod op;
mod scalar;

pub(super) use scalar::millis;

use super::datum::{Items, deeper, put_long};
use super::gather::Gather;
use super::json::{Raw, Text};
use super::{Incompatible, MAX_DEPTH, MAX_OUT, Unreadable};
use op::{Field, Named, Op, Union};
use pelton_avro_schema::Schema;
use scalar::{end_block, put_text};

type Result<T> = std::result::Result<T, Unreadable>;

/// Converts JSON texts to datums of one schema.
#[derive(Debug)]
pub struct JsonReader {
    ops: Box<[Op]>,
    root: u32,
}

/// The members of an object that is a record.
#[derive(Clone, Copy)]
struct Members<'a> {
    fields: &'a [Field],
    /// The member `type` names the record, so it may be there only once.
    typed: bool,
}

impl JsonReader {
    /// Compiles a reader for this schema (Avro JSON).
    pub fn new(schema: &str) -> std::result::Result<Self, Incompatible> {
        let schema = Schema::parse(schema)?;
        Ok(JsonReader {
            ops: compile::ops(&schema)?,
            root: schema.root(),
        })
    }

    /// Converts a text that is exactly one value, and appends its datum.
    pub fn convert(&self, text: &[u8], out: &mut Vec<u8>) -> Result<()> {
        if let Err(error) = std::str::from_utf8(text) {
            return Err(Unreadable::at("the text is not UTF-8", error.valid_up_to()));
        }
        let start = out.len();
        let mut text = Text::new(text);
        let result = self.run(self.root, &mut text, MAX_DEPTH, out).and_then(|()| text.end());
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    fn run(&self, op: u32, text: &mut Text, depth: u32, out: &mut Vec<u8>) -> Result<()> {
        match &self.ops[op as usize] {
            Op::Leaf(leaf) => scalar::leaf(leaf, text, out),
            Op::Enum { symbols, default } => scalar::symbol(symbols, *default, text, out),
            Op::Array(items) => self.array(*items, text, depth, out),
            Op::Map { value } => self.map(*value, text, depth, out),
            Op::Record(fields) => self.record(Members { fields, typed: false }, text, depth, out),
            Op::Union(union) => self.union(union, text, depth, out),
        }
    }

    #[inline]
    fn array(&self, items: Items, text: &mut Text, depth: u32, out: &mut Vec<u8>) -> Result<()> {
        let depth = deeper(depth)?;
        let start = out.len();
        let mut count = 0;
        let mut more = text.open_array()?;
        while more {
            if items.may_be_empty && count == u64::from(super::MAX_EMPTY_ITEMS) {
                return Err(text.error("an array has too many items without bytes"));
            }
            self.run(items.op, text, depth, out)
                .map_err(|error| error.in_item(count))?;
            bounded(start, text, out)?;
            count += 1;
            more = text.more(b']')?;
        }
        end_block(count, start, out);
        Ok(())
    }

    #[inline]
    fn map(&self, value: u32, text: &mut Text, depth: u32, out: &mut Vec<u8>) -> Result<()> {
        let depth = deeper(depth)?;
        let start = out.len();
        let mut count = 0;
        let mut more = text.open_object()?;
        while more {
            put_text(text.key()?, out);
            self.run(value, text, depth, out)
                .map_err(|error| error.in_entry(count))?;
            bounded(start, text, out)?;
            count += 1;
            more = text.more(b'}')?;
        }
        end_block(count, start, out);
        Ok(())
    }

    fn record(&self, members: Members, text: &mut Text, depth: u32, out: &mut Vec<u8>) -> Result<()> {
        let Members { fields, typed } = members;
        let depth = deeper(depth)?;
        let gather = Gather::begin(fields.len(), out);
        let mut expected = 0;
        let mut types = 0;
        let mut more = text.open_object()?;
        while more {
            let key = text.key()?;
            if let Some(place) = find(fields, expected, key) {
                let field = &fields[place];
                expected = place + 1;
                if !field.nullable && text.peek() == b'n' {
                    text.null()?;
                } else if gather.has(place, out) {
                    return Err(text.error("the field is there twice").in_field(&field.name));
                } else {
                    let start = out.len();
                    let read = self
                        .run(field.op, text, depth, out)
                        .and_then(|()| gather.set(place, start, out));
                    read.map_err(|error| error.in_field(&field.name))?;
                }
            } else {
                if typed && key.is("type") {
                    types += 1;
                    if types > 1 {
                        return Err(text.error("the member `type` is there twice"));
                    }
                }
                text.skip(depth)?;
            }
            more = text.more(b'}')?;
        }
        gather.end(out, |place, out| match &fields[place].absent {
            Some(bytes) => {
                out.extend_from_slice(bytes);
                Ok(())
            }
            None => Err(Unreadable::new("the field is absent").in_field(&fields[place].name)),
        })
    }

    fn union(&self, union: &Union, text: &mut Text, depth: u32, out: &mut Vec<u8>) -> Result<()> {
        let branches = match text.peek() {
            b'n' => {
                let branch = union.null.ok_or_else(|| text.error("this may not be null"))?;
                put_long(i64::from(branch), out);
                return text.null();
            }
            b'"' => &union.texts,
            b'{' if !union.records.is_empty() => {
                let named = if union.typed {
                    self.named(union, text, depth)?
                } else {
                    &union.records[0]
                };
                put_long(i64::from(named.branch), out);
                // The compiler makes every named branch a record.
                let Op::Record(fields) = &self.ops[named.op as usize] else {
                    return Err(text.error("a record was expected"));
                };
                let members = Members {
                    fields,
                    typed: union.typed,
                };
                return self.record(members, text, depth, out);
            }
            b'{' => &union.maps,
            b'[' => &union.arrays,
            b't' | b'f' => &union.booleans,
            _ => &union.numbers,
        };
        let (at, start) = (text.at, out.len());
        let mut first = None;
        for (branch, op) in branches {
            put_long(i64::from(*branch), out);
            match self.run(*op, text, depth, out) {
                Ok(()) => return Ok(()),
                Err(error) => _ = first.get_or_insert(error),
            }
            // Only branches for text and numbers are tried in turn. They are short, so that no large value is read
            // several times.
            text.at = at;
            out.truncate(start);
        }
        Err(first.unwrap_or_else(|| text.error("no branch of the union takes such a value")))
    }

    /// The record that the object's member `type` names. Does not move past the object.
    fn named<'a>(&self, union: &'a Union, text: &mut Text, depth: u32) -> Result<&'a Named> {
        let start = text.at;
        let mut more = text.open_object()?;
        while more {
            if text.key()?.is("type") {
                let name = text.string("the member `type` must be the name of a record")?;
                let is =
                    |named: &&Named| named.short.as_ref().is_some_and(|short| name.is(short)) || name.is(&named.full);
                let named = union.records.iter().find(is);
                let named = named.ok_or_else(|| text.error("the member `type` names no record of the schema"))?;
                text.at = start;
                return Ok(named);
            }
            text.skip(depth)?;
            more = text.more(b'}')?;
        }
        text.at = start;
        match &union.records[..] {
            [only] => Ok(only),
            _ => Err(text.error("the member `type`, which names the record, is absent")),
        }
    }
}

/// The field with this name. Usually it is the expected one.
#[inline]
fn find(fields: &[Field], expected: usize, key: Raw) -> Option<usize> {
    match fields.get(expected) {
        Some(field) if key.is(&field.name) => Some(expected),
        _ => fields.iter().position(|field| key.is(&field.name)),
    }
}

#[inline]
fn bounded(start: usize, text: &Text, out: &[u8]) -> Result<()> {
    if out.len() - start > MAX_OUT {
        return Err(text.error("the value becomes too large"));
    }
    Ok(())
}
