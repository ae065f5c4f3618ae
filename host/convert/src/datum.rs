//! Reads the bytes of a datum, and walks over values without decoding them.
//!
//! Rule: every read checks how much is left. Every walk ends, because each part costs a byte or counts against a limit.

use super::{MAX_EMPTY_ITEMS, Unreadable, decimal};
use pelton_avro_schema::{Ix, Kind, Logical, Schema};
use std::sync::Arc;

type Result<T> = std::result::Result<T, Unreadable>;

/// A position in a datum.
pub(super) struct Cursor<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
    /// How many more items without bytes are allowed.
    empty_items: u32,
}

/// A block of an array or a map.
pub(super) struct Block {
    pub count: u64,
    /// Position of the block's end, if the writer gave its size.
    end: Option<usize>,
}

/// The items of an array, for a program that has an op for each type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Items {
    /// The index of their op.
    pub op: u32,
    pub may_be_empty: bool,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Cursor {
            bytes,
            at: 0,
            empty_items: MAX_EMPTY_ITEMS,
        }
    }

    #[inline]
    pub fn byte(&mut self) -> Result<u8> {
        let byte = *self
            .bytes
            .get(self.at)
            .ok_or_else(|| Unreadable::new("the datum ends within a value"))?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    pub fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        // `at` never passes the end.
        if len > self.bytes.len() - self.at {
            return Err(Unreadable::new("the datum ends within a value"));
        }
        let taken = &self.bytes[self.at..self.at + len];
        self.at += len;
        Ok(taken)
    }

    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    /// Reads a variable-length zigzag number.
    #[inline]
    pub fn long(&mut self) -> Result<i64> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(zigzag(u64::from(first)));
        }
        self.long_from(first)
    }

    fn long_from(&mut self, first: u8) -> Result<i64> {
        let mut value = u64::from(first & 0x7f);
        for shift in (7..70).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(zigzag(value));
            }
        }
        Err(Unreadable::new("a number has more than 64 bits"))
    }

    #[inline]
    pub fn int(&mut self) -> Result<i32> {
        let long = self.long()?;
        i32::try_from(long).map_err(|_| Unreadable::number("an int has more than 32 bits", long))
    }

    #[inline]
    pub fn boolean(&mut self) -> Result<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Unreadable::number("a boolean is neither 0 nor 1", i64::from(other))),
        }
    }

    /// Reads a length and then that many bytes.
    #[inline]
    pub fn sized(&mut self) -> Result<&'a [u8]> {
        let len = self.long()?;
        let len = usize::try_from(len).map_err(|_| Unreadable::number("a length is below zero", len))?;
        self.take(len)
    }

    #[inline]
    pub fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.sized()?).map_err(|_| Unreadable::new("text is not UTF-8"))
    }

    /// Reads the index of one of `count` branches or symbols.
    #[inline]
    pub fn index(&mut self, count: usize, what: &'static str) -> Result<usize> {
        let index = self.long()?;
        if (0..count as i64).contains(&index) {
            Ok(index as usize)
        } else {
            Err(Unreadable::number(what, index))
        }
    }

    /// The next block, or `None` at the end. `may_be_empty` says whether items may have no bytes.
    pub fn block(&mut self, may_be_empty: bool) -> Result<Option<Block>> {
        let count = self.long()?;
        if count == 0 {
            return Ok(None);
        }
        let mut end = None;
        if count < 0 {
            let size = self.long()?;
            let left = self.bytes.len() - self.at;
            match usize::try_from(size) {
                Ok(size) if size <= left => end = Some(self.at + size),
                _ => return Err(Unreadable::number("the size of a block is not that of its bytes", size)),
            }
        }
        let count = count.unsigned_abs();
        if may_be_empty {
            match self.empty_items.checked_sub(u32::try_from(count).unwrap_or(u32::MAX)) {
                Some(left) => self.empty_items = left,
                None => return Err(Unreadable::new("an array has too many items without bytes")),
            }
        } else if count > (self.bytes.len() - self.at) as u64 {
            return Err(Unreadable::new(
                "an array or map has more items than the datum has bytes",
            ));
        }
        Ok(Some(Block { count, end }))
    }

    /// Checks, after the items of a block, that its size was right.
    #[inline]
    pub fn end_block(&self, block: &Block) -> Result<()> {
        match block.end {
            Some(end) if end != self.at => Err(Unreadable::new("the size of a block is not that of its items")),
            _ => Ok(()),
        }
    }

    /// Checks that nothing follows the value.
    #[inline]
    pub fn end(&self) -> Result<()> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            rest => Err(Unreadable::number("bytes follow the value", rest as i64)),
        }
    }
}

