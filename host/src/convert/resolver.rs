//! Avro values of one schema into another: Avro's resolution, compiled.
//!
//! Rule: what has the same layout on both sides is checked and copied, however large; only what differs is rewritten. A
//! branch or symbol that the reader does not have makes the values unreadable that use it, not the schemas: that is for
//! [`incompatibilities`] to say.

mod compile;

pub use compile::incompatibilities;

use super::datum::{Cursor, Shapes, deeper, put_long, put_sized};
use super::gather::Gather;
use super::schema::{Ix, Schema};
use super::{Incompatible, MAX_DEPTH, MAX_OUT, Unreadable};
use std::sync::Arc;

type Result<T> = std::result::Result<T, Unreadable>;

/// Values of a writer's schema into a reader's.
#[derive(Debug)]
pub struct Resolver {
    shapes: Shapes,
    ops: Box<[Op]>,
    root: u32,
}

/// What to do with a value of the writer. Numbers are indexes of other ops.
#[derive(Debug)]
enum Op {
    /// The same bytes.
    Copy(Ix),
    /// Bytes that become text.
    Text,
    /// Bytes that the writer does not know as a decimal.
    Decimal {
        precision: u32,
        fixed: Option<u32>,
    },
    IntToFloat,
    IntToDouble,
    LongToFloat,
    LongToDouble,
    FloatToDouble,
    /// By the writer's symbol; none: the reader has neither it nor a default.
    Enum(Box<[Option<u32>]>),
    Array {
        item: u32,
        may_be_empty: bool,
    },
    Map {
        value: u32,
    },
    /// In the reader's order, which is the writer's.
    Record(Box<[Step]>),
    /// In the writer's order; the reader's is another.
    Reordered {
        fields: Box<[Moved]>,
        defaults: Box<[Option<Box<[u8]>>]>,
    },
    /// By the writer's branch.
    Branches(Box<[u32]>),
    /// A branch of the reader's union.
    Into {
        branch: u32,
        op: u32,
    },
    /// The reader has nothing for it.
    Never(Arc<str>),
}

#[derive(Debug)]
enum Step {
    /// Fields of the same layout, one behind the other.
    Copy(Box<[(Ix, Arc<str>)]>),
    Skip(Ix, Arc<str>),
    Convert(u32, Arc<str>),
    Default(Box<[u8]>),
}

/// A field of the writer.
#[derive(Debug)]
struct Moved {
    name: Arc<str>,
    what: Move,
}

#[derive(Debug)]
enum Move {
    Skip(Ix),
    /// It becomes this field of the reader.
    To(usize, u32),
}

impl Resolver {
    /// Compiles the way from `writer` to `reader` (both Avro JSON). Fails where no value, or no value that has a certain
    /// field, could ever be read.
    pub fn new(writer: &str, reader: &str) -> std::result::Result<Self, Incompatible> {
        let writer = Schema::parse(writer)?;
        let reader = Schema::parse(reader)?;
        compile::resolver(&writer, &reader)
    }

    /// Is every value of the writer, as it stands, the same value of the reader? Then bytes may be passed through.
    pub fn is_identity(&self) -> bool {
        matches!(self.ops[self.root as usize], Op::Copy(_))
    }

