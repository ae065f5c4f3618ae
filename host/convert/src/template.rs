//! Builds URLs from the fields of a request.
//!
//! Rule: a value can't change the structure of the URL. Everything but letters, digits and `-._~` is percent-encoded.
//! No path segment may become `.` or `..`, because URL libraries resolve those even when they are encoded.

use super::datum::{Cursor, Shapes};
use super::{Incompatible, MAX_DEPTH, Unreadable, decimal, instant};
use pelton_avro_schema::{Ix, Kind, Logical, Schema};
use std::io::Write;
use std::sync::Arc;

/// A URL with placeholders for the fields of requests of one schema.
#[derive(Debug)]
pub struct Template {
    shapes: Shapes,
    root: Ix,
    parts: Box<[Part]>,
}

#[derive(Debug)]
enum Part {
    Text(Box<[u8]>),
    Field {
        name: Arc<str>,
        before: Box<[Ix]>,
        branches: Box<[Option<Value>]>,
        union: bool,
    },
}

/// How to write a field.
#[derive(Clone, Debug)]
enum Value {
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Text,
    Enum(Box<[Arc<str>]>),
    Decimal {
        precision: u32,
        scale: u32,
        fixed: Option<u32>,
    },
    Millis,
    Micros,
}

impl Template {
    /// `template` is a URL with placeholders like `{userSessionId}`. `request_schema` is the Avro JSON of a record with
    /// these fields. Each must be a number, boolean, text, enum, decimal or timestamp, or a union of those and null.
    pub fn new(template: &str, request_schema: &str) -> Result<Self, Incompatible> {
        let schema = Schema::parse(request_schema)?;
        let Kind::Record(_, fields) = schema.kind(schema.root()) else {
            return Err(Incompatible::new(
                "",
                "a request must be a record: its fields fill the URL",
            ));
        };
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some((text, place)) = rest.split_once('{') {
            parts.push(Part::Text(text.as_bytes().into()));
            let Some((name, behind)) = place.split_once('}') else {
                return Err(Incompatible::new(
                    "",
                    format!("the place `{{{place}` in the URL has no end"),
                ));
            };
            rest = behind;
            let Some(index) = fields.iter().position(|field| *field.name == *name) else {
                let near = |field: &&pelton_avro_schema::Field| (strsim::jaro_winkler(&field.name, name) * 1e6) as u32;
                let hint = match fields.iter().max_by_key(near) {
                    Some(field) => format!(": did you mean `{{{}}}`?", field.name),
                    None => ": it has no fields".into(),
                };
                return Err(Incompatible::new(
                    name,
                    format!("the request has no field `{name}`{hint}"),
                ));
            };
            let node = fields[index].node;
            let (branches, union) = match schema.kind(node) {
                Kind::Union(branches) => (branches.as_slice(), true),
                _ => (std::slice::from_ref(&fields[index].node), false),
            };
            let branches: Result<Box<[_]>, _> = branches.iter().map(|branch| value(&schema, *branch, name)).collect();
            parts.push(Part::Field {
                name: fields[index].name.clone(),
                before: fields[..index].iter().map(|field| field.node).collect(),
                branches: branches?,
                union,
            });
        }
        if rest.contains('}') {
            return Err(Incompatible::new(
                "",
                format!("`{rest}` in the URL ends a place that was not begun"),
            ));
        }
        parts.push(Part::Text(rest.as_bytes().into()));
        Ok(Template {
            shapes: Shapes::new(&schema),
            root: schema.root(),
            parts: parts.into(),
        })
    }

    /// Appends the URL for a request. Fails if a field is null, or a segment becomes `.` or `..`.
    pub fn render(&self, datum: &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let start = out.len();
        let result = self.fill(datum, out).and_then(|()| check_path(&out[start..]));
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    fn fill(&self, datum: &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let mut whole = Cursor::new(datum);
        self.shapes.walk::<true>(self.root, &mut whole, MAX_DEPTH)?;
        whole.end()?;
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Field {
                    name,
                    before,
                    branches,
                    union,
                } => {
                    let mut cursor = Cursor::new(datum);
                    for field in before {
                        self.shapes.walk::<false>(*field, &mut cursor, MAX_DEPTH)?;
                    }
                    let branch = match union {
                        true => cursor.index(branches.len(), "a union has no branch of this number")?,
                        false => 0,
                    };
                    match &branches[branch] {
                        Some(value) => write(value, &mut cursor, out).map_err(|error| error.in_field(name))?,
                        None => return Err(Unreadable::new("it is null, and part of a URL").in_field(name)),
                    }
                }
            }
        }
        Ok(())
    }
}

