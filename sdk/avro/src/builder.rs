//! Makes Rust types of a schema. What Rust can represent becomes a [`Definition`], and everything else is an error with its
//! place.

use crate::error::Error;
use crate::name;
use crate::types::{Branch, Definition, Field, Kind, Symbol, Type, Types};
use pelton_avro_schema::{self as schema, Ix, Logical, Schema, is_name, short};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Maximum digits of an i128.
const MAX_PRECISION: u32 = 38;
/// A larger fixed must be a mistake.
const MAX_FIXED: u32 = 1 << 20;

/// Makes the types of one file.
pub struct Builder<'s> {
    schema: &'s Schema,
    file: String,
    types: &'s mut Types,
    /// The records whose fields are being made, outermost first.
    open: Vec<Ix>,
}

/// A place in a schema: the path for errors, and the name for a union without one.
#[derive(Clone)]
struct At {
    path: String,
    union: String,
}

impl At {
    fn inside(&self, path: &str, union: &str) -> At {
        At {
            path: format!("{}{path}", self.path),
            union: union.into(),
        }
    }
}

impl<'s> Builder<'s> {
    pub fn new(schema: &'s Schema, file: &str, types: &'s mut Types) -> Self {
        Builder {
            schema,
            file: file.into(),
            types,
            open: Vec::new(),
        }
    }

    /// Makes the type at the top level, and the types in it. If it is a union, its name is `union`, or is made of the file's
    /// name, `stem`.
    pub fn top(&mut self, stem: &str, union: Option<&str>) -> Result<(), Error> {
        let root = self.schema.root();
        let mut at = At {
            path: String::new(),
            union: String::new(),
        };
        let what = match (self.schema.kind(root), union) {
            (schema::Kind::Union(branches), _) => {
                let derived = name::camel(&stem.replace(|c: char| !c.is_ascii_alphanumeric(), "_"));
                let name = union.unwrap_or(derived.strip_suffix('s').unwrap_or(&derived));
                if !is_name(name) {
                    return Err(self.error(&at, format!("`{name}` can't name a Rust enum")));
                }
                at.union = name.into();
                return self.union(root, branches, &at).map(drop);
            }
            (_, Some(name)) => format!("the top level is no union: `{name}` can't name it, use `file`"),
            (schema::Kind::Record(..) | schema::Kind::Enum(..), None) => return self.named(root, &at).map(drop),
            (_, None) => "the top level has to be a record, an enum or a union of records: put it into a record".into(),
        };
        Err(self.error(&at, what))
    }

    fn error(&self, at: &At, what: String) -> Error {
        Error::new(&self.file, &at.path, what)
    }

    /// The Rust type of a node.
    fn of(&mut self, ix: Ix, at: &At) -> Result<Type, Error> {
        Ok(match self.schema.kind(ix) {
            schema::Kind::Null => Type::Null,
            schema::Kind::Boolean => Type::Boolean,
            schema::Kind::Int => Type::Int,
            schema::Kind::Long => Type::Long,
            schema::Kind::Float => Type::Float,
            schema::Kind::Double => Type::Double,
            schema::Kind::Text => Type::Text,
            schema::Kind::Bytes => self.decimal(ix, 0, at)?.unwrap_or(Type::Bytes),
            schema::Kind::Array(item) => {
                let at = at.inside("[]", &format!("{}Item", at.union));
                Type::Array(self.of(*item, &at)?.into())
            }
            schema::Kind::Map(value) => {
                let at = at.inside("{}", &format!("{}Value", at.union));
                Type::Map(self.of(*value, &at)?.into())
            }
            schema::Kind::Union(branches) => match (self.schema.null_branch(ix), branches.len()) {
                (Some(null), 2) => Type::Nullable {
                    of: self.of(branches[1 - null], at)?.into(),
                    null_last: null == 1,
                },
                _ => self.union(ix, branches, at)?,
            },
            schema::Kind::Fixed(..) | schema::Kind::Enum(..) | schema::Kind::Record(..) => self.named(ix, at)?,
        })
    }

    /// Returns `None` if the node is not meant to be a decimal.
    fn decimal(&self, ix: Ix, size: u32, at: &At) -> Result<Option<Type>, Error> {
        let node = self.schema.node(ix);
        match (node.logical, &node.invalid_decimal) {
            (Logical::Decimal { precision, .. }, _) if precision > MAX_PRECISION => {
                let what = format!(
                    "decimals have at most {MAX_PRECISION} digits here, not {precision}: drop the logical type"
                );
                Err(self.error(at, what))
            }
            (Logical::Decimal { precision, scale }, _) => Ok(Some(Type::Decimal { precision, scale, size })),
            (_, Some(why)) => Err(self.error(at, why.clone())),
            _ => Ok(None),
        }
    }

