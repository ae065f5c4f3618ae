//! Parses schemas. What Avro allows and Rust can represent becomes a [`Definition`], and everything else is an error
//! with its place.

mod named;

use crate::schema::{Branch, Definition, Field, Kind, Type};
use crate::{Error, name};
use named::{definition, full_name};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// Maximum digits of an i128.
const MAX_PRECISION: u64 = 38;
const PRIMITIVES: &[(&str, Type)] = &[
    ("null", Type::Null),
    ("boolean", Type::Boolean),
    ("int", Type::Int),
    ("long", Type::Long),
    ("float", Type::Float),
    ("double", Type::Double),
    ("string", Type::Text),
    ("bytes", Type::Bytes),
];

/// Parses schemas, file by file.
#[derive(Default)]
pub struct Parser {
    pub definitions: Vec<Definition>,
    /// Known types by full Avro name, with their schemas and files.
    pub(crate) known: BTreeMap<String, (Type, Value, String)>,
    /// Full names of the records that are being parsed, outermost first.
    open: Vec<String>,
    file: String,
}

/// A place in a schema: the namespace, the path for errors, and the name for a union without one.
#[derive(Clone)]
struct At {
    namespace: String,
    path: String,
    union: String,
}

impl At {
    fn inside(&self, path: &str, union: &str) -> At {
        At {
            namespace: self.namespace.clone(),
            path: format!("{}{path}", self.path),
            union: union.into(),
        }
    }
}

type Parsed = Result<(Type, Value), Error>;

impl Parser {
    pub fn file(&mut self, path: &Path, text: &str, union: Option<&str>) -> Result<(), Error> {
        self.file = path.display().to_string();
        let at = At {
            namespace: String::new(),
            path: String::new(),
            union: String::new(),
        };
        let value: Value = serde_json::from_str(text).map_err(|e| self.error(&at, format!("is not JSON: {e}")))?;
        match (&value, union) {
            (Value::Array(branches), _) => {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                let derived = name::camel(&stem.replace(|c: char| !c.is_ascii_alphanumeric(), "_"));
                let name = union.unwrap_or(derived.strip_suffix('s').unwrap_or(&derived));
                if !name::is_valid(name) {
                    return Err(self.error(&at, format!("`{name}` can't name a Rust enum")));
                }
                self.parse_union(
                    branches,
                    &At {
                        union: name.into(),
                        ..at
                    },
                )?;
            }
            (_, Some(name)) => {
                return Err(self.error(
                    &at,
                    format!("the top level is no union: `{name}` can't name it, use `file`"),
                ));
            }
            (value, None) => {
                let (of, _) = self.parse(value, &at)?;
                if !matches!(of, Type::Named(_)) {
                    let what = "the top level has to be a record, an enum or a union of records: put it into a record";
                    return Err(self.error(&at, what.into()));
                }
            }
        }
        Ok(())
    }

    fn error(&self, at: &At, what: String) -> Error {
        Error::new(&self.file, &at.path, what)
    }

    fn parse(&mut self, value: &Value, at: &At) -> Parsed {
        match value {
            Value::String(name) => self.reference(name, at),
            Value::Array(branches) => self.field_union(branches, at),
            Value::Object(object) => match object.get("type") {
                Some(Value::String(kind)) => self.object(kind, object, at),
                // Java allows {"type": {"type": "string"}}.
                Some(inner @ (Value::Object(_) | Value::Array(_))) => self.parse(inner, at),
                _ => Err(self.error(at, "a schema has a \"type\"".into())),
            },
            _ => Err(self.error(at, format!("a schema is text, an object or an array, not {value}"))),
        }
    }

    fn reference(&self, name: &str, at: &At) -> Parsed {
        if let Some((_, of)) = PRIMITIVES.iter().find(|(primitive, _)| *primitive == name) {
            return Ok((of.clone(), name.into()));
        }
        let full = full_name(name, &at.namespace);
        if let Some(from) = self.open.iter().position(|open| *open == full) {
            let cycle = [&self.open[from..], &[full]].concat().join(" -> ");
            let what = format!("recursive types are not supported ({cycle}): bytes could nest without end");
            return Err(self.error(at, what));
        }
        match self.known.get(&full) {
            Some((of, ..)) => Ok((of.clone(), full.into())),
            None => Err(self.error(
                at,
                format!("unknown type `{full}`: it has to be defined before, in this file or in one given earlier"),
            )),
        }
    }

