//! Converts datums of a schema to JSON text.
//!
//! Rule: a value has exactly one text. It has no spaces, its fields are in the schema's order, fields that are null are
//! left out, decimals are plain, and text is escaped only where it must be. The branch of a union is not named.
//!
//! [`JsonReader`](super::JsonReader) reads the same value back, except for what JSON can't distinguish: branches of a
//! union that have the same kind of JSON value, and the records of a union.

use super::datum::{Cursor, Items, deeper};
use super::leaf::Leaf;
use super::quoted::{plain, write_escape, write_string};
use super::{Incompatible, MAX_DEPTH, MAX_OUT, Unreadable, decimal, instant};
use pelton_avro_schema::{Ix, Kind, Schema};
use std::io::Write;
use std::sync::Arc;

type Result<T> = std::result::Result<T, Unreadable>;

/// Converts datums of one schema to JSON texts.
#[derive(Debug)]
pub struct JsonWriter {
    ops: Box<[Op]>,
    root: u32,
}

/// How to write a value. Numbers are indexes of other ops. Op `n` belongs to node `n` of the schema.
#[derive(Debug)]
enum Op {
    Leaf(Leaf),
    /// Each symbol, with its quotes.
    Enum(Box<[Box<[u8]>]>),
    Array(Items),
    Map {
        value: u32,
    },
    Union(Box<[u32]>),
    Record(Box<[Field]>),
}

#[derive(Debug)]
struct Field {
    name: Arc<str>,
    /// The text `,"name":`.
    key: Box<[u8]>,
    op: u32,
}

impl JsonWriter {
    /// Compiles a writer for this schema (Avro JSON).
    pub fn new(schema: &str) -> std::result::Result<Self, Incompatible> {
        let schema = Schema::parse(schema)?;
        let ops: std::result::Result<_, _> = (0..schema.nodes().len() as Ix).map(|ix| op(&schema, ix)).collect();
        Ok(JsonWriter {
            ops: ops?,
            root: schema.root(),
        })
    }

