//! apache-avro as the oracle of the code that pelton-avro generates: the schemas, with what the generated code does.

pub mod random;
pub mod values;

use apache_avro::{Schema, reader::datum::GenericDatumReader, types::Value, writer::datum::GenericDatumWriter};
use pelton_sdk::avro::{Datum, Malformed, decode_all};

/// The generated types.
pub mod schema {
    pelton_sdk::include_schemas!();
}

/// A schema, and its generated code without the type.
pub struct Case {
    pub name: &'static str,
    /// As it was given.
    pub source: &'static str,
    /// As the generated code has it.
    pub schema: &'static str,
    /// Decodes, encodes, decodes again and compares.
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
    // By text: NaN is not itself.
    assert!(value == again || format!("{value:?}") == format!("{again:?}"));
    Ok(out)
}

/// Writes as apache-avro does.
pub fn write(schema: &Schema, value: Value) -> Result<Vec<u8>, apache_avro::Error> {
    GenericDatumWriter::builder(schema).build()?.write_value_to_vec(value)
}

/// Reads as apache-avro does, and advances.
pub fn read(schema: &Schema, from: &mut &[u8]) -> Result<Value, apache_avro::Error> {
    GenericDatumReader::builder(schema).build()?.read_value(from)
}

include!(concat!(env!("OUT_DIR"), "/cases.rs"));
