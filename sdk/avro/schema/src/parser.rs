//! Parses the JSON of schemas into nodes.
//!
//! Rule: a name means one type, which is defined before it is used. What Avro forbids is refused, with its place.

mod logical;

use crate::invalid::Invalid;
use crate::logical::Logical;
use crate::name;
use crate::parts::Parts;
use crate::schema::{Field, Ix, Kind, Name, Node, Object, Schema};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Maximum number of types in a schema. The host's resolver compares pairs of them.
pub const MAX_NODES: usize = 1 << 14;

/// Parses one or more schemas. Each may use types of earlier ones by name.
pub struct Parser {
    schema: Schema,
    names: HashMap<Arc<str>, Known>,
    /// For the nodes of earlier texts.
    parts: Vec<Parts>,
    /// The name of the text that is being parsed.
    file: Arc<str>,
    /// The place in it, as in [`Invalid`].
    place: String,
}

/// A named type.
#[derive(Clone)]
struct Known {
    ix: Ix,
    /// The last file that defines it.
    file: Arc<str>,
}

impl Schema {
    /// Parses the JSON of a schema.
    pub fn parse(text: &str) -> Result<Schema, Invalid> {
        let mut parser = Parser::default();
        parser.read("", text)?;
        Ok(parser.schema)
    }
}

impl Default for Parser {
    fn default() -> Self {
        let schema = Schema {
            nodes: Vec::new(),
            root: 0,
            empty: Vec::new(),
        };
        Parser {
            schema,
            names: HashMap::new(),
            parts: Vec::new(),
            file: "".into(),
            place: String::new(),
        }
    }
}

impl Parser {
    /// Parses the JSON of another schema, whose type becomes the root. `file` names it in errors. It may repeat the definition of
    /// a type from an earlier file, if both are the same. After an error, the parser can't be used any more.
    pub fn read(&mut self, file: &str, text: &str) -> Result<Ix, Invalid> {
        self.file = file.into();
        self.place.clear();
        let json: Value = match serde_json::from_str(text) {
            Ok(json) => json,
            Err(error) => return self.error(format!("not JSON: {error}")),
        };
        self.schema.root = self.node(&json, "")?;
        self.schema.check_parts(&mut self.parts)?;
        Ok(self.schema.root)
    }

