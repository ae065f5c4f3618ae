//! Parses the JSON of a schema into nodes.
//!
//! Rule: a name means one type, which is defined before it is used. What Avro forbids is refused, with its path.

use super::{Field, Incompatible, Ix, Kind, Logical, Name, Node, Schema};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// Maximum number of nodes in a schema. The resolver compares pairs of them.
const MAX_NODES: usize = 1 << 14;

pub(super) fn parse(json: &Value) -> Result<Schema, Incompatible> {
    let mut parser = Parser {
        nodes: Vec::new(),
        names: HashMap::new(),
        path: Vec::new(),
    };
    let root = parser.node(json, "")?;
    Ok(Schema {
        empty: vec![false; parser.nodes.len()],
        nodes: parser.nodes,
        root,
    })
}

struct Parser {
    nodes: Vec<Node>,
    names: HashMap<Arc<str>, Ix>,
    path: Vec<String>,
}

type Object = Map<String, Value>;

impl Parser {
    fn node(&mut self, json: &Value, namespace: &str) -> Result<Ix, Incompatible> {
        match json {
            Value::String(name) => self.named(name, namespace),
            Value::Array(branches) => self.union(branches, namespace),
            Value::Object(object) => match object.get("type") {
                Some(Value::String(kind)) => self.object(kind, object, namespace),
                Some(inner @ (Value::Object(_) | Value::Array(_))) => self.node(inner, namespace),
                _ => self.error("a type has no `type`"),
            },
            _ => self.error("a type is a name, an object or an array"),
        }
    }

    fn object(&mut self, kind: &str, object: &Object, namespace: &str) -> Result<Ix, Incompatible> {
        match kind {
            "record" | "error" => self.record(object, namespace),
            "enum" => self.symbols(object, namespace),
            "fixed" => {
                let name = self.name(object, namespace)?;
                let Some(size) = object
                    .get("size")
                    .and_then(Value::as_u64)
                    .and_then(|size| u32::try_from(size).ok())
                else {
                    return self.error("a fixed has no size in bytes");
                };
                let full = name.full.clone();
                let kind = Kind::Fixed(name, size);
                let logical = logical(&kind, object);
                let ix = self.push(kind, logical)?;
                self.define(full, ix)?;
                Ok(ix)
            }
            "array" | "map" => {
                let word = if kind == "array" { "items" } else { "values" };
                let Some(items) = object.get(word) else {
                    return self.error(format!("an {kind} has no `{word}`").replace("an map", "a map"));
                };
                self.path.push(if kind == "array" { "[]" } else { "{}" }.into());
                let item = self.node(items, namespace)?;
                self.path.pop();
                let kind = if kind == "array" {
                    Kind::Array(item)
                } else {
                    Kind::Map(item)
                };
                self.push(kind, Logical::None)
            }
            primitive => match self::primitive(primitive) {
                Some(kind) => {
                    let logical = logical(&kind, object);
                    self.push(kind, logical)
                }
                None => self.named(primitive, namespace),
            },
        }
    }

    fn named(&mut self, name: &str, namespace: &str) -> Result<Ix, Incompatible> {
        if let Some(kind) = primitive(name) {
            return self.push(kind, Logical::None);
        }
        let known = (self.names.get(&*full(name, namespace))).or_else(|| self.names.get(name));
        match known {
            Some(ix) => Ok(*ix),
            None => self.error(format!("there is no type `{name}` before this place")),
        }
    }

    fn union(&mut self, branches: &[Value], namespace: &str) -> Result<Ix, Incompatible> {
        let mut nodes: Vec<Ix> = Vec::with_capacity(branches.len());
        for branch in branches {
            let ix = self.node(branch, namespace)?;
            let kind = &self.nodes[ix as usize].kind;
            if matches!(kind, Kind::Union(_)) {
                return self.error("a union is directly within a union");
            }
            if nodes
                .iter()
                .any(|other| same_branch(&self.nodes[*other as usize].kind, kind))
            {
                return self.error("a union has two branches of the same type");
            }
            nodes.push(ix);
        }
        if nodes.is_empty() {
            return self.error("a union has no branches");
        }
        self.push(Kind::Union(nodes), Logical::None)
    }

    fn symbols(&mut self, object: &Object, namespace: &str) -> Result<Ix, Incompatible> {
        let name = self.name(object, namespace)?;
        let mut symbols: Vec<Arc<str>> = Vec::new();
        for symbol in object.get("symbols").and_then(Value::as_array).into_iter().flatten() {
            match symbol.as_str() {
                Some(symbol) if is_name(symbol) && !symbols.iter().any(|other| **other == *symbol) => {
                    symbols.push(symbol.into());
                }
                _ => return self.error(format!("{symbol} can't be a symbol of an enum, or is there twice")),
            }
        }
        if symbols.is_empty() {
            return self.error("an enum has no symbols");
        }
        let default = match object.get("default") {
            None => None,
            Some(value) => match symbols.iter().position(|symbol| value.as_str() == Some(symbol)) {
                Some(index) => Some(index as u32),
                None => return self.error("the default of an enum is not one of its symbols"),
            },
        };
        let full = name.full.clone();
        let ix = self.push(Kind::Enum(name, symbols, default), Logical::None)?;
        self.define(full, ix)?;
        Ok(ix)
    }

