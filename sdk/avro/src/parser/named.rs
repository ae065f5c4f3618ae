//! Parses named types (enums and fixed), and checks that a name has only one definition, in Avro and in Rust.

use super::{At, PRIMITIVES, Parsed, Parser, doc, logical, simple};
use crate::schema::{Definition, Kind, Symbol, Type};
use crate::{Error, name};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A larger fixed must be a mistake.
const MAX_FIXED: u64 = 1 << 20;

impl Parser {
    pub(super) fn fixed(&mut self, object: &Map<String, Value>, at: &At) -> Parsed {
        let (full, at) = self.named(object, at)?;
        let Some(size) = object
            .get("size")
            .and_then(Value::as_u64)
            .filter(|size| *size <= MAX_FIXED)
        else {
            return Err(self.error(&at, format!("a fixed has a \"size\" of at most {MAX_FIXED} bytes")));
        };
        let of = match logical(object) {
            Some("decimal") if size > 0 => self.decimal(object, size as usize, &at)?,
            _ => Type::Fixed(size as usize),
        };
        self.know(&full, of, definition(object, &full), &at)
    }

    pub(super) fn enumeration(&mut self, object: &Map<String, Value>, at: &At) -> Parsed {
        let (full, at) = self.named(object, at)?;
        let symbols: Option<Vec<&str>> = object
            .get("symbols")
            .and_then(Value::as_array)
            .and_then(|list| list.iter().map(Value::as_str).collect());
        let Some(symbols) = symbols.filter(|symbols| !symbols.is_empty()) else {
            return Err(self.error(&at, "an enum has \"symbols\", a list of names".into()));
        };
        if let Some(symbol) = symbols.iter().find(|symbol| !name::is_valid(symbol)) {
            return Err(self.error(&at, format!("`{symbol}` is no Avro name")));
        }
        let default = match object.get("default") {
            None => None,
            Some(default) => match symbols.iter().position(|symbol| default == symbol) {
                None => return Err(self.error(&at, format!("its default {default} is none of its symbols"))),
                found => found,
            },
        };
        let symbols: Vec<Symbol> = symbols
            .iter()
            .map(|avro| Symbol {
                avro: avro.to_string(),
                name: name::camel(avro),
            })
            .collect();
        self.differ(&at, symbols.iter().map(|symbol| (&*symbol.avro, &*symbol.name)))?;
        let kind = Kind::Enum(symbols, default);
        self.define(&full, definition(object, &full), doc(object), kind, &at)
    }

    /// The full name of a definition, and the place inside of it.
    pub(super) fn named(&self, object: &Map<String, Value>, at: &At) -> Result<(String, At), Error> {
        let Some(given) = object.get("name").and_then(Value::as_str) else {
            return Err(self.error(at, "a record, enum or fixed has a \"name\"".into()));
        };
        let namespace = object.get("namespace").and_then(Value::as_str).unwrap_or(&at.namespace);
        let full = full_name(given, namespace);
        let name = simple(&full);
        if !full.split('.').all(name::is_valid) || PRIMITIVES.iter().any(|(primitive, _)| *primitive == name) {
            return Err(self.error(at, format!("`{given}` can't name a type in Avro")));
        }
        let namespace = full[..full.len() - name.len()].trim_end_matches('.').into();
        let path = if at.path.is_empty() {
            name.into()
        } else {
            at.path.clone()
        };
        Ok((
            full.clone(),
            At {
                namespace,
                path,
                union: at.union.clone(),
            },
        ))
    }

    /// Fails if two Avro names become the same Rust name.
    pub(super) fn differ<'n>(&self, at: &At, names: impl Iterator<Item = (&'n str, &'n str)>) -> Result<(), Error> {
        let mut seen = BTreeMap::new();
        for (avro, rust) in names {
            if let Some(other) = seen.insert(rust, avro) {
                return Err(self.error(at, format!("`{other}` and `{avro}` would both be `{rust}` in Rust")));
            }
        }
        Ok(())
    }

    pub(super) fn define(&mut self, full: &str, schema: Value, doc: Option<String>, kind: Kind, at: &At) -> Parsed {
        let name = name::camel(simple(full));
        let union = matches!(kind, Kind::Union(_));
        let i = match self.definitions.iter().position(|definition| definition.name == name) {
            Some(i) => {
                let other = &self.definitions[i];
                if other.full != full || plain(&other.schema) != plain(&schema) {
                    let what = format!(
                        "the Rust type `{name}` would have two definitions: `{}` of {}, and `{full}` here",
                        other.full, other.file
                    );
                    return Err(self.error(at, what));
                }
                i
            }
            None => {
                let (full, file, schema) = (full.into(), self.file.clone(), schema.clone());
                self.definitions.push(Definition {
                    name,
                    full,
                    file,
                    schema,
                    doc,
                    kind,
                });
                self.definitions.len() - 1
            }
        };
        if union {
            Ok((Type::Named(i), schema))
        } else {
            self.know(full, Type::Named(i), schema, at)
        }
    }

    /// Remembers a named type.
    pub(super) fn know(&mut self, full: &str, of: Type, schema: Value, at: &At) -> Parsed {
        match self.known.get(full) {
            Some((_, other, file)) if plain(other) != plain(&schema) => Err(self.error(
                at,
                format!("`{full}` would have two definitions: one of {file}, and another here"),
            )),
            _ => {
                self.known.insert(full.into(), (of.clone(), schema, self.file.clone()));
                Ok((of, full.into()))
            }
        }
    }
}

pub(super) fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        name.into()
    } else {
        format!("{namespace}.{name}")
    }
}

/// A definition with its full name. An empty namespace is kept, because it differs from the enclosing one.
pub(super) fn definition(object: &Map<String, Value>, full: &str) -> Value {
    let mut object = object.clone();
    object.insert("name".into(), full.into());
    if object
        .get("namespace")
        .is_some_and(|namespace| namespace != "" || full.contains('.'))
    {
        object.shift_remove("namespace");
    }
    Value::Object(object)
}

/// The schema without documentation, which does not matter for equality.
fn plain(schema: &Value) -> Value {
    match schema {
        Value::Array(list) => list.iter().map(plain).collect(),
        Value::Object(object) => {
            let parts = object.iter().filter(|(k, _)| *k != "doc");
            parts
                .map(|(k, v)| (k.clone(), if k == "default" { v.clone() } else { plain(v) }))
                .collect()
        }
        other => other.clone(),
    }
}
