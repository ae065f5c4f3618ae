//! An Avro schema as a graph of nodes.

use crate::logical::Logical;
use crate::name;
use serde_json::Value;
use std::sync::Arc;

/// The index of a node.
pub type Ix = u32;

/// A JSON object. Its members keep their order.
pub type Object = serde_json::Map<String, Value>;

/// One or more schemas that a [`crate::Parser`] has read.
#[derive(Debug)]
pub struct Schema {
    pub(crate) nodes: Vec<Node>,
    pub(crate) root: Ix,
    /// For each node, whether its values can have no bytes.
    pub(crate) empty: Vec<bool>,
}

/// A type, and what it means.
#[derive(Debug)]
pub struct Node {
    /// Its layout.
    pub kind: Kind,
    /// What it means beyond its layout.
    pub logical: Logical,
    /// If its logical type is an invalid decimal, which is ignored: why it is invalid.
    pub invalid_decimal: Option<String>,
    /// Its JSON object, if it was written as one, with its full name, and with null in place of the types within it.
    pub(crate) written: Option<Object>,
}

/// The layout of a type.
#[derive(Debug)]
pub enum Kind {
    /// No bytes.
    Null,
    /// One byte.
    Boolean,
    /// 32 bits as a varint.
    Int,
    /// 64 bits as a varint.
    Long,
    /// 4 bytes.
    Float,
    /// 8 bytes.
    Double,
    /// Their length, and bytes.
    Bytes,
    /// Its length, and UTF-8.
    Text,
    /// The given number of bytes.
    Fixed(Name, u32),
    /// The index of a symbol. The schema may give the index of a default.
    Enum(Name, Vec<Arc<str>>, Option<u32>),
    /// Blocks of items.
    Array(Ix),
    /// Blocks of keys and values.
    Map(Ix),
    /// The index of a branch, and its value.
    Union(Vec<Ix>),
    /// One field after the other.
    Record(Name, Vec<Field>),
}

/// The name of a record, an enum or a fixed.
#[derive(Debug, Clone)]
pub struct Name {
    /// The name with its namespace.
    pub full: Arc<str>,
    /// Each with its namespace.
    pub aliases: Vec<Arc<str>>,
}

impl Name {
    /// The name without its namespace.
    pub fn short(&self) -> &str {
        name::short(&self.full)
    }
}

/// A field of a record.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: Arc<str>,
    /// Other names that a writer may use for it.
    pub aliases: Vec<Arc<str>>,
    /// Its type.
    pub node: Ix,
    /// Its JSON object, with null in place of its type.
    pub(crate) written: Object,
}

impl Field {
    /// The JSON of its default, which is not checked. [`Schema::default_value`] checks it.
    pub fn default(&self) -> Option<&Value> {
        self.written.get("default")
    }

    /// Its documentation.
    pub fn doc(&self) -> Option<&str> {
        self.written.get("doc")?.as_str()
    }
}

impl Node {
    /// Its documentation.
    pub fn doc(&self) -> Option<&str> {
        self.written.as_ref()?.get("doc")?.as_str()
    }
}

impl Kind {
    /// The name by which unions distinguish their branches: the full name of a named type, and Avro's word for any other.
    pub fn name(&self) -> &str {
        match self {
            Kind::Null => "null",
            Kind::Boolean => "boolean",
            Kind::Int => "int",
            Kind::Long => "long",
            Kind::Float => "float",
            Kind::Double => "double",
            Kind::Bytes => "bytes",
            Kind::Text => "string",
            Kind::Array(_) => "array",
            Kind::Map(_) => "map",
            Kind::Union(_) => "union",
            Kind::Fixed(name, _) | Kind::Enum(name, ..) | Kind::Record(name, _) => &name.full,
        }
    }

    /// The name of a record, an enum or a fixed.
    pub fn named(&self) -> Option<&Name> {
        match self {
            Kind::Fixed(name, _) | Kind::Enum(name, ..) | Kind::Record(name, _) => Some(name),
            _ => None,
        }
    }

    /// The primitive type with this name.
    pub fn primitive(name: &str) -> Option<Kind> {
        Some(match name {
            "null" => Kind::Null,
            "boolean" => Kind::Boolean,
            "int" => Kind::Int,
            "long" => Kind::Long,
            "float" => Kind::Float,
            "double" => Kind::Double,
            "bytes" => Kind::Bytes,
            "string" => Kind::Text,
            _ => return None,
        })
    }
}

impl Schema {
    /// The type at the top level. After several texts, that of the last one.
    pub fn root(&self) -> Ix {
        self.root
    }

    /// All nodes.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node with this index.
    pub fn node(&self, ix: Ix) -> &Node {
        &self.nodes[ix as usize]
    }

    /// The kind of the node with this index.
    pub fn kind(&self, ix: Ix) -> &Kind {
        &self.node(ix).kind
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
            Kind::Fixed(name, size) => format!("fixed {} of {size} bytes", name.full),
            Kind::Enum(name, ..) => format!("enum {}", name.full),
            Kind::Record(name, _) => format!("record {}", name.full),
            Kind::Union(branches) => {
                let names: Vec<_> = branches.iter().map(|branch| self.describe(*branch)).collect();
                format!("union of {}", names.join(", "))
            }
            other => other.name().to_owned(),
        };
        match node.logical {
            Logical::None => kind,
            Logical::Decimal { precision, scale } => format!("{kind} (decimal of {precision} digits, scale {scale})"),
            logical => format!("{kind} ({})", logical.name()),
        }
    }
}