    fn record(&mut self, object: &Object, namespace: &str) -> Result<Ix, Incompatible> {
        let name = self.name(object, namespace)?;
        let full = name.full.clone();
        let inner = full.rsplit_once('.').map_or("", |(namespace, _)| namespace).to_owned();
        let ix = self.push(Kind::Record(name, Vec::new()), Logical::None)?;
        self.define(full.clone(), ix)?;
        let Some(list) = object.get("fields").and_then(Value::as_array) else {
            return self.error(format!("the record {full} has no `fields`"));
        };
        let mut fields: Vec<Field> = Vec::with_capacity(list.len());
        for field in list {
            let Some(name) = field.get("name").and_then(Value::as_str).filter(|name| is_name(name)) else {
                return self.error(format!("a field of {full} has no name, or one that is not a word"));
            };
            if fields.iter().any(|other| *other.name == *name) {
                return self.error(format!("the field `{name}` is there twice"));
            }
            self.path.push(name.into());
            let Some(kind) = field.get("type") else {
                return self.error("a field has no `type`");
            };
            let node = self.node(kind, &inner)?;
            self.path.pop();
            fields.push(Field {
                name: name.into(),
                aliases: strings(field.get("aliases")).map(Into::into).collect(),
                node,
                default: field.get("default").cloned(),
            });
        }
        if let Kind::Record(_, place) = &mut self.nodes[ix as usize].kind {
            *place = fields;
        }
        Ok(ix)
    }

    fn name(&self, object: &Object, namespace: &str) -> Result<Name, Incompatible> {
        let Some(name) = object.get("name").and_then(Value::as_str) else {
            return self.error("a record, enum or fixed has no `name`");
        };
        let namespace = object.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
        let full: Arc<str> = full(name, namespace).into();
        if !full.split('.').all(is_name) || primitive(&full).is_some() {
            return self.error(format!("`{full}` can't be the name of a type"));
        }
        let space = full.rsplit_once('.').map_or("", |(space, _)| space);
        let aliases = strings(object.get("aliases"))
            .map(|alias| self::full(alias, space).into())
            .collect();
        Ok(Name { full, aliases })
    }

    fn define(&mut self, full: Arc<str>, ix: Ix) -> Result<(), Incompatible> {
        if self.names.contains_key(&full) {
            return self.error(format!("the type {full} is defined twice"));
        }
        self.names.insert(full, ix);
        Ok(())
    }

    fn push(&mut self, kind: Kind, logical: Logical) -> Result<Ix, Incompatible> {
        if self.nodes.len() == MAX_NODES {
            return self.error(format!("a schema of more than {MAX_NODES} types"));
        }
        self.nodes.push(Node { kind, logical });
        Ok((self.nodes.len() - 1) as Ix)
    }

    fn error<T>(&self, why: impl Into<String>) -> Result<T, Incompatible> {
        Err(Incompatible::new(&self.path.join("."), why))
    }
}

/// In a union, Avro allows one unnamed type of each kind, and named types with different names.
fn same_branch(one: &Kind, other: &Kind) -> bool {
    match (one, other) {
        (
            Kind::Record(a, _) | Kind::Enum(a, ..) | Kind::Fixed(a, _),
            Kind::Record(b, _) | Kind::Enum(b, ..) | Kind::Fixed(b, _),
        ) => a.full == b.full,
        _ => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}

fn full(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn strings(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

fn primitive(name: &str) -> Option<Kind> {
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

/// The logical type, or `None` if it is unknown or not valid for this kind.
fn logical(kind: &Kind, object: &Object) -> Logical {
    let Some(name) = object.get("logicalType").and_then(Value::as_str) else {
        return Logical::None;
    };
    let number = |word: &str| {
        object
            .get(word)
            .map_or(Some(0), Value::as_u64)
            .and_then(|n| u32::try_from(n).ok())
    };
    match (name, kind) {
        ("decimal", Kind::Bytes | Kind::Fixed(..)) => match (number("precision"), number("scale")) {
            (Some(precision), Some(scale)) if precision > 0 && scale <= precision => {
                // Digits that fit into a fixed: floor(log10(2^(8n - 1) - 1)).
                let room = match kind {
                    Kind::Fixed(_, size) => ((f64::from(*size) * 8.0 - 1.0) * 2f64.log10()).max(0.0) as u32,
                    _ => u32::MAX,
                };
                if precision <= room {
                    Logical::Decimal { precision, scale }
                } else {
                    Logical::None
                }
            }
            _ => Logical::None,
        },
        ("uuid", Kind::Text | Kind::Fixed(_, 16)) => Logical::Uuid,
        ("timestamp-millis", Kind::Long) => Logical::TimestampMillis,
        ("timestamp-micros", Kind::Long) => Logical::TimestampMicros,
        ("timestamp-nanos", Kind::Long) => Logical::TimestampNanos,
        ("local-timestamp-millis", Kind::Long) => Logical::LocalTimestampMillis,
        ("local-timestamp-micros", Kind::Long) => Logical::LocalTimestampMicros,
        ("local-timestamp-nanos", Kind::Long) => Logical::LocalTimestampNanos,
        ("date", Kind::Int) => Logical::Date,
        ("time-millis", Kind::Int) => Logical::TimeMillis,
        ("time-micros", Kind::Long) => Logical::TimeMicros,
        ("duration", Kind::Fixed(_, 12)) => Logical::Duration,
        _ => Logical::None,
    }
}
