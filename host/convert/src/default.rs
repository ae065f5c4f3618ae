//! Converts the default values of fields to datums.
//!
//! Rule: a default is checked only by a converter that needs it, and is converted once.

use super::Incompatible;
use super::datum::{put_long, put_sized};
use pelton_avro_schema::{Datum, Field, Schema};

/// The datum of a field's default, if it has one.
pub(super) fn of(schema: &Schema, field: &Field, path: &str) -> Result<Option<Box<[u8]>>, Incompatible> {
    let value = schema
        .default_value(field)
        .map_err(|why| Incompatible::new(path, format!("its default: {why}")))?;
    Ok(value.map(|value| {
        let mut out = Vec::new();
        write(&value, &mut out);
        out.into()
    }))
}

fn write(value: &Datum, out: &mut Vec<u8>) {
    match value {
        Datum::Null => {}
        Datum::Boolean(value) => out.push(u8::from(*value)),
        Datum::Int(value) => put_long(i64::from(*value), out),
        Datum::Long(value) => put_long(*value, out),
        Datum::Float(value) => out.extend_from_slice(&value.to_le_bytes()),
        Datum::Double(value) => out.extend_from_slice(&value.to_le_bytes()),
        Datum::Text(text) => put_sized(text.as_bytes(), out),
        Datum::Bytes(bytes) => put_sized(bytes, out),
        Datum::Fixed(bytes) => out.extend_from_slice(bytes),
        Datum::Symbol(index) => put_long(*index as i64, out),
        Datum::Array(items) => blocks(items, |item, out| write(item, out), out),
        Datum::Map(entries) => {
            let entry = |(key, value): &(&str, Datum), out: &mut Vec<u8>| {
                put_sized(key.as_bytes(), out);
                write(value, out);
            };
            blocks(entries, entry, out);
        }
        Datum::Branch(index, value) => {
            put_long(*index as i64, out);
            write(value, out);
        }
        Datum::Record(fields) => fields.iter().for_each(|field| write(field, out)),
    }
}

/// Writes all items as one block, if there are any, and the end of the blocks.
fn blocks<T>(items: &[T], write: impl Fn(&T, &mut Vec<u8>), out: &mut Vec<u8>) {
    if !items.is_empty() {
        put_long(items.len() as i64, out);
        items.iter().for_each(|item| write(item, out));
    }
    out.push(0);
}
