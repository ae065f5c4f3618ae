//! How to read values: what a schema is compiled to.

use crate::datum::Items;
use crate::leaf::Leaf;
use std::sync::Arc;

/// How to read a value. Numbers are indexes of other ops.
#[derive(Debug)]
pub(super) enum Op {
    Leaf(Leaf),
    Enum {
        symbols: Box<[Arc<str>]>,
        default: Option<u32>,
    },
    Array(Items),
    Map {
        value: u32,
    },
    Record(Box<[Field]>),
    Union(Union),
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: Arc<str>,
    pub(super) op: u32,
    /// Whether its type accepts null.
    pub(super) nullable: bool,
    /// The value to use when it is absent.
    pub(super) absent: Option<Box<[u8]>>,
}

/// The branches that accept each kind of JSON value, as (branch, op).
#[derive(Debug, Default)]
pub(super) struct Union {
    pub(super) null: Option<u32>,
    pub(super) booleans: Vec<(u32, u32)>,
    pub(super) numbers: Vec<(u32, u32)>,
    pub(super) texts: Vec<(u32, u32)>,
    pub(super) arrays: Vec<(u32, u32)>,
    pub(super) maps: Vec<(u32, u32)>,
    pub(super) records: Vec<Named>,
    /// Whether the member `type` names the record.
    pub(super) typed: bool,
}

#[derive(Debug)]
pub(super) struct Named {
    pub(super) full: Arc<str>,
    /// The name without its namespace, unless another record of the union has the same.
    pub(super) short: Option<Arc<str>>,
    pub(super) branch: u32,
    pub(super) op: u32,
}
