//! Converts Avro values of a writer's schema to a reader's schema: Avro's schema resolution, compiled.
//!
//! Rule: parts with the same layout on both sides are checked and copied, however large they are. Only what differs is
//! rewritten. If the reader lacks a branch or a symbol, only values that use it are unreadable. Whether that makes the
//! schemas incompatible is for [`incompatibilities`] to say.

mod compile;
mod op;
mod pair;

pub use compile::incompatibilities;

use super::datum::{Cursor, Items, Shapes, deeper, put_long, put_sized};
use super::gather::Gather;
use super::{Incompatible, MAX_DEPTH, MAX_OUT, Unreadable};
use op::{Leaf, Move, Op, Reordered, Step};
use pelton_avro_schema::Schema;

type Result<T> = std::result::Result<T, Unreadable>;

/// Converts values of one writer's schema to one reader's schema.
#[derive(Debug)]
pub struct Resolver {
    shapes: Shapes,
    ops: Box<[Op]>,
    root: u32,
}

impl Resolver {
    /// Compiles the conversion from `writer` to `reader` (both Avro JSON). Fails if no value could ever be read, or
    /// none that has some particular field.
    pub fn new(writer: &str, reader: &str) -> std::result::Result<Self, Incompatible> {
        let writer = Schema::parse(writer)?;
        let reader = Schema::parse(reader)?;
        let (ops, root) = compile::ops(&writer, &reader)?;
        Ok(Resolver {
            shapes: Shapes::new(&writer),
            ops,
            root,
        })
    }

    /// Whether every value of the writer is also the same value of the reader, so that bytes can be passed through.
    pub fn is_identity(&self) -> bool {
        matches!(self.ops[self.root as usize], Op::Copy(_))
    }

    /// Appends the reader's datum. The writer's datum is checked to its end, even if it is only copied.
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
                Ok(())
            }
            Op::Leaf(leaf) => leaf.convert(cursor, out),
            Op::Array(items) => self.array(*items, cursor, depth, out),
            Op::Map { value } => self.map(*value, cursor, depth, out),
            Op::Record(steps) => {
                let depth = deeper(depth)?;
                steps.iter().try_for_each(|step| self.step(step, cursor, depth, out))
            }
            Op::Reordered(record) => self.reordered(record, cursor, depth, out),
            Op::Branches(ops) => {
                let branch = cursor.index(ops.len(), "a union has no branch of this number")?;
                self.run(ops[branch], cursor, depth, out)
            }
            Op::Into { branch, op } => {
                put_long(i64::from(*branch), out);
                self.run(*op, cursor, depth, out)
            }
            Op::Never(why) => Err(Unreadable::name("the reader has nothing for it", why)),
        }
    }

    #[inline]
    fn array(&self, items: Items, cursor: &mut Cursor, depth: u32, out: &mut Vec<u8>) -> Result<()> {
        let depth = deeper(depth)?;
        let start = out.len();
        let mut index = 0;
        while let Some(block) = cursor.block(items.may_be_empty)? {
            put_long(block.count as i64, out);
            for _ in 0..block.count {
                self.run(items.op, cursor, depth, out)
                    .map_err(|error| error.in_item(index))?;
                bounded(start, out)?;
                index += 1;
            }
            cursor.end_block(&block)?;
        }
        out.push(0);
        Ok(())
    }

    #[inline]
    fn map(&self, value: u32, cursor: &mut Cursor, depth: u32, out: &mut Vec<u8>) -> Result<()> {
        let depth = deeper(depth)?;
        let start = out.len();
        let mut index = 0;
        while let Some(block) = cursor.block(false)? {
            put_long(block.count as i64, out);
            for _ in 0..block.count {
                let entry = cursor.text().and_then(|key| {
                    put_sized(key.as_bytes(), out);
                    self.run(value, cursor, depth, out)
                });
                entry.map_err(|error| error.in_entry(index))?;
                bounded(start, out)?;
                index += 1;
            }
            cursor.end_block(&block)?;
        }
        out.push(0);
        Ok(())
    }

    #[inline]
    fn reordered(&self, record: &Reordered, cursor: &mut Cursor, depth: u32, out: &mut Vec<u8>) -> Result<()> {
        let Reordered { fields, defaults } = record;
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
            // The compiler has made sure that every field comes from the writer or has a default.
            out.extend_from_slice(defaults[place].as_deref().unwrap_or_default());
            Ok(())
        })
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

impl Leaf {
    /// Appends the reader's datum.
    #[inline]
    fn convert(&self, cursor: &mut Cursor, out: &mut Vec<u8>) -> Result<()> {
        match self {
            Leaf::Text => put_sized(cursor.text()?.as_bytes(), out),
            Leaf::Decimal { precision, fixed: None } => {
                let bytes = cursor.sized()?;
                super::decimal::check(bytes, *precision)?;
                put_sized(bytes, out);
            }
            Leaf::Decimal {
                precision,
                fixed: Some(size),
            } => {
                let bytes = cursor.take(*size as usize)?;
                super::decimal::check(bytes, *precision)?;
                out.extend_from_slice(bytes);
            }
            Leaf::IntToFloat => out.extend_from_slice(&(cursor.int()? as f32).to_le_bytes()),
            Leaf::IntToDouble => out.extend_from_slice(&f64::from(cursor.int()?).to_le_bytes()),
            Leaf::LongToFloat => out.extend_from_slice(&(cursor.long()? as f32).to_le_bytes()),
            Leaf::LongToDouble => out.extend_from_slice(&(cursor.long()? as f64).to_le_bytes()),
            Leaf::FloatToDouble => {
                let value = f32::from_le_bytes(cursor.array()?);
                out.extend_from_slice(&f64::from(value).to_le_bytes());
            }
            Leaf::Enum(symbols) => {
                let symbol = cursor.index(symbols.len(), "an enum has no symbol of this number")?;
                match symbols[symbol] {
                    Some(index) => put_long(i64::from(index), out),
                    None => return Err(Unreadable::number("the reader has no symbol for number", symbol as i64)),
                }
            }
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