/// How to write this type, or `None` for null.
fn value(schema: &Schema, ix: Ix, name: &str) -> Result<Option<Value>, Incompatible> {
    let node = schema.node(ix);
    Ok(Some(match (&node.kind, node.logical) {
        (Kind::Null, _) => return Ok(None),
        (Kind::Boolean, _) => Value::Boolean,
        (Kind::Int, _) => Value::Int,
        (Kind::Long, Logical::TimestampMillis) => Value::Millis,
        (Kind::Long, Logical::TimestampMicros) => Value::Micros,
        (Kind::Long, _) => Value::Long,
        (Kind::Float, _) => Value::Float,
        (Kind::Double, _) => Value::Double,
        (Kind::Text, _) => Value::Text,
        (Kind::Enum(_, symbols, _), _) => Value::Enum(symbols.as_slice().into()),
        (kind, Logical::Decimal { precision, scale }) => {
            decimal::supported(precision)?;
            let fixed = if let Kind::Fixed(_, size) = kind {
                Some(*size)
            } else {
                None
            };
            Value::Decimal {
                precision,
                scale,
                fixed,
            }
        }
        _ => {
            return Err(Incompatible::new(
                name,
                format!("{} can't be part of a URL", schema.describe(ix)),
            ));
        }
    }))
}

/// Appends the same text as in JSON, without quotes and percent-encoded.
fn write(value: &Value, cursor: &mut Cursor, out: &mut Vec<u8>) -> Result<(), Unreadable> {
    match value {
        Value::Boolean => out.extend_from_slice(if cursor.boolean()? { b"true" } else { b"false" }),
        Value::Int => decimal::write(i128::from(cursor.int()?), 0, out),
        Value::Long => decimal::write(i128::from(cursor.long()?), 0, out),
        Value::Float => {
            let mut bytes = [0; 4];
            bytes.copy_from_slice(cursor.take(4)?);
            // A number has only letters, digits, point and minus. Writing into a `Vec` can't fail.
            let _ = write!(out, "{:?}", f32::from_le_bytes(bytes));
        }
        Value::Double => {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(cursor.take(8)?);
            let _ = write!(out, "{:?}", f64::from_le_bytes(bytes));
        }
        Value::Text => encode(cursor.text()?.as_bytes(), out),
        Value::Enum(symbols) => {
            let symbol = cursor.index(symbols.len(), "an enum has no symbol of this number")?;
            out.extend_from_slice(symbols[symbol].as_bytes());
        }
        Value::Decimal {
            precision,
            scale,
            fixed,
        } => {
            let bytes = match fixed {
                None => cursor.sized()?,
                Some(size) => cursor.take(*size as usize)?,
            };
            decimal::write(decimal::read(bytes, *precision)?, *scale, out);
        }
        Value::Millis => write_time(instant::write_millis, cursor.long()?, out),
        Value::Micros => write_time(instant::write_micros, cursor.long()?, out),
    }
    Ok(())
}

fn write_time(write: fn(i64, &mut Vec<u8>), time: i64, out: &mut Vec<u8>) {
    let start = out.len();
    write(time, out);
    let end = out.len();
    for at in start..end {
        encode(&[out[at]], out);
    }
    out.drain(start..end);
}

/// Appends bytes, with all that are not unreserved (RFC 3986) as `%XX`.
fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(*byte),
            _ => out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
    }
}

fn check_path(url: &[u8]) -> Result<(), Unreadable> {
    let path = url.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    if path
        .split(|byte| *byte == b'/')
        .any(|segment| matches!(segment, b"." | b".."))
    {
        return Err(Unreadable::new("a segment of the URL becomes `.` or `..`"));
    }
    Ok(())
}
