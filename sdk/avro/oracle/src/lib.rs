//! Tests the code that pelton-avro generates against apache-avro: the schemas, each with its generated code.

pub mod random;
pub mod values;

use apache_avro::{Schema, reader::datum::GenericDatumReader, types::Value, writer::datum::GenericDatumWriter};
use pelton_sdk::avro::{Datum, Malformed, decode_all};

/// The generated types.
pub mod schema {
    pelton_sdk::include_schemas!();
}

/// A schema with its generated code, independent of the type.
pub struct Case {
    pub name: &'static str,
    /// The schema as it was given.
    pub source: &'static str,
    /// The schema in the generated code.
    pub schema: &'static str,
    /// Decodes the bytes, encodes the value, decodes that again and compares.
    pub recode: fn(&[u8]) -> Result<Vec<u8>, Malformed>,
}

impl Case {
    const fn of<T>(name: &'static str, source: &'static str) -> Self
    where
        T: Datum,
        for<'a> T::Of<'a>: PartialEq + std::fmt::Debug,
    {
        Case {
            name,
            source,
            schema: T::SCHEMA,
            recode: recode::<T>,
        }
    }
}

fn recode<T>(bytes: &[u8]) -> Result<Vec<u8>, Malformed>
where
    T: Datum,
    for<'a> T::Of<'a>: PartialEq + std::fmt::Debug,
{
    let value = decode_all::<T>(bytes)?;
    let mut out = Vec::new();
    T::encode(&value, &mut out);
    let again = decode_all::<T>(&out).expect("what was encoded can be decoded");
    // Compared as text, because NaN is not equal to itself.
    assert!(value == again || format!("{value:?}") == format!("{again:?}"));
    Ok(out)
}

/// Encodes a value with apache-avro.
pub fn write(schema: &Schema, value: Value) -> Result<Vec<u8>, apache_avro::Error> {
    GenericDatumWriter::builder(schema).build()?.write_value_to_vec(value)
}

/// Decodes a value with apache-avro, and advances `from`.
pub fn read(schema: &Schema, from: &mut &[u8]) -> Result<Value, apache_avro::Error> {
    GenericDatumReader::builder(schema).build()?.read_value(from)
}

include!(concat!(env!("OUT_DIR"), "/cases.rs"));
