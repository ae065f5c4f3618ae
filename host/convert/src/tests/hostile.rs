//! Tests with bytes that no correct writer produces: no panic, no endless loop, no huge output, and all converters
//! agree on what is valid.

use super::generate::{Dice, evolve, schema, text, value};
use super::{ENRICHED, WALLET, record};
use crate::{AvroTime, JsonReader, JsonTime, JsonWriter, MAX_OUT, Resolver, Template, Validator};
use apache_avro::Schema;
use proptest::prelude::*;

/// A tree, and lists of empty items.
const TREE: &str = r#"{"type":"record","name":"Tree","fields":[
    {"name":"left","type":["null","Tree"],"default":null},
    {"name":"kids","type":{"type":"array","items":"Tree"}},
    {"name":"nothing","type":{"type":"array","items":"null"}},
    {"name":"names","type":{"type":"map","values":"bytes"}}]}"#;

fn all(schema: &str, datum: &[u8]) {
    let mut out = Vec::new();
    let valid = Validator::new(schema).expect("a schema").check(datum);
    let resolved = Resolver::new(schema, schema)
        .expect("compatible")
        .convert(datum, &mut out);
    assert_eq!(valid.is_ok(), resolved.is_ok(), "the programs agree");
    let written = JsonWriter::new(schema).expect("a schema").convert(datum, &mut out);
    assert_eq!(
        valid.is_ok(),
        written.is_ok(),
        "the programs agree: {valid:?} {written:?}"
    );
    if let Ok(time) = AvroTime::new(schema, "processedAt") {
        let _ = time.of(datum);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn random_bytes(datum in proptest::collection::vec(any::<u8>(), 0..200)) {
        for schema in [WALLET, ENRICHED, TREE] {
            all(schema, &datum);
        }
    }

    /// Small numbers, because they are valid as lengths, counts and branches.
    #[test]
    fn small_bytes(datum in proptest::collection::vec(0u8..6, 0..200)) {
        for schema in [WALLET, ENRICHED, TREE] {
            all(schema, &datum);
        }
    }

    /// A valid value with a few bytes changed, cut or added, read with an evolution of its schema.
    #[test]
    fn almost_values(seed: u64) {
        let mut dice = Dice::new(seed);
        let written = schema(&mut dice);
        let writer = text(&written);
        let reader = text(&evolve(&mut dice, &written));
        let mut datum = super::evolution::encode(&Schema::parse_str(&writer).expect("valid"), value(&mut dice, &written));
        for _ in 0..=dice.below(3) {
            let at = dice.below(datum.len() + 1);
            match dice.below(3) {
                0 => datum.truncate(at),
                1 => datum.insert(at, dice.next() as u8),
                _ if at < datum.len() => datum[at] = dice.next() as u8,
                _ => {}
            }
        }
        all(&writer, &datum);
        if let Ok(resolver) = Resolver::new(&writer, &reader) {
            let mut out = Vec::new();
            if resolver.convert(&datum, &mut out).is_ok() {
                prop_assert_eq!(Validator::new(&writer).expect("valid").check(&datum), Ok(()));
                prop_assert_eq!(Validator::new(&reader).expect("valid").check(&out), Ok(()));
            } else {
                prop_assert!(out.is_empty());
            }
        }
    }

    #[test]
    fn random_text(text in "[\\[\\]{}:,\"\\\\tfnu0-9eE.+ -]{0,60}") {
        for schema in [WALLET, TREE] {
            let mut out = Vec::new();
            if JsonReader::new(schema).expect("a schema").convert(text.as_bytes(), &mut out).is_ok() {
                prop_assert_eq!(Validator::new(schema).expect("a schema").check(&out), Ok(()));
            }
        }
        let _ = JsonTime::new("").of(text.as_bytes());
    }

    #[test]
    fn requests(datum in proptest::collection::vec(any::<u8>(), 0..20)) {
        let schema = record(r#"{"name":"a","type":["null","string"]},{"name":"b","type":"double"}"#);
        let _ = Template::new("http://h/{a}/{b}", &schema).expect("fits").render(&datum, &mut Vec::new());
    }
}

#[test]
fn huge_counts_of_nothing() {
    let array = r#"{"type":"array","items":"null"}"#;
    // Blocks of 2^62, 60,000 and 60,000 items.
    let huge = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0];
    let twice = [0xc0, 0xa9, 0x07, 0xc0, 0xa9, 0x07, 0];
    for datum in [&huge[..], &twice[..]] {
        all(array, datum);
        assert!(Validator::new(array).expect("valid").check(datum).is_err());
    }
    assert!(Validator::new(array).expect("valid").check(&twice[3..]).is_ok());
    let text = format!("[{}null]", "null,".repeat(70_000));
    assert!(
        JsonReader::new(array)
            .expect("valid")
            .convert(text.as_bytes(), &mut Vec::new())
            .is_err()
    );
}

#[test]
fn deep_values() {
    // A tree that only goes left.
    let datum = [2].repeat(100_000);
    all(TREE, &datum);
    let error = Validator::new(TREE)
        .expect("valid")
        .check(&datum)
        .expect_err("too deep")
        .to_string();
    assert!(error.ends_with("the value is nested too deep"), "{error}");
    for text in [
        "[".repeat(100_000),
        "{\"left\":".repeat(100_000),
        "{\"x\":".repeat(100_000),
    ] {
        assert!(
            JsonReader::new(TREE)
                .expect("valid")
                .convert(text.as_bytes(), &mut Vec::new())
                .is_err()
        );
        assert!(JsonTime::new("t").of(text.as_bytes()).is_err());
    }
}

/// Each item of one byte gets a default of 1,000 bytes.
#[test]
fn floods() {
    let item = |fields: &str| format!(r#"{{"type":"array","items":{}}}"#, record(fields));
    let writer = item(r#"{"name":"a","type":"boolean"}"#);
    let default = "x".repeat(1_000);
    let reader = item(&format!(
        r#"{{"name":"a","type":"boolean"}},{{"name":"b","type":"string","default":"{default}"}}"#
    ));
    // A block of 2^20 items.
    let mut datum = vec![0x80, 0x80, 0x80, 0x01];
    datum.extend([0].repeat(1 << 20));
    datum.push(0);
    let mut out = Vec::new();
    let error = Resolver::new(&writer, &reader)
        .expect("compatible")
        .convert(&datum, &mut out)
        .expect_err("too large");
    assert!(error.to_string().ends_with("the value becomes too large"), "{error}");
    assert!(out.is_empty() && out.capacity() < 4 * MAX_OUT);
}

#[test]
fn block_sizes_must_be_true() {
    let longs = r#"{"type":"array","items":"long"}"#;
    let check = |datum: &[u8]| Validator::new(longs).expect("valid").check(datum).is_ok();
    assert!(check(&[3, 4, 2, 4, 0]), "two items in two bytes");
    assert!(!check(&[3, 2, 2, 4, 0]), "one byte");
    assert!(!check(&[3, 1, 2, 4, 0]), "minus one byte");
    assert!(!check(&[3, 200, 1, 2, 4, 0]), "100 bytes");
    let smallest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0, 0];
    assert!(!check(&smallest), "i64::MIN items");
}
