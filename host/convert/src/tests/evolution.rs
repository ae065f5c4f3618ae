//! Tests of schema resolution against apache-avro, with random schemas, evolutions and values.

use super::generate::{Dice, evolve, schema, text, value};
use crate::{AvroTime, Resolver, Validator, incompatibilities};
use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use proptest::prelude::*;

pub fn encode(schema: &Schema, value: Value) -> Vec<u8> {
    let writer = GenericDatumWriter::builder(schema).build().expect("a writer");
    writer.write_value_to_vec(value).expect("a value of the schema")
}

pub fn decode(writer: &Schema, reader: Option<&Schema>, datum: &[u8]) -> Result<Value, apache_avro::Error> {
    let mut bytes = datum;
    let value = GenericDatumReader::builder(writer)
        .maybe_reader_schema(reader)
        .build()?
        .read_value(&mut bytes)?;
    assert!(bytes.is_empty(), "the oracle reads to the end");
    Ok(value)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Where apache-avro resolves a value, we resolve it to the same one. Where we fail, a finding explains it.
    #[test]
    fn the_oracle_agrees(seed: u64) {
        let mut dice = Dice::new(seed);
        let written = schema(&mut dice);
        let read = evolve(&mut dice, &written);
        let (writer, reader) = (text(&written), text(&read));
        let oracle = (Schema::parse_str(&writer).expect("valid"), Schema::parse_str(&reader).expect("valid"));
        let findings = incompatibilities(&writer, &reader);
        let resolver = Resolver::new(&writer, &reader);
        prop_assert!(resolver.is_ok() || !findings.is_empty());
        for _ in 0..4 {
            let datum = encode(&oracle.0, value(&mut dice, &written));
            prop_assert_eq!(Validator::new(&writer).expect("valid").check(&datum), Ok(()));
            let mut out = Vec::new();
            let ours = match &resolver {
                Ok(resolver) => resolver.convert(&datum, &mut out).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            let theirs = decode(&oracle.0, Some(&oracle.1), &datum);
            match (ours, theirs) {
                (Ok(()), Ok(theirs)) => {
                    prop_assert_eq!(decode(&oracle.1, None, &out).expect("readable"), theirs, "{}\n{}", writer, reader);
                }
                (Err(error), Ok(theirs)) => {
                    prop_assert!(false, "{error}\n{writer}\n{reader}\n{theirs:?}");
                }
                // We resolve what the oracle refuses: the result must at least be valid.
                (Ok(()), Err(_)) | (Err(_), Err(_)) => {}
            }
            if let Ok(resolver) = &resolver
                && !out.is_empty()
            {
                prop_assert_eq!(Validator::new(&reader).expect("valid").check(&out), Ok(()));
                if resolver.is_identity() {
                    prop_assert_eq!(&out, &datum);
                }
            }
        }
    }

    /// A schema reads itself as an identity, without findings.
    #[test]
    fn a_schema_reads_itself(seed: u64) {
        let schema = text(&schema(&mut Dice::new(seed)));
        prop_assert!(Resolver::new(&schema, &schema).expect("compatible").is_identity());
        prop_assert_eq!(incompatibilities(&schema, &schema), vec![]);
    }

    /// If there are no findings, every value can be read.
    #[test]
    fn no_findings_no_failures(seed: u64) {
        let mut dice = Dice::new(seed);
        let written = schema(&mut dice);
        let read = evolve(&mut dice, &written);
        let (writer, reader) = (text(&written), text(&read));
        // Except bytes as text: Avro allows it, although not all bytes are UTF-8.
        if !incompatibilities(&writer, &reader).is_empty() || reader.contains("\"string\"") && writer.contains("\"bytes\"") {
            return Ok(());
        }
        let oracle = Schema::parse_str(&writer).expect("valid");
        let resolver = Resolver::new(&writer, &reader).expect("compatible");
        for _ in 0..4 {
            let datum = encode(&oracle, value(&mut dice, &written));
            prop_assert_eq!(resolver.convert(&datum, &mut Vec::new()), Ok(()));
        }
    }

    /// The event time is that of the field, wherever the field is.
    #[test]
    fn the_time_is_that_of_the_field(seed: u64, time: i64) {
        let mut dice = Dice::new(seed);
        let before = schema(&mut dice);
        let fields = format!(
            r#"{{"name":"before","type":{}}},{{"name":"at","type":["null",{{"type":"long","logicalType":"timestamp-micros"}}]}}"#,
            text(&before)
        );
        let writer = super::record(&fields);
        let at = Value::Union(1, Value::TimestampMicros(time).into());
        let record = Value::Record(vec![("before".into(), value(&mut dice, &before)), ("at".into(), at)]);
        let datum = encode(&Schema::parse_str(&writer).expect("valid"), record);
        prop_assert_eq!(AvroTime::new(&writer, "at").expect("a time").of(&datum), Ok(time.div_euclid(1000)));
    }
}