    /// Appends the reader's datum. The writer's is checked to its end, identity or not.
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
            Op::Copy(shape) => {
                let from = cursor.at;
                self.shapes.walk::<true>(*shape, cursor, depth)?;
                out.extend_from_slice(&cursor.bytes[from..cursor.at]);
            }
            Op::Text => put_sized(cursor.text()?.as_bytes(), out),
            Op::Decimal { precision, fixed: None } => {
                let bytes = cursor.sized()?;
                super::decimal::check(bytes, *precision)?;
                put_sized(bytes, out);
            }
            Op::Decimal {
                precision,
                fixed: Some(size),
            } => {
                let bytes = cursor.take(*size as usize)?;
                super::decimal::check(bytes, *precision)?;
                out.extend_from_slice(bytes);
            }
            Op::IntToFloat => out.extend_from_slice(&(cursor.int()? as f32).to_le_bytes()),
            Op::IntToDouble => out.extend_from_slice(&f64::from(cursor.int()?).to_le_bytes()),
            Op::LongToFloat => out.extend_from_slice(&(cursor.long()? as f32).to_le_bytes()),
            Op::LongToDouble => out.extend_from_slice(&(cursor.long()? as f64).to_le_bytes()),
            Op::FloatToDouble => {
                let mut bytes = [0; 4];
                bytes.copy_from_slice(cursor.take(4)?);
                out.extend_from_slice(&f64::from(f32::from_le_bytes(bytes)).to_le_bytes());
            }
            Op::Enum(symbols) => {
                let symbol = cursor.index(symbols.len(), "an enum has no symbol of this number")?;
                match symbols[symbol] {
                    Some(index) => put_long(i64::from(index), out),
                    None => return Err(Unreadable::number("the reader has no symbol for number", symbol as i64)),
                }
            }
            Op::Array { item, may_be_empty } => {
                let depth = deeper(depth)?;
                let start = out.len();
                let mut index = 0;
                while let Some(block) = cursor.block(*may_be_empty)? {
                    put_long(block.count as i64, out);
                    for _ in 0..block.count {
                        self.run(*item, cursor, depth, out)
                            .map_err(|error| error.in_item(index))?;
                        bounded(start, out)?;
                        index += 1;
                    }
                    cursor.end_block(&block)?;
                }
                out.push(0);
            }
            Op::Map { value } => {
                let depth = deeper(depth)?;
                let start = out.len();
                let mut index = 0;
                while let Some(block) = cursor.block(false)? {
                    put_long(block.count as i64, out);
                    for _ in 0..block.count {
                        let entry = cursor.text().and_then(|key| {
                            put_sized(key.as_bytes(), out);
                            self.run(*value, cursor, depth, out)
                        });
                        entry.map_err(|error| error.in_entry(index))?;
                        bounded(start, out)?;
                        index += 1;
                    }
                    cursor.end_block(&block)?;
                }
                out.push(0);
            }
            Op::Record(steps) => {
                let depth = deeper(depth)?;
                for step in steps {
                    self.step(step, cursor, depth, out)?;
                }
            }
            Op::Reordered { fields, defaults } => {
                let depth = deeper(depth)?;
                let gather = Gather::begin(defaults.len(), out);
                for field in fields {
                    match field.what {
                        Move::Skip(shape) => self.shapes.walk::<true>(shape, cursor, depth),
                        Move::To(place, op) => {
                            let start = out.len();
                            self.run(op, cursor, depth, out)
                                .and_then(|()| gather.set(place, start, out))
                        }
                    }
                    .map_err(|error| error.in_field(&field.name))?;
                }
                gather.end(out, |place, out| {
                    // Compiled so: a field has a writer's or a default.
                    out.extend_from_slice(defaults[place].as_deref().unwrap_or_default());
                    Ok(())
                })?;
            }
            Op::Branches(ops) => {
                let branch = cursor.index(ops.len(), "a union has no branch of this number")?;
                self.run(ops[branch], cursor, depth, out)?;
            }
            Op::Into { branch, op } => {
                put_long(i64::from(*branch), out);
                self.run(*op, cursor, depth, out)?;
            }
            Op::Never(why) => return Err(Unreadable::name("the reader has nothing for it", why)),
        }
        Ok(())
    }

    #[inline]
    fn step(&self, step: &Step, cursor: &mut Cursor, depth: u32, out: &mut Vec<u8>) -> Result<()> {
        match step {
            Step::Copy(fields) => {
                let from = cursor.at;
                for (shape, name) in fields {
                    self.shapes
                        .walk::<true>(*shape, cursor, depth)
                        .map_err(|error| error.in_field(name))?;
                }
                out.extend_from_slice(&cursor.bytes[from..cursor.at]);
            }
            Step::Skip(shape, name) => {
                self.shapes
                    .walk::<true>(*shape, cursor, depth)
                    .map_err(|error| error.in_field(name))?;
            }
            Step::Convert(op, name) => self
                .run(*op, cursor, depth, out)
                .map_err(|error| error.in_field(name))?,
            Step::Default(bytes) => out.extend_from_slice(bytes),
        }
        Ok(())
    }
}

#[inline]
fn bounded(start: usize, out: &[u8]) -> Result<()> {
    if out.len() - start > MAX_OUT {
        return Err(Unreadable::new("the value becomes too large"));
    }
    Ok(())
}