#[inline]
fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Appends a number in Avro's variable-length zigzag format.
#[inline]
pub(super) fn put_long(value: i64, out: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Appends the length of the bytes and then the bytes.
#[inline]
pub(super) fn put_sized(bytes: &[u8], out: &mut Vec<u8>) {
    put_long(bytes.len() as i64, out);
    out.extend_from_slice(bytes);
}

/// The depth that is left one level down. Fails where the nesting is too deep.
#[inline]
pub(super) fn deeper(depth: u32) -> Result<u32> {
    depth
        .checked_sub(1)
        .ok_or_else(|| Unreadable::new("the value is nested too deep"))
}

/// A schema in a form that is fast to walk. It has the same indexes as the schema's nodes.
#[derive(Debug)]
pub(super) struct Shapes {
    shapes: Box<[Shape]>,
    /// Children of the records and unions.
    kids: Box<[Ix]>,
    /// Names of the children that are fields.
    names: Box<[Arc<str>]>,
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    Null,
    Boolean,
    Int,
    Long,
    Bytes,
    Text,
    Decimal { precision: u32 },
    Fixed { size: u32 },
    FixedDecimal { size: u32, precision: u32 },
    Enum { symbols: u32 },
    Array { item: Ix, may_be_empty: bool },
    Map { value: Ix },
    Union { from: u32, count: u32 },
    Record { from: u32, count: u32 },
}

impl Shapes {
    pub fn new(schema: &Schema) -> Shapes {
        let mut kids = Vec::new();
        let mut names: Vec<Arc<str>> = Vec::new();
        let none: Arc<str> = "".into();
        let shapes = schema.nodes().iter().map(|node| match (&node.kind, node.logical) {
            (Kind::Null, _) => Shape::Null,
            (Kind::Boolean, _) => Shape::Boolean,
            (Kind::Int, _) => Shape::Int,
            (Kind::Long, _) => Shape::Long,
            (Kind::Float, _) => Shape::Fixed { size: 4 },
            (Kind::Double, _) => Shape::Fixed { size: 8 },
            (Kind::Bytes, Logical::Decimal { precision, .. }) => Shape::Decimal { precision },
            (Kind::Bytes, _) => Shape::Bytes,
            (Kind::Text, _) => Shape::Text,
            (Kind::Fixed(_, size), Logical::Decimal { precision, .. }) => {
                Shape::FixedDecimal { size: *size, precision }
            }
            (Kind::Fixed(_, size), _) => Shape::Fixed { size: *size },
            (Kind::Enum(_, symbols, _), _) => Shape::Enum {
                symbols: symbols.len() as u32,
            },
            (Kind::Array(item), _) => Shape::Array {
                item: *item,
                may_be_empty: schema.may_be_empty(*item),
            },
            (Kind::Map(value), _) => Shape::Map { value: *value },
            (Kind::Union(branches), _) => {
                let from = kids.len() as u32;
                kids.extend(branches);
                names.resize(kids.len(), none.clone());
                Shape::Union {
                    from,
                    count: branches.len() as u32,
                }
            }
            (Kind::Record(_, fields), _) => {
                let from = kids.len() as u32;
                kids.extend(fields.iter().map(|field| field.node));
                names.extend(fields.iter().map(|field| field.name.clone()));
                Shape::Record {
                    from,
                    count: fields.len() as u32,
                }
            }
        });
        Shapes {
            shapes: shapes.collect(),
            kids: kids.into(),
            names: names.into(),
        }
    }

    /// Moves the cursor past a value. If `STRICT`, everything about the value is checked; otherwise only where it ends.
    #[inline]
    pub fn walk<const STRICT: bool>(&self, ix: Ix, cursor: &mut Cursor, depth: u32) -> Result<()> {
        let mut shape = self.shapes[ix as usize];
        if let Shape::Union { from, count } = shape {
            let branch = cursor.index(count as usize, "a union has no branch of this number")?;
            // Avro has no union directly in a union.
            shape = self.shapes[self.kids[from as usize + branch] as usize];
        }
        match shape {
            Shape::Null => {}
            Shape::Boolean => _ = cursor.boolean()?,
            Shape::Int => _ = cursor.int()?,
            Shape::Long => _ = cursor.long()?,
            Shape::Bytes => _ = cursor.sized()?,
            Shape::Text if STRICT => _ = cursor.text()?,
            Shape::Text => _ = cursor.sized()?,
            Shape::Decimal { precision } => {
                let bytes = cursor.sized()?;
                if STRICT {
                    decimal::check(bytes, precision)?;
                }
            }
            Shape::Fixed { size } => _ = cursor.take(size as usize)?,
            Shape::FixedDecimal { size, precision } => {
                let bytes = cursor.take(size as usize)?;
                if STRICT {
                    decimal::check(bytes, precision)?;
                }
            }
            Shape::Enum { symbols } => _ = cursor.index(symbols as usize, "an enum has no symbol of this number")?,
            nested => return self.nested::<STRICT>(nested, cursor, depth),
        }
        Ok(())
    }

    /// Walks a value that contains others. A function of its own, so that plain fields of a record cost no call.
    fn nested<const STRICT: bool>(&self, shape: Shape, cursor: &mut Cursor, depth: u32) -> Result<()> {
        let depth = deeper(depth)?;
        match shape {
            Shape::Array { item, may_be_empty } => {
                let mut index = 0;
                while let Some(block) = cursor.block(may_be_empty)? {
                    for _ in 0..block.count {
                        self.walk::<STRICT>(item, cursor, depth)
                            .map_err(|error| error.in_item(index))?;
                        index += 1;
                    }
                    cursor.end_block(&block)?;
                }
            }
            Shape::Map { value } => {
                let mut index = 0;
                while let Some(block) = cursor.block(false)? {
                    for _ in 0..block.count {
                        let mut entry = || {
                            if STRICT {
                                _ = cursor.text()?
                            } else {
                                _ = cursor.sized()?
                            };
                            self.walk::<STRICT>(value, cursor, depth)
                        };
                        entry().map_err(|error| error.in_entry(index))?;
                        index += 1;
                    }
                    cursor.end_block(&block)?;
                }
            }
            Shape::Record { from, count } => {
                let fields = from as usize..(from + count) as usize;
                for (kid, place) in self.kids[fields.clone()].iter().zip(fields) {
                    if let Err(error) = self.walk::<STRICT>(*kid, cursor, depth) {
                        return Err(error.in_field(&self.names[place]));
                    }
                }
            }
            // `walk` has handled all others.
            _ => {}
        }
        Ok(())
    }
}
