//! Tests of the converters against other implementations, the wire contract, and hostile bytes.

mod contract;
mod evolution;
mod generate;
mod hostile;
mod json;
mod rules;

use super::{JsonReader, JsonWriter, Resolver, Unreadable};

const WALLET: &str = include_str!("tests/wallet.avsc");
const SESSION: &str = include_str!("tests/session.avsc");
const ENRICHED: &str = include_str!("tests/enriched.avsc");

fn to_avro(schema: &str, text: &str) -> Result<Vec<u8>, Unreadable> {
    let mut out = b"before".to_vec();
    let result = JsonReader::new(schema)
        .expect("a schema")
        .convert(text.as_bytes(), &mut out);
    assert!(out.starts_with(b"before"), "what was there stays");
    if result.is_err() {
        assert_eq!(out, b"before", "nothing is appended by a failure");
    }
    result.map(|()| out.split_off(6))
}

fn to_json(schema: &str, datum: &[u8]) -> Result<String, Unreadable> {
    let mut out = Vec::new();
    JsonWriter::new(schema).expect("a schema").convert(datum, &mut out)?;
    Ok(String::from_utf8(out).expect("JSON is UTF-8"))
}

fn resolve(writer: &str, reader: &str, datum: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let mut out = b"before".to_vec();
    let result = Resolver::new(writer, reader)
        .expect("compatible")
        .convert(datum, &mut out);
    assert!(out.starts_with(b"before"), "what was there stays");
    result.map(|()| out.split_off(6))
}

/// A record with one field.
fn record(field: &str) -> String {
    format!(r#"{{"type":"record","name":"R","fields":[{field}]}}"#)
}
