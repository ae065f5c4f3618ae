//! The Rust types of the schemas. Each named type is defined once, whatever files it is in.

use pelton_avro_schema::Ix;
use std::collections::HashMap;

#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Text,
    Bytes,
    Fixed(u32),
    /// A `size` of 0 means bytes.
    Decimal {
        precision: u32,
        scale: u32,
        size: u32,
    },
    Array(Box<Type>),
    Map(Box<Type>),
    /// A union with null. Which of the two comes last matters for the encoding.
    Nullable {
        of: Box<Type>,
        null_last: bool,
    },
    /// Index in [`Types::definitions`].
    Named(usize),
}

/// A type that becomes a Rust type.
#[derive(Debug)]
pub struct Definition {
    /// Its name in Rust.
    pub name: String,
    /// Its name in Avro, with its namespace. For a union, the Rust name.
    pub full: String,
    pub file: String,
    /// Its node in the schema.
    pub node: Ix,
    pub doc: Option<String>,
    pub kind: Kind,
}

#[derive(Debug)]
pub enum Kind {
    Record(Vec<Field>),
    Enum(Vec<Symbol>, Option<usize>),
    Union(Vec<Branch>),
}

#[derive(Debug)]
pub struct Field {
    pub avro: String,
    pub name: String,
    pub doc: Option<String>,
    pub of: Type,
    /// A Rust expression that is valid in constants.
    pub default: Option<String>,
}

#[derive(Debug)]
pub struct Symbol {
    pub avro: String,
    pub name: String,
}

#[derive(Debug)]
pub struct Branch {
    pub avro: String,
    pub name: String,
    pub of: Type,
}

/// The types of all schemas.
#[derive(Debug, Default)]
pub struct Types {
    /// Each comes after the types that it uses.
    pub definitions: Vec<Definition>,
    /// The types with a name in Avro, by their node.
    pub named: HashMap<Ix, Type>,
}

impl Types {
    /// The Rust type of a field or a branch.
    pub fn rust(&self, of: &Type, life: &str) -> String {
        match of {
            Type::Null => "()".into(),
            Type::Boolean => "bool".into(),
            Type::Int => "i32".into(),
            Type::Long => "i64".into(),
            Type::Float => "f32".into(),
            Type::Double => "f64".into(),
            Type::Text => format!("&{life} str"),
            Type::Bytes => format!("&{life} [u8]"),
            Type::Fixed(size) => format!("&{life} [u8; {size}]"),
            Type::Decimal { precision, scale, size } => {
                let int = if *precision > 18 { "i128" } else { "i64" };
                format!("::pelton_sdk::avro::Decimal<{precision}, {scale}, {size}, {int}>")
            }
            Type::Array(item) => format!("::pelton_sdk::avro::Array<{life}, {}>", self.item(item, life)),
            Type::Map(value) => format!("::pelton_sdk::avro::Map<{life}, {}>", self.item(value, life)),
            Type::Nullable { of, .. } => format!("::core::option::Option<{}>", self.rust(of, life)),
            Type::Named(i) => self.own(&self.definitions[*i], life),
        }
    }

    /// The Rust type of an item of an array or a map. Unlike a field, it needs a type of its own if its null comes
    /// last.
    pub fn item(&self, of: &Type, life: &str) -> String {
        match of {
            Type::Nullable { of, null_last: true } => {
                format!("::pelton_sdk::avro::NullLast<{}>", self.rust(of, life))
            }
            of => self.rust(of, life),
        }
    }

    /// The Rust type of a definition.
    pub fn own(&self, definition: &Definition, life: &str) -> String {
        let life = if self.definition_borrows(definition) {
            format!("<{life}>")
        } else {
            String::new()
        };
        format!("{}{life}", definition.name)
    }

    /// Whether the Rust type has a lifetime.
    pub fn definition_borrows(&self, definition: &Definition) -> bool {
        match &definition.kind {
            Kind::Record(fields) => fields.iter().any(|field| self.borrows(&field.of)),
            Kind::Enum(..) => false,
            Kind::Union(branches) => branches.iter().any(|branch| self.borrows(&branch.of)),
        }
    }

    fn borrows(&self, of: &Type) -> bool {
        match of {
            Type::Text | Type::Bytes | Type::Fixed(_) | Type::Array(_) | Type::Map(_) => true,
            Type::Nullable { of, .. } => self.borrows(of),
            Type::Named(i) => self.definition_borrows(&self.definitions[*i]),
            _ => false,
        }
    }
}
