//! An Avro schema as a graph of nodes, with names resolved, defaults as JSON, and logical types recognised.
//!
//! Rule: a [`Schema`] is well formed and its values are finite. A record contains itself only through a union, an array
//! or a map, and no value must have more than [`MAX_PARTS`] parts.

mod parse;

use super::Incompatible;
use serde_json::Value;
use std::sync::Arc;

/// Maximum number of parts that every value has (fields, their fields, and so on). Without it, a small schema could
/// nest empty records into a huge number of parts that take no bytes.
const MAX_PARTS: u64 = 1 << 16;

/// Index of a node.
pub(super) type Ix = u32;

/// A schema.
#[derive(Debug)]
pub(super) struct Schema {
    pub nodes: Vec<Node>,
    pub root: Ix,
    /// For each node, whether its values can have no bytes.
    empty: Vec<bool>,
}

/// A type, and what it means.
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
    /// The name with its namespace.
    pub full: Arc<str>,
    /// Each with its namespace.
    pub aliases: Vec<Arc<str>>,
}

impl Name {
    /// The name without its namespace.
    pub fn short(&self) -> &str {
        short(&self.full)
    }
}

/// The part of a full name after its namespace.
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

/// What a type means beyond its layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Logical {
    None,
    /// Bytes or a fixed.
    Decimal {
        precision: u32,
        scale: u32,
    },
    /// Text, or a fixed of 16 bytes.
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
    /// Parses the JSON of a schema.
    pub fn parse(text: &str) -> Result<Schema, Incompatible> {
        let json: Value =
            serde_json::from_str(text).map_err(|error| Incompatible::new("", format!("not a schema: {error}")))?;
        let mut schema = parse::parse(&json)?;
        let mut parts = vec![None; schema.nodes.len()];
        // Nodes are in the order of the text, so a named type comes before its uses. The recursion is no deeper than
        // the text.
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

    /// Whether values of this node can have no bytes.
    pub fn may_be_empty(&self, ix: Ix) -> bool {
        self.empty[ix as usize]
    }

    /// The index of a union's null branch.
    pub fn null_branch(&self, ix: Ix) -> Option<usize> {
        match self.kind(ix) {
            Kind::Union(branches) => branches
                .iter()
                .position(|branch| matches!(self.kind(*branch), Kind::Null)),
            _ => None,
        }
    }

    /// A description for messages.
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

    /// Counts the parts that every value of this node has. `parts` has the known counts, and 0 for nodes being counted.
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
    /// Its name in schemas.
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
