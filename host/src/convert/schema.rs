//! An Avro schema as a graph of nodes: names resolved, defaults kept as JSON, logical types understood.
//!
//! Rule: what is in a [`Schema`] is well formed, and has finite values: no record contains itself other than through a
//! union, an array or a map, and no value has more than [`MAX_PARTS`] parts that must be there.

mod parse;

use super::Incompatible;
use serde_json::Value;
use std::sync::Arc;

/// Parts of a value that must be there (fields of fields of fields), at most: a small schema may nest records without
/// any bytes into an endless number of them.
const MAX_PARTS: u64 = 1 << 16;

/// Index of a node.
pub(super) type Ix = u32;

/// A schema.
#[derive(Debug)]
pub(super) struct Schema {
    pub nodes: Vec<Node>,
    pub root: Ix,
    /// By node: can a value of it have no bytes at all?
    empty: Vec<bool>,
}

/// A type: its kind and what it means.
#[derive(Debug)]
pub(super) struct Node {
    pub kind: Kind,
    pub logical: Logical,
}

#[derive(Debug)]
pub(super) enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Fixed(Name, u32),
    Enum(Name, Vec<Arc<str>>, Option<u32>),
    Array(Ix),
    Map(Ix),
    Union(Vec<Ix>),
    Record(Name, Vec<Field>),
}

/// Name of a record, an enum or a fixed.
#[derive(Debug, Clone)]
pub(super) struct Name {
    /// With its namespace.
    pub full: Arc<str>,
    /// Full names.
    pub aliases: Vec<Arc<str>>,
}

impl Name {
    /// Without its namespace.
    pub fn short(&self) -> &str {
        short(&self.full)
    }
}

/// The part of a full name behind its namespace.
pub(super) fn short(full: &str) -> &str {
    full.rsplit('.').next().unwrap_or(full)
}

#[derive(Debug)]
pub(super) struct Field {
    pub name: Arc<str>,
    pub aliases: Vec<Arc<str>>,
    pub node: Ix,
    pub default: Option<Value>,
}

/// What a type means beyond its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Logical {
    None,
    /// Of bytes or fixed.
    Decimal {
        precision: u32,
        scale: u32,
    },
    /// Of text or of a fixed of 16 bytes.
    Uuid,
    TimestampMillis,
    TimestampMicros,
    TimestampNanos,
    LocalTimestampMillis,
    LocalTimestampMicros,
    LocalTimestampNanos,
    Date,
    TimeMillis,
    TimeMicros,
    Duration,
}

impl Schema {
    /// From the text of a schema.
    pub fn parse(text: &str) -> Result<Schema, Incompatible> {
        let json: Value =
            serde_json::from_str(text).map_err(|error| Incompatible::new("", format!("not a schema: {error}")))?;
        let mut schema = parse::parse(&json)?;
        let mut parts = vec![None; schema.nodes.len()];
        // From the first to the last: what a type names stands before it, so the recursion is as deep as the text.
        for ix in 0..schema.nodes.len() {
            schema.count_parts(ix as Ix, &mut parts)?;
        }
        Ok(schema)
    }

    pub fn node(&self, ix: Ix) -> &Node {
        &self.nodes[ix as usize]
    }

    pub fn kind(&self, ix: Ix) -> &Kind {
        &self.nodes[ix as usize].kind
    }

    /// Can a value of it have no bytes at all?
    pub fn may_be_empty(&self, ix: Ix) -> bool {
        self.empty[ix as usize]
    }

    /// The branch of a union that is null.
    pub fn null_branch(&self, ix: Ix) -> Option<usize> {
        match self.kind(ix) {
            Kind::Union(branches) => branches
                .iter()
                .position(|branch| matches!(self.kind(*branch), Kind::Null)),
            _ => None,
        }
    }

    /// What it is, in words.
    pub fn describe(&self, ix: Ix) -> String {
        let node = self.node(ix);
        let kind = match &node.kind {
            Kind::Null => "null".into(),
            Kind::Boolean => "boolean".into(),
            Kind::Int => "int".into(),
            Kind::Long => "long".into(),
            Kind::Float => "float".into(),
            Kind::Double => "double".into(),
            Kind::Bytes => "bytes".into(),
            Kind::Text => "string".into(),
            Kind::Fixed(name, size) => format!("fixed {} of {size} bytes", name.full),
            Kind::Enum(name, ..) => format!("enum {}", name.full),
            Kind::Array(_) => "array".into(),
            Kind::Map(_) => "map".into(),
            Kind::Union(branches) => {
                let names: Vec<_> = branches.iter().map(|branch| self.describe(*branch)).collect();
                format!("union of {}", names.join(", "))
            }
            Kind::Record(name, _) => format!("record {}", name.full),
        };
        match node.logical {
            Logical::None => kind,
            Logical::Decimal { precision, scale } => format!("{kind} (decimal of {precision} digits, scale {scale})"),
            logical => format!("{kind} ({})", logical.name()),
        }
    }

    /// Counts the parts that a value must have; `parts` holds what is known, 0 for what is being counted.
    fn count_parts(&mut self, ix: Ix, parts: &mut [Option<u64>]) -> Result<u64, Incompatible> {
        let (name, fields) = match self.kind(ix) {
            Kind::Record(name, fields) => (
                name.full.clone(),
                fields.iter().map(|field| field.node).collect::<Vec<_>>(),
            ),
            kind => {
                self.empty[ix as usize] = matches!(kind, Kind::Null | Kind::Fixed(_, 0));
                return Ok(1);
            }
        };
        match parts[ix as usize] {
            Some(0) => {
                let why = "it contains itself other than through a union, an array or a map, so it has no values";
                return Err(Incompatible::new(&name, why));
            }
            Some(known) => return Ok(known),
            None => {}
        }
        parts[ix as usize] = Some(0);
        let mut sum = 1;
        let mut empty = true;
        for field in fields {
            sum += self.count_parts(field, parts)?;
            empty &= self.empty[field as usize];
        }
        if sum > MAX_PARTS {
            return Err(Incompatible::new(
                &name,
                format!("a value would have more than {MAX_PARTS} fields"),
            ));
        }
        parts[ix as usize] = Some(sum);
        self.empty[ix as usize] = empty;
        Ok(sum)
    }
}

impl Logical {
    /// As schemas call it.
    pub fn name(self) -> &'static str {
        match self {
            Logical::None => "",
            Logical::Decimal { .. } => "decimal",
            Logical::Uuid => "uuid",
            Logical::TimestampMillis => "timestamp-millis",
            Logical::TimestampMicros => "timestamp-micros",
            Logical::TimestampNanos => "timestamp-nanos",
            Logical::LocalTimestampMillis => "local-timestamp-millis",
            Logical::LocalTimestampMicros => "local-timestamp-micros",
            Logical::LocalTimestampNanos => "local-timestamp-nanos",
            Logical::Date => "date",
            Logical::TimeMillis => "time-millis",
            Logical::TimeMicros => "time-micros",
            Logical::Duration => "duration",
        }
    }
}
