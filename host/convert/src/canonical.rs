//! The canonical text of a schema, which does not depend on how the schema is written.
//!
//! Rule: two schemas have the same canonical text if their values have the same bytes, names and meaning. Docs,
//! aliases, defaults and the order of attributes don't count. The form never changes, because logs contain its hash.

use super::Incompatible;
use pelton_avro_schema::{Ix, Kind, Logical, Name, Schema};
use std::collections::HashSet;
use std::fmt::Write;
use xxhash_rust::xxh3::xxh3_64;

/// The identity of a schema (Avro JSON): the same for all schemas with the same layout, names and logical types.
pub fn fingerprint(schema: &str) -> Result<u64, Incompatible> {
    let schema = Schema::parse(schema)?;
    let mut text = String::new();
    write(&schema, schema.root(), &mut HashSet::new(), &mut text);
    Ok(xxh3_64(text.as_bytes()))
}

/// Results of `write!` are dropped, because writing into a `String` can't fail.
fn write(schema: &Schema, ix: Ix, seen: &mut HashSet<Ix>, out: &mut String) {
    let node = schema.node(ix);
    let mut first = |name: &Name, out: &mut String| {
        let _ = write!(out, "{}", name.full);
        seen.insert(ix)
    };
    match &node.kind {
        Kind::Null => out.push_str("null"),
        Kind::Boolean => out.push_str("boolean"),
        Kind::Int => out.push_str("int"),
        Kind::Long => out.push_str("long"),
        Kind::Float => out.push_str("float"),
        Kind::Double => out.push_str("double"),
        Kind::Bytes => out.push_str("bytes"),
        Kind::Text => out.push_str("string"),
        Kind::Fixed(name, size) => {
            if !first(name, out) {
                return;
            }
            let _ = write!(out, "=fixed({size})");
        }
        Kind::Enum(name, symbols, _) => {
            if !first(name, out) {
                return;
            }
            let _ = write!(out, "=enum({})", symbols.join(","));
        }
        Kind::Array(item) => {
            out.push_str("array(");
            write(schema, *item, seen, out);
            out.push(')');
        }
        Kind::Map(value) => {
            out.push_str("map(");
            write(schema, *value, seen, out);
            out.push(')');
        }
        Kind::Union(branches) => {
            out.push_str("union(");
            for branch in branches {
                write(schema, *branch, seen, out);
                out.push(',');
            }
            out.push(')');
        }
        Kind::Record(name, fields) => {
            if !first(name, out) {
                return;
            }
            out.push_str("=record(");
            for field in fields {
                let _ = write!(out, "{}:", field.name);
                write(schema, field.node, seen, out);
                out.push(',');
            }
            out.push(')');
        }
    }
    match node.logical {
        Logical::None => {}
        Logical::Decimal { precision, scale } => _ = write!(out, "/decimal({precision},{scale})"),
        logical => _ = write!(out, "/{}", logical.name()),
    }
}