    /// Converts a datum that is exactly one value, and appends its text.
    pub fn convert(&self, datum: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        let mut cursor = Cursor::new(datum);
        let result = self
            .run(self.root, &mut cursor, MAX_DEPTH, out)
            .and_then(|()| cursor.end());
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    fn run(&self, op: u32, cursor: &mut Cursor, depth: u32, out: &mut Vec<u8>) -> Result<()> {
        match &self.ops[op as usize] {
            Op::Leaf(leaf) => write_leaf(leaf, cursor, out),
            Op::Enum(symbols) => {
                let symbol = cursor.index(symbols.len(), "an enum has no symbol of this number")?;
                out.extend_from_slice(&symbols[symbol]);
                Ok(())
            }
            Op::Array(items) => self.array(*items, cursor, depth, out),
            Op::Map { value } => self.map(*value, cursor, depth, out),
            Op::Union(branches) => {
                let branch = cursor.index(branches.len(), "a union has no branch of this number")?;
                self.run(branches[branch], cursor, depth, out)
            }
            Op::Record(fields) => self.record(fields, cursor, depth, out),
        }
    }

    #[inline]
    fn array(&self, items: Items, cursor: &mut Cursor, depth: u32, out: &mut Vec<u8>) -> Result<()> {
        let depth = deeper(depth)?;
        let start = out.len();
        let mut index = 0;
        out.push(b'[');
        while let Some(block) = cursor.block(items.may_be_empty)? {
            for _ in 0..block.count {
                if index > 0 {
                    out.push(b',');
                }
                self.run(items.op, cursor, depth, out)
                    .map_err(|error| error.in_item(index))?;
                bounded(start, out)?;
                index += 1;
            }
            cursor.end_block(&block)?;
        }
        out.push(b']');
        Ok(())
    }

    #[inline]
    fn map(&self, value: u32, cursor: &mut Cursor, depth: u32, out: &mut Vec<u8>) -> Result<()> {
        let depth = deeper(depth)?;
        let start = out.len();
        let mut index = 0;
        out.push(b'{');
        while let Some(block) = cursor.block(false)? {
            for _ in 0..block.count {
                if index > 0 {
                    out.push(b',');
                }
                let entry = cursor.text().and_then(|key| {
                    write_string(key, out);
                    out.push(b':');
                    self.run(value, cursor, depth, out)
                });
                entry.map_err(|error| error.in_entry(index))?;
                bounded(start, out)?;
                index += 1;
            }
            cursor.end_block(&block)?;
        }
        out.push(b'}');
        Ok(())
    }

    #[inline]
    fn record(&self, fields: &[Field], cursor: &mut Cursor, depth: u32, out: &mut Vec<u8>) -> Result<()> {
        let depth = deeper(depth)?;
        let mut skip_comma = 1;
        out.push(b'{');
        for field in fields {
            let mut op = field.op;
            if let Op::Union(branches) = &self.ops[op as usize] {
                let branch = cursor.index(branches.len(), "a union has no branch of this number");
                op = branches[branch.map_err(|error| error.in_field(&field.name))?];
            }
            if matches!(self.ops[op as usize], Op::Leaf(Leaf::Null)) {
                continue;
            }
            out.extend_from_slice(&field.key[skip_comma..]);
            skip_comma = 0;
            self.run(op, cursor, depth, out)
                .map_err(|error| error.in_field(&field.name))?;
        }
        out.push(b'}');
        Ok(())
    }
}

fn op(schema: &Schema, ix: Ix) -> std::result::Result<Op, Incompatible> {
    let node = schema.node(ix);
    Ok(match &node.kind {
        // Symbols and names are words, so nothing in them needs an escape.
        Kind::Enum(_, symbols, _) => Op::Enum(
            symbols
                .iter()
                .map(|symbol| format!("\"{symbol}\"").into_bytes().into())
                .collect(),
        ),
        Kind::Array(item) => Op::Array(Items {
            op: *item,
            may_be_empty: schema.may_be_empty(*item),
        }),
        Kind::Map(value) => Op::Map { value: *value },
        Kind::Union(branches) => Op::Union(branches.as_slice().into()),
        Kind::Record(_, fields) => {
            let fields = fields.iter().map(|field| Field {
                name: field.name.clone(),
                key: format!(",\"{}\":", field.name).into_bytes().into(),
                op: field.node,
            });
            Op::Record(fields.collect())
        }
        _ => Op::Leaf(Leaf::of(node)?),
    })
}

/// Appends the text of a value without parts.
#[inline]
fn write_leaf(leaf: &Leaf, cursor: &mut Cursor, out: &mut Vec<u8>) -> Result<()> {
    match leaf {
        Leaf::Text => write_string(cursor.text()?, out),
        Leaf::Decimal {
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
        Leaf::Millis => {
            out.push(b'"');
            instant::write_millis(cursor.long()?, out);
            out.push(b'"');
        }
        Leaf::Micros => {
            out.push(b'"');
            instant::write_micros(cursor.long()?, out);
            out.push(b'"');
        }
        Leaf::Boolean => out.extend_from_slice(if cursor.boolean()? { b"true" } else { b"false" }),
        Leaf::Int => decimal::write(i128::from(cursor.int()?), 0, out),
        Leaf::Long => decimal::write(i128::from(cursor.long()?), 0, out),
        Leaf::Float => match f32::from_le_bytes(cursor.array()?) {
            value if value.is_finite() => write_number(value, out),
            value => write_special(f64::from(value), out),
        },
        Leaf::Double => match f64::from_le_bytes(cursor.array()?) {
            value if value.is_finite() => write_number(value, out),
            value => write_special(value, out),
        },
        Leaf::Null => out.extend_from_slice(b"null"),
        Leaf::Bytes => write_latin1(cursor.sized()?, out),
        Leaf::Fixed { size } => write_latin1(cursor.take(*size as usize)?, out),
        Leaf::Uuid => write_uuid(cursor.take(16)?, out),
    }
    Ok(())
}

/// Appends the shortest text that reads back as the same number.
fn write_number(value: impl std::fmt::Debug, out: &mut Vec<u8>) {
    // Writing into a `Vec` can't fail.
    let _ = write!(out, "{value:?}");
}

fn write_special(value: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(match value {
        _ if value.is_nan() => b"\"NaN\"",
        _ if value > 0.0 => b"\"Infinity\"",
        _ => b"\"-Infinity\"",
    });
}

/// Appends one character for each byte.
fn write_latin1(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in bytes {
        match byte {
            0x80.. => out.extend_from_slice(&[0xc0 | byte >> 6, 0x80 | byte & 0x3f]),
            _ if plain(&[*byte]) == 1 => out.push(*byte),
            _ => write_escape(*byte, out),
        }
    }
    out.push(b'"');
}

fn write_uuid(bytes: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
    out.push(b'"');
}

#[inline]
fn bounded(start: usize, out: &[u8]) -> Result<()> {
    if out.len() - start > MAX_OUT {
        return Err(Unreadable::new("the value becomes too large"));
    }
    Ok(())
}
