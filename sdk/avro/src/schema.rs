//! The parsed schemas. Each named type is defined once, whatever files it is in.
//!
//! Each definition keeps its schema, which refers to other types by their full names. [`Parser::complete`] makes it
//! self-contained again.

use crate::parser::Parser;
use serde_json::Value;
use std::collections::BTreeSet;

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
    Fixed(usize),
    /// A `size` of 0 means bytes.
    Decimal {
        precision: u32,
        scale: u32,
        size: usize,
    },
    Array(Box<Type>),
    Map(Box<Type>),
    /// A union with null. Which of the two comes last matters for the encoding.
    Nullable {
        of: Box<Type>,
        null_last: bool,
    },
    /// Index in [`Parser::definitions`].
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
    pub schema: Value,
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
    pub default: Option<Value>,
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

impl Parser {
    /// The schema, with each type that it names defined where it is first used.
    pub fn complete(&self, schema: &Value) -> Value {
        self.defined(schema, &mut BTreeSet::new())
    }

    fn defined(&self, schema: &Value, seen: &mut BTreeSet<String>) -> Value {
        match schema {
            Value::String(name) => match self.known.get(name) {
                Some((_, schema, _)) if seen.insert(name.clone()) => self.defined(schema, seen),
                _ => schema.clone(),
            },
            Value::Array(branches) => branches.iter().map(|branch| self.defined(branch, seen)).collect(),
            Value::Object(object) => {
                if let Some(name) = object.get("name").and_then(Value::as_str) {
                    seen.insert(name.into());
                }
                let mut object = object.clone();
                for part in ["items", "values"] {
                    if let Some(inner) = object.get_mut(part) {
                        *inner = self.defined(inner, seen);
                    }
                }
                for field in object
                    .get_mut("fields")
                    .and_then(Value::as_array_mut)
                    .into_iter()
                    .flatten()
                {
                    field["type"] = self.defined(&field["type"], seen);
                }
                Value::Object(object)
            }
            other => other.clone(),
        }
    }

    /// Whether the Rust type has a lifetime.
    pub fn borrows(&self, of: &Type) -> bool {
        match of {
            Type::Text | Type::Bytes | Type::Fixed(_) | Type::Array(_) | Type::Map(_) => true,
            Type::Nullable { of, .. } => self.borrows(of),
            Type::Named(i) => self.definition_borrows(&self.definitions[*i]),
            _ => false,
        }
    }

    pub fn definition_borrows(&self, definition: &Definition) -> bool {
        match &definition.kind {
            Kind::Record(fields) => fields.iter().any(|field| self.borrows(&field.of)),
            Kind::Enum(..) => false,
            Kind::Union(branches) => branches.iter().any(|branch| self.borrows(&branch.of)),
        }
    }
}
