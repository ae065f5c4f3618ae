//! What to do with values of a writer: what a pair of schemas is compiled to.

use crate::datum::Items;
use pelton_avro_schema::Ix;
use std::sync::Arc;

/// What to do with a value of the writer. Numbers are indexes of other ops.
#[derive(Debug)]
pub(super) enum Op {
    /// Copies the bytes.
    Copy(Ix),
    Leaf(Leaf),
    Array(Items),
    Map {
        value: u32,
    },
    /// Fields that have the same order on both sides.
    Record(Box<[Step]>),
    Reordered(Reordered),
    /// What to do for each branch of the writer's union.
    Branches(Box<[u32]>),
    /// Wraps the value in a branch of the reader's union.
    Into {
        branch: u32,
        op: u32,
    },
    /// The reader has no type for it.
    Never(Arc<str>),
}

/// A value without parts whose type differs between the two sides.
#[derive(Debug)]
pub(super) enum Leaf {
    /// Bytes that are text for the reader.
    Text,
    /// Bytes that are a decimal only for the reader.
    Decimal {
        precision: u32,
        fixed: Option<u32>,
    },
    IntToFloat,
    IntToDouble,
    LongToFloat,
    LongToDouble,
    FloatToDouble,
    /// The reader's symbol for each symbol of the writer, or `None` if the reader has neither it nor a default.
    Enum(Box<[Option<u32>]>),
}

#[derive(Debug)]
pub(super) enum Step {
    /// Consecutive fields with the same layout.
    Copy(Box<[(Ix, Arc<str>)]>),
    Skip(Ix, Arc<str>),
    Convert(u32, Arc<str>),
    Default(Box<[u8]>),
}

/// A record whose fields have different orders on the two sides.
#[derive(Debug)]
pub(super) struct Reordered {
    /// The fields, in the writer's order.
    pub(super) fields: Box<[Moved]>,
    /// The defaults of the fields that the writer does not have, in the reader's order.
    pub(super) defaults: Box<[Option<Box<[u8]>>]>,
}

/// What becomes of a field of the writer.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) name: Arc<str>,
    pub(super) what: Move,
}

#[derive(Debug)]
pub(super) enum Move {
    Skip(Ix),
    /// Goes to this field of the reader.
    To(usize, u32),
}
