//! Converts the default values of fields, which a schema gives as JSON, to datums.
//!
//! Rule: a default is checked only by a converter that needs it, and is converted once.

use super::datum::{put_long, put_sized};
use super::schema::{Field, Ix, Kind, Logical, Schema};
use super::{Incompatible, decimal};
use serde_json::Value;

/// Maximum nesting of a default's records. A record's default may contain the record itself.
const MAX_DEPTH: u32 = 64;

/// The datum of a field's default, if it has one.
pub(super) fn of(schema: &Schema, field: &Field, path: &str) -> Result<Option<Box<[u8]>>, Incompatible> {
    let Some(value) = &field.default else {
        return Ok(None);
    };
    let mut out = Vec::new();
    match write(schema, field.node, value, MAX_DEPTH, &mut out) {
        Some(()) => Ok(Some(out.into())),
        None => {
            let why = format!("the default {value} is not a value of {}", schema.describe(field.node));
            Err(Incompatible::new(path, why))
        }
    }
}

/// Writes the datum of a value. Returns `None` if the value does not fit the schema.
fn write(schema: &Schema, ix: Ix, value: &Value, depth: u32, out: &mut Vec<u8>) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    match schema.kind(ix) {
        Kind::Null => value.as_null()?,
        Kind::Boolean => out.push(u8::from(value.as_bool()?)),
        Kind::Int => put_long(i64::from(i32::try_from(value.as_i64()?).ok()?), out),
        Kind::Long => put_long(value.as_i64()?, out),
        Kind::Float => out.extend_from_slice(&(float(value)? as f32).to_le_bytes()),
        Kind::Double => out.extend_from_slice(&float(value)?.to_le_bytes()),
        Kind::Text => put_sized(value.as_str()?.as_bytes(), out),
        Kind::Bytes => {
            let bytes = latin1(value.as_str()?)?;
            if let Logical::Decimal { precision, .. } = schema.node(ix).logical {
                decimal::check(&bytes, precision).ok()?;
            }
            put_sized(&bytes, out);
        }
        Kind::Fixed(_, size) => {
            let bytes = latin1(value.as_str()?)?;
            if bytes.len() != *size as usize {
                return None;
            }
            out.extend_from_slice(&bytes);
        }
        Kind::Enum(_, symbols, _) => {
            let text = value.as_str()?;
            put_long(symbols.iter().position(|symbol| **symbol == *text)? as i64, out);
        }
        Kind::Array(item) => {
            let items = value.as_array()?;
            block(items.len(), out, |out| {
                items
                    .iter()
                    .try_for_each(|value| write(schema, *item, value, depth, out))
            })?;
        }
        Kind::Map(item) => {
            let entries = value.as_object()?;
            block(entries.len(), out, |out| {
                entries.iter().try_for_each(|(key, value)| {
                    put_sized(key.as_bytes(), out);
                    write(schema, *item, value, depth, out)
                })
            })?;
        }
        // Takes the first branch that fits. Older versions of Avro demanded the very first branch.
        Kind::Union(branches) => {
            let start = out.len();
            for (index, branch) in branches.iter().enumerate() {
                put_long(index as i64, out);
                if write(schema, *branch, value, depth, out).is_some() {
                    return Some(());
                }
                out.truncate(start);
            }
            return None;
        }
        Kind::Record(_, fields) => {
            let object = value.as_object()?;
            for field in fields {
                let value = object.get(&*field.name).or(field.default.as_ref())?;
                write(schema, field.node, value, depth, out)?;
            }
        }
    }
    Some(())
}

/// Writes the items or entries of an array or map: one block, and none if there are none.
fn block(count: usize, out: &mut Vec<u8>, items: impl FnOnce(&mut Vec<u8>) -> Option<()>) -> Option<()> {
    if count > 0 {
        put_long(count as i64, out);
        items(out)?;
    }
    out.push(0);
    Some(())
}

fn float(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some("NaN") => Some(f64::NAN),
        Some("Infinity" | "INF") => Some(f64::INFINITY),
        Some("-Infinity" | "-INF") => Some(f64::NEG_INFINITY),
        _ => value.as_f64(),
    }
}

/// Bytes from Avro's JSON form of them, which has one character for each byte.
fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|char| u8::try_from(u32::from(char)).ok()).collect()
}