    fn named(&mut self, ix: Ix, at: &At) -> Result<Type, Error> {
        if let Some(from) = self.open.iter().position(|open| *open == ix) {
            let cycle = self.open[from..].iter().chain([&ix]);
            let names: Vec<&str> = cycle.map(|ix| self.schema.kind(*ix).name()).collect();
            let names = names.join(" -> ");
            let what = format!("recursive types are not supported ({names}): bytes could nest without end");
            return Err(self.error(at, what));
        }
        if let Some(known) = self.types.named.get(&ix) {
            return Ok(known.clone());
        }
        let full = self.schema.kind(ix).name();
        if schema::Kind::primitive(short(full)).is_some() {
            return Err(self.error(at, format!("`{full}` can't name a type")));
        }
        let mut at = at.clone();
        if at.path.is_empty() {
            at.path = short(full).into();
        }
        let of = match self.schema.kind(ix) {
            schema::Kind::Record(_, fields) => self.record(ix, fields, &at)?,
            schema::Kind::Enum(_, symbols, default) => self.enumeration(ix, symbols, *default, &at)?,
            schema::Kind::Fixed(_, size) if *size > MAX_FIXED => {
                return Err(self.error(&at, format!("a fixed has at most {MAX_FIXED} bytes here")));
            }
            schema::Kind::Fixed(_, size) => self.decimal(ix, *size, &at)?.unwrap_or(Type::Fixed(*size)),
            other => unreachable!("{} is no named type", other.name()),
        };
        self.types.named.insert(ix, of.clone());
        Ok(of)
    }

    fn enumeration(&mut self, ix: Ix, symbols: &[Arc<str>], default: Option<u32>, at: &At) -> Result<Type, Error> {
        let symbols: Vec<Symbol> = symbols
            .iter()
            .map(|avro| Symbol {
                avro: avro.to_string(),
                name: name::camel(avro),
            })
            .collect();
        self.differ(at, symbols.iter().map(|symbol| (&*symbol.avro, &*symbol.name)))?;
        let default = default.map(|index| index as usize);
        self.define(ix, self.schema.kind(ix).name(), Kind::Enum(symbols, default), at)
    }

    fn record(&mut self, ix: Ix, fields: &[schema::Field], at: &At) -> Result<Type, Error> {
        let full = self.schema.kind(ix).name();
        let rust = name::camel(short(full));
        self.open.push(ix);
        let mut read = Vec::new();
        for field in fields {
            let at = at.inside(
                &format!(".{}", field.name),
                &format!("{rust}{}", name::camel(&field.name)),
            );
            read.push(self.field(field, &at)?);
        }
        self.open.pop();
        self.differ(at, read.iter().map(|field| (&*field.avro, &*field.name)))?;
        self.define(ix, full, Kind::Record(read), at)
    }

    fn field(&mut self, field: &schema::Field, at: &At) -> Result<Field, Error> {
        let of = self.of(field.node, at)?;
        let default = self
            .schema
            .default_value(field)
            .map_err(|why| self.error(at, format!("its default: {why}")))?;
        Ok(Field {
            avro: field.name.to_string(),
            name: name::snake(&field.name),
            doc: field.doc().map(Into::into),
            default: default.map(|value| self.types.value(&of, &value)),
            of,
        })
    }

    /// The type of a union that is not an option.
    fn union(&mut self, ix: Ix, branches: &[Ix], at: &At) -> Result<Type, Error> {
        let (mut names, mut read) = (Vec::new(), Vec::new());
        for (i, branch) in branches.iter().enumerate() {
            let of = self.of(*branch, &at.inside(&format!("({i})"), &format!("{}{i}", at.union)))?;
            let avro = self.schema.kind(*branch).name();
            names.push(name::camel(short(avro)));
            read.push((avro, of));
        }
        let variants = name::distinct(&names);
        let branches: Vec<Branch> = read
            .into_iter()
            .zip(variants)
            .map(|((avro, of), name)| Branch {
                avro: avro.into(),
                name,
                of,
            })
            .collect();
        self.differ(at, branches.iter().map(|branch| (&*branch.avro, &*branch.name)))?;
        self.define(ix, &at.union, Kind::Union(branches), at)
    }

    /// Fails if two Avro names become the same Rust name.
    fn differ<'n>(&self, at: &At, names: impl Iterator<Item = (&'n str, &'n str)>) -> Result<(), Error> {
        let mut seen = BTreeMap::new();
        for (avro, rust) in names {
            if let Some(other) = seen.insert(rust, avro) {
                return Err(self.error(at, format!("`{other}` and `{avro}` would both be `{rust}` in Rust")));
            }
        }
        Ok(())
    }

    /// Defines a Rust type. Two unions may have the same name, if they are the same.
    fn define(&mut self, node: Ix, full: &str, kind: Kind, at: &At) -> Result<Type, Error> {
        let name = name::camel(short(full));
        let mut others = self.types.definitions.iter().enumerate();
        if let Some((i, other)) = others.find(|(_, definition)| definition.name == name) {
            if other.full == full && self.schema.same(other.node, node) {
                return Ok(Type::Named(i));
            }
            let what = format!(
                "the Rust type `{name}` would have two definitions: `{}` of {}, and `{full}` here",
                other.full, other.file
            );
            return Err(self.error(at, what));
        }
        self.types.definitions.push(Definition {
            name,
            full: full.into(),
            file: self.file.clone(),
            node,
            doc: self.schema.node(node).doc().map(Into::into),
            kind,
        });
        Ok(Type::Named(self.types.definitions.len() - 1))
    }
}
