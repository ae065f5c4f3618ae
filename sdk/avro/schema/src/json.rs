//! Converts a schema back to JSON.
//!
//! Rule: attributes keep their order, and none is lost. Types have their full names. Each named type is defined where it is
//! first used, so the JSON of any node is self-contained.

use crate::name;
use crate::schema::{Ix, Kind, Schema};
use serde_json::Value;
use std::collections::HashSet;

impl Schema {
    /// The self-contained schema of a node.
    pub fn json(&self, ix: Ix) -> Value {
        let mut defined = HashSet::new();
        let mut writer = Writer {
            schema: self,
            defines: &mut |ix| defined.insert(ix),
        };
        writer.node(ix, "")
    }

    /// Whether two nodes have the same definition, apart from documentation. Of the named types in them, only the names are
    /// compared.
    pub fn same(&self, one: Ix, other: Ix) -> bool {
        let words = |root| {
            let mut defined = false;
            let mut writer = Writer {
                schema: self,
                defines: &mut |ix| ix == root && !std::mem::replace(&mut defined, true),
            };
            without_docs(&writer.node(root, ""))
        };
        words(one) == words(other)
    }
}

struct Writer<'s, 'd> {
    schema: &'s Schema,
    /// Whether to define a named type here. Otherwise only its name is written.
    defines: &'d mut dyn FnMut(Ix) -> bool,
}

impl Writer<'_, '_> {
    fn node(&mut self, ix: Ix, namespace: &str) -> Value {
        let schema = self.schema;
        let node = schema.node(ix);
        let named = node.kind.named();
        if let Some(name) = named
            && !(self.defines)(ix)
        {
            return (*name.full).into();
        }
        if let Kind::Union(branches) = &node.kind {
            return branches.iter().map(|branch| self.node(*branch, namespace)).collect();
        }
        let Some(mut object) = node.written.clone() else {
            return node.kind.name().into();
        };
        match &node.kind {
            Kind::Array(item) => _ = object.insert("items".into(), self.node(*item, namespace)),
            Kind::Map(value) => _ = object.insert("values".into(), self.node(*value, namespace)),
            Kind::Record(name, fields) => {
                let namespace = name::namespace(&name.full);
                let fields = fields.iter().map(|field| {
                    let mut object = field.written.clone();
                    object.insert("type".into(), self.node(field.node, namespace));
                    Value::Object(object)
                });
                object.insert("fields".into(), fields.collect());
            }
            _ => {}
        }
        // Otherwise the name would be in the enclosing namespace.
        if named.is_some_and(|name| !name.full.contains('.')) && !namespace.is_empty() {
            object.insert("namespace".into(), "".into());
        }
        Value::Object(object)
    }
}

fn without_docs(json: &Value) -> Value {
    match json {
        Value::Array(list) => list.iter().map(without_docs).collect(),
        Value::Object(object) => {
            let parts = object.iter().filter(|(key, _)| *key != "doc");
            parts
                .map(|(key, value)| match key.as_str() {
                    "default" => (key.clone(), value.clone()),
                    _ => (key.clone(), without_docs(value)),
                })
                .collect()
        }
        other => other.clone(),
    }
}