    fn object(&mut self, kind: &str, object: &Map<String, Value>, at: &At) -> Parsed {
        let (of, schema) = match kind {
            "record" | "error" => return self.parse_record(object, at),
            "enum" => return self.enumeration(object, at),
            "fixed" => return self.fixed(object, at),
            "array" => {
                let Some(items) = object.get("items") else {
                    return Err(self.error(at, "an array has \"items\"".into()));
                };
                let (item, schema) = self.parse(items, &at.inside("[]", &format!("{}Item", at.union)))?;
                return Ok((Type::Array(item.into()), with(object, "items", schema)));
            }
            "map" => {
                let Some(values) = object.get("values") else {
                    return Err(self.error(at, "a map has \"values\"".into()));
                };
                let (value, schema) = self.parse(values, &at.inside("{}", &format!("{}Value", at.union)))?;
                return Ok((Type::Map(value.into()), with(object, "values", schema)));
            }
            name => self.reference(name, at)?,
        };
        let of = match (of, logical(object)) {
            (Type::Bytes, Some("decimal")) => self.decimal(object, 0, at)?,
            (of, _) => of,
        };
        // A primitive without attributes is only its name, because attributes would make it another schema.
        let primitive = PRIMITIVES.iter().any(|(primitive, _)| schema == *primitive);
        Ok((
            of,
            if primitive {
                with(object, "type", schema)
            } else {
                schema
            },
        ))
    }

    fn decimal(&self, object: &Map<String, Value>, size: usize, at: &At) -> Result<Type, Error> {
        let Some(precision) = object.get("precision").and_then(Value::as_u64).filter(|p| *p > 0) else {
            return Err(self.error(at, "a decimal has a \"precision\" above 0".into()));
        };
        let scale = object.get("scale").map_or(Some(0), Value::as_u64);
        let Some(scale) = scale.filter(|scale| *scale <= precision) else {
            return Err(self.error(
                at,
                format!("a decimal's \"scale\" is from 0 to its precision ({precision})"),
            ));
        };
        if precision > MAX_PRECISION {
            let what =
                format!("decimals have at most {MAX_PRECISION} digits here, not {precision}: drop the logical type");
            return Err(self.error(at, what));
        }
        // A fixed of n bytes can hold floor(log10(2^(8n-1) - 1)) digits, and 16 bytes can hold 38.
        let most = if size == 0 || size >= 16 {
            38
        } else {
            ((1u128 << (8 * size - 1)) - 1).ilog10()
        };
        let precision = precision as u32;
        if precision > most {
            return Err(self.error(
                at,
                format!("a fixed of {size} bytes holds {most} digits, not {precision}"),
            ));
        }
        Ok(Type::Decimal {
            precision,
            scale: scale as u32,
            size,
        })
    }

    fn parse_record(&mut self, object: &Map<String, Value>, at: &At) -> Parsed {
        let (full, at) = self.named(object, at)?;
        if self.open.contains(&full) {
            return self.reference(&full, &at);
        }
        let Some(fields) = object.get("fields").and_then(Value::as_array) else {
            return Err(self.error(&at, "a record has \"fields\", a list".into()));
        };
        self.open.push(full.clone());
        let rust = name::camel(simple(&full));
        let (mut read, mut schemas) = (Vec::new(), Vec::new());
        for field in fields {
            let (field, schema) = self.field(field, &rust, &at)?;
            read.push(field);
            schemas.push(schema);
        }
        self.open.pop();
        self.differ(&at, read.iter().map(|field| (&*field.avro, &*field.name)))?;
        let Value::Object(definition) = definition(object, &full) else {
            unreachable!("`definition` makes objects")
        };
        let schema = with(&definition, "fields", schemas.into());
        self.define(&full, schema, doc(object), Kind::Record(read), &at)
    }