    /// Everything that has been parsed.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    fn node(&mut self, json: &Value, namespace: &str) -> Result<Ix, Invalid> {
        match json {
            Value::String(name) => self.reference(name, namespace),
            Value::Array(branches) => self.union(branches, namespace),
            Value::Object(object) => match object.get("type") {
                Some(Value::String(kind)) => self.object(kind, object, namespace),
                // Java allows {"type": {"type": "string"}}.
                Some(inner @ (Value::Object(_) | Value::Array(_))) => self.node(inner, namespace),
                _ => self.error("an object that is a type needs a \"type\""),
            },
            _ => self.error(format!("a type is a name, an object or an array, not {json}")),
        }
    }

    fn reference(&mut self, name: &str, namespace: &str) -> Result<Ix, Invalid> {
        if let Some(kind) = Kind::primitive(name) {
            return self.push(kind, None);
        }
        let full = name::full(name, namespace);
        // If the namespace has no such type, the name may mean one without a namespace, as in Java.
        match self.names.get(&*full).or_else(|| self.names.get(name)) {
            Some(known) => Ok(known.ix),
            None => self.error(format!("unknown type `{full}`: it has to be defined before it is used")),
        }
    }

    fn object(&mut self, kind: &str, object: &Object, namespace: &str) -> Result<Ix, Invalid> {
        match kind {
            "record" | "error" => self.record(object, namespace),
            "enum" => self.symbols(object, namespace),
            "fixed" => self.fixed(object, namespace),
            "array" => {
                let Some(items) = object.get("items") else {
                    return self.error("an array needs \"items\"");
                };
                let item = self.inside("[]", |parser| parser.node(items, namespace))?;
                self.push(Kind::Array(item), Some(without(object, "items")))
            }
            "map" => {
                let Some(values) = object.get("values") else {
                    return self.error("a map needs \"values\"");
                };
                let value = self.inside("{}", |parser| parser.node(values, namespace))?;
                self.push(Kind::Map(value), Some(without(object, "values")))
            }
            name => match Kind::primitive(name) {
                Some(kind) => self.push(kind, Some(object.clone())),
                None => self.reference(name, namespace),
            },
        }
    }

    fn union(&mut self, branches: &[Value], namespace: &str) -> Result<Ix, Invalid> {
        let mut nodes: Vec<Ix> = Vec::with_capacity(branches.len());
        let mut seen = HashSet::new();
        for (i, branch) in branches.iter().enumerate() {
            let ix = self.inside(&format!("({i})"), |parser| parser.node(branch, namespace))?;
            let kind = self.schema.kind(ix);
            if matches!(kind, Kind::Union(_)) {
                return self.error("a union can't hold a union");
            }
            // Avro allows one unnamed type of each kind, and named types with different names.
            if !seen.insert((kind.named().is_some(), kind.name().to_owned())) {
                return self.error(format!("the union has `{}` twice", kind.name()));
            }
            nodes.push(ix);
        }
        if nodes.is_empty() {
            return self.error("a union needs branches");
        }
        self.push(Kind::Union(nodes), None)
    }

    fn fixed(&mut self, object: &Object, namespace: &str) -> Result<Ix, Invalid> {
        let name = self.name(object, namespace)?;
        let size = object.get("size").and_then(Value::as_u64);
        let Some(size) = size.and_then(|size| u32::try_from(size).ok()) else {
            return self.error("a fixed needs a \"size\", a number of bytes below 2^32");
        };
        let (ix, before) = self.begin(Kind::Fixed(name, size), object.clone())?;
        self.end(ix, before)
    }

    fn symbols(&mut self, object: &Object, namespace: &str) -> Result<Ix, Invalid> {
        let name = self.name(object, namespace)?;
        let list = object.get("symbols").and_then(Value::as_array);
        let Some(list) = list.filter(|list| !list.is_empty()) else {
            return self.error("an enum needs \"symbols\", a list of names");
        };
        let mut symbols: Vec<Arc<str>> = Vec::with_capacity(list.len());
        let mut seen = HashSet::new();
        for symbol in list {
            let Some(symbol) = symbol.as_str().filter(|symbol| name::is_name(symbol)) else {
                return self.error(format!("{symbol} can't be a symbol: use letters, digits and _"));
            };
            if !seen.insert(symbol) {
                return self.error(format!("the symbol `{symbol}` is there twice"));
            }
            symbols.push(symbol.into());
        }
        let default = match object.get("default") {
            None => None,
            Some(value) => match symbols.iter().position(|symbol| value.as_str() == Some(symbol)) {
                Some(index) => Some(index as u32),
                None => return self.error(format!("the default {value} is not one of its symbols")),
            },
        };
        let (ix, before) = self.begin(Kind::Enum(name, symbols, default), object.clone())?;
        self.end(ix, before)
    }

    fn record(&mut self, object: &Object, namespace: &str) -> Result<Ix, Invalid> {
        let name = self.name(object, namespace)?;
        let Some(list) = object.get("fields").and_then(Value::as_array) else {
            return self.error(format!("the record {} needs \"fields\", a list", name.full));
        };
        let outside = self.place.len();
        if outside == 0 {
            self.place = name.short().into();
        }
        let inner = name::namespace(&name.full).to_owned();
        let (ix, before) = self.begin(Kind::Record(name, Vec::new()), without(object, "fields"))?;
        let mut fields: Vec<Field> = Vec::with_capacity(list.len());
        let mut seen = HashSet::new();
        for field in list {
            let field = self.field(field, &inner)?;
            if !seen.insert(field.name.clone()) {
                return self.error(format!("the field `{}` is there twice", field.name));
            }
            fields.push(field);
        }
        if let Kind::Record(_, place) = &mut self.schema.nodes[ix as usize].kind {
            *place = fields;
        }
        let ix = self.end(ix, before)?;
        self.place.truncate(outside);
        Ok(ix)
    }

    fn field(&mut self, field: &Value, namespace: &str) -> Result<Field, Invalid> {
        let name = field.get("name").and_then(Value::as_str);
        let (Some(object), Some(name)) = (field.as_object(), name) else {
            return self.error("a field is an object with a \"name\"");
        };
        if !name::is_name(name) {
            return self.error(format!("`{name}` can't name a field: use letters, digits and _"));
        }
        let node = self.inside(&format!(".{name}"), |parser| match object.get("type") {
            Some(kind) => parser.node(kind, namespace),
            None => parser.error("a field needs a \"type\""),
        })?;
        Ok(Field {
            name: name.into(),
            aliases: strings(object.get("aliases")).map(Into::into).collect(),
            node,
            written: without(object, "type"),
        })
    }

    fn name(&self, object: &Object, namespace: &str) -> Result<Name, Invalid> {
        let Some(name) = object.get("name").and_then(Value::as_str) else {
            return self.error("a record, enum or fixed needs a \"name\"");
        };
        let namespace = object.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
        let full: Arc<str> = name::full(name, namespace).into();
        if !full.split('.').all(name::is_name) || Kind::primitive(&full).is_some() {
            return self.error(format!("`{full}` can't name a type"));
        }
        let aliases = strings(object.get("aliases"))
            .map(|alias| name::full(alias, name::namespace(&full)).into())
            .collect();
        Ok(Name { full, aliases })
    }

    /// Adds a named type, so that its own definition may use the name. Also returns what the name meant before.
    fn begin(&mut self, kind: Kind, mut written: Object) -> Result<(Ix, Option<Known>), Invalid> {
        let full: Arc<str> = kind.name().into();
        written.insert("name".into(), (*full).into());
        // An empty namespace is kept, because it differs from the enclosing one.
        if full.contains('.') || written.get("namespace").is_some_and(|namespace| namespace != "") {
            written.shift_remove("namespace");
        }
        let ix = self.push(kind, Some(written))?;
        let file = self.file.clone();
        match self.names.insert(full.clone(), Known { ix, file }) {
            Some(before) if before.file == self.file => self.error(format!("`{full}` is defined twice")),
            before => Ok((ix, before)),
        }
    }

    /// Completes a named type. If an earlier file has defined it, both definitions must be the same, and the earlier one is used.
    fn end(&mut self, ix: Ix, before: Option<Known>) -> Result<Ix, Invalid> {
        let Some(Known { ix: earlier, file }) = before else {
            return Ok(ix);
        };
        let full: Arc<str> = self.schema.kind(ix).name().into();
        if !self.schema.same(earlier, ix) {
            return self.error(format!(
                "`{full}` would have two definitions: one of {file}, and another here"
            ));
        }
        // Only the repeated definition uses the nodes after it.
        self.schema.nodes.truncate(ix as usize);
        let file = self.file.clone();
        self.names.insert(full, Known { ix: earlier, file });
        Ok(earlier)
    }

    fn push(&mut self, kind: Kind, written: Option<Object>) -> Result<Ix, Invalid> {
        if self.schema.nodes.len() == MAX_NODES {
            return self.error(format!("a schema of more than {MAX_NODES} types"));
        }
        let logical = written
            .as_ref()
            .map_or(Ok(Logical::None), |written| logical::of(&kind, written));
        let (logical, invalid_decimal) = match logical {
            Ok(logical) => (logical, None),
            Err(why) => (Logical::None, Some(why)),
        };
        self.schema.nodes.push(Node {
            kind,
            logical,
            invalid_decimal,
            written,
        });
        Ok((self.schema.nodes.len() - 1) as Ix)
    }

    fn inside<T>(&mut self, step: &str, read: impl FnOnce(&mut Self) -> Result<T, Invalid>) -> Result<T, Invalid> {
        let outside = self.place.len();
        self.place.push_str(step);
        let result = read(self);
        self.place.truncate(outside);
        result
    }

    fn error<T>(&self, what: impl Into<String>) -> Result<T, Invalid> {
        Err(Invalid::new(&self.place, what))
    }
}

/// A copy of the object, with null in place of the types in it, which become nodes of their own.
fn without(object: &Object, types: &str) -> Object {
    let attributes = object.iter().map(|(key, value)| {
        let value = if key == types { Value::Null } else { value.clone() };
        (key.clone(), value)
    });
    attributes.collect()
}

fn strings(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}