    fn field(&mut self, field: &Value, record: &str, at: &At) -> Result<(Field, Value), Error> {
        let Some((object, avro)) = field
            .as_object()
            .and_then(|object| Some((object, object.get("name")?.as_str()?)))
        else {
            return Err(self.error(at, "a field is an object with a \"name\"".into()));
        };
        let at = at.inside(&format!(".{avro}"), &format!("{record}{}", name::camel(avro)));
        if !name::is_valid(avro) {
            return Err(self.error(&at, format!("`{avro}` is no Avro name")));
        }
        let Some(of) = object.get("type") else {
            return Err(self.error(&at, "a field has a \"type\"".into()));
        };
        let (of, schema) = self.parse(of, &at)?;
        let field = Field {
            avro: avro.into(),
            name: name::snake(avro),
            doc: doc(object),
            of,
            default: object.get("default").cloned(),
        };
        if let Some(default) = &field.default {
            self.default_value(&field.of, default)
                .map_err(|what| self.error(&at, format!("its default: {what}")))?;
        }
        Ok((field, with(object, "type", schema)))
    }

    /// Parses a union in a field. A union of null and one other type is an option.
    fn field_union(&mut self, branches: &[Value], at: &At) -> Parsed {
        let null = branches.iter().position(|branch| branch == "null");
        let (Some(null), 2) = (null, branches.len()) else {
            return self.parse_union(branches, at);
        };
        let of = &branches[1 - null];
        if of.is_array() || of == "null" {
            return self.parse_union(branches, at);
        }
        let (of, schema) = self.parse(of, at)?;
        let schema = if null == 0 {
            vec!["null".into(), schema]
        } else {
            vec![schema, "null".into()]
        };
        Ok((
            Type::Nullable {
                of: of.into(),
                null_last: null == 1,
            },
            schema.into(),
        ))
    }

    fn parse_union(&mut self, branches: &[Value], at: &At) -> Parsed {
        if branches.is_empty() {
            return Err(self.error(at, "a union has branches".into()));
        }
        let (mut names, mut read, mut schemas) = (Vec::new(), Vec::new(), Vec::new());
        for (i, branch) in branches.iter().enumerate() {
            if branch.is_array() {
                return Err(self.error(at, "a union holds no union".into()));
            }
            let (of, schema) = self.parse(branch, &at.inside(&format!("({i})"), &format!("{}{i}", at.union)))?;
            let avro = self.branch_name(&of, &schema);
            names.push(name::camel(simple(&avro)));
            read.push((avro, of));
            schemas.push(schema);
        }
        let twice = (1..read.len()).find(|i| read[..*i].iter().any(|(avro, _)| *avro == read[*i].0));
        if let Some(i) = twice {
            return Err(self.error(at, format!("the union has `{}` twice", read[i].0)));
        }
        let variants = name::distinct(&names);
        let branches: Vec<Branch> = read
            .into_iter()
            .zip(variants)
            .map(|((avro, of), name)| Branch { avro, name, of })
            .collect();
        self.differ(at, branches.iter().map(|branch| (&*branch.avro, &*branch.name)))?;
        self.define(&at.union.clone(), schemas.into(), None, Kind::Union(branches), at)
    }

    /// The name by which Avro distinguishes the branches of a union.
    fn branch_name(&self, of: &Type, schema: &Value) -> String {
        match (of, schema) {
            (Type::Array(_), _) => "array".into(),
            (Type::Map(_), _) => "map".into(),
            (_, Value::String(name)) => name.clone(),
            (_, schema) => schema["type"].as_str().unwrap_or_default().into(),
        }
    }
}

fn logical(object: &Map<String, Value>) -> Option<&str> {
    object.get("logicalType").and_then(Value::as_str)
}

fn doc(object: &Map<String, Value>) -> Option<String> {
    object.get("doc").and_then(Value::as_str).map(Into::into)
}

/// The name without its namespace.
pub fn simple(full: &str) -> &str {
    full.rsplit('.').next().unwrap_or(full)
}

/// A copy of the object with another value of one attribute.
fn with(object: &Map<String, Value>, attribute: &str, value: Value) -> Value {
    let mut object = object.clone();
    object.insert(attribute.into(), value);
    Value::Object(object)
}
