//! apache-avro writes a value, the generated code reads and writes it, and apache-avro reads it: the bytes and the
//! value are the same.

use apache_avro::{Schema, types::Value};
use pelton_avro_oracle::{CASES, random::Rng, read, values::Values, write};
use proptest::prelude::*;

/// The given schema of each case.
fn schemas() -> Vec<Schema> {
    CASES
        .iter()
        .map(|case| Schema::parse_str(case.source).unwrap_or_else(|e| panic!("{}: {e}", case.name)))
        .collect()
}

#[test]
fn the_schema_of_a_type_is_the_one_that_was_given() {
    for (case, given) in CASES.iter().zip(schemas()) {
        let made = Schema::parse_str(case.schema).unwrap_or_else(|e| panic!("{}: {e}\n{}", case.name, case.schema));
        assert_eq!(made.canonical_form(), given.canonical_form(), "{}", case.name);
    }
}

#[test]
fn what_apache_avro_writes_comes_back_as_it_was() {
    let schemas = schemas();
    proptest!(ProptestConfig::with_cases(200), |(seed: u64)| {
        for (case, schema) in CASES.iter().zip(&schemas) {
            let value = Values::new(schema, seed).of(schema);
            let bytes = write(schema, value.clone()).unwrap_or_else(|e| panic!("{}: {e}", case.name));
            let again = (case.recode)(&bytes);
            prop_assert_eq!(again.as_ref(), Ok(&bytes), "{}: {:?}\n{}", case.name, &value, case.source);
            let back = read(schema, &mut &bytes[..]);
            prop_assert!(back.is_ok_and(|back| back == value), "{}: {:?}", case.name, &value);
        }
    });
}

/// Flips, cuts, repeats and inserts bytes.
fn spoil(bytes: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..=rng.below(3) {
        let at = rng.below(bytes.len() + 1);
        match rng.below(5) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] ^= 1 << rng.below(8),
            2 => bytes.insert(at, [0, 1, 2, 0x7F, 0x80, 0xFF][rng.below(6)]),
            3 => drop(bytes.splice(at..at, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1])),
            _ => bytes.extend_from_within(at..),
        }
    }
}

#[test]
fn hostile_bytes_are_refused_or_read() {
    let schemas = schemas();
    proptest!(ProptestConfig::with_cases(300), |(seed: u64, noise in prop::collection::vec(any::<u8>(), 0..200))| {
        for (case, schema) in CASES.iter().zip(&schemas) {
            let mut values = Values::new(schema, seed);
            let mut bytes = write(schema, values.of(schema)).unwrap();
            spoil(&mut bytes, &mut values.rng);
            for bytes in [&bytes, &noise] {
                // An accepted value has only one encoding.
                if let Ok(written) = (case.recode)(bytes) {
                    prop_assert_eq!((case.recode)(&written), Ok(written), "{}", case.name);
                }
            }
        }
    });
}

/// Whether apache-avro handles damaged datums of this schema. It may count nulls for ever, and is lax with decimals.
fn plain(source: &str) -> bool {
    !["decimal", "\"array\"", "\"map\""]
        .iter()
        .any(|word| source.contains(word))
}

#[test]
fn what_apache_avro_would_write_is_never_refused() {
    // A damaged length must not make it allocate for a long time.
    apache_avro::util::max_allocation_bytes(1 << 20);
    let schemas = schemas();
    let mut agreed = 0;
    for seed in 0..2_000 {
        for (case, schema) in CASES.iter().zip(&schemas).filter(|(case, _)| plain(case.source)) {
            let mut values = Values::new(schema, seed);
            let mut bytes = write(schema, values.of(schema)).unwrap();
            spoil(&mut bytes, &mut values.rng);
            let mut rest = &bytes[..];
            let Ok(value) = read(schema, &mut rest) else {
                continue;
            };
            if rest.is_empty() && write(schema, value.clone()).is_ok_and(|written| written == bytes) {
                assert_eq!((case.recode)(&bytes).as_ref(), Ok(&bytes), "{}: {value:?}", case.name);
                agreed += 1;
            }
        }
    }
    assert!(agreed > 1_000, "{agreed}");
}

#[test]
fn decimals_that_are_longer_than_needed_keep_their_value() {
    let schema =
        Schema::parse_str(r#"{"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 4}"#).unwrap();
    let long = write(&schema, Value::Decimal(vec![0, 0, 0, 1, 0].into())).unwrap();
    let mut from = pelton_sdk::avro::Decoder::new(&long);
    let value: pelton_sdk::avro::Decimal<18, 4> = pelton_sdk::avro::Wire::read(&mut from).unwrap();
    assert_eq!(value.unscaled(), 256);
    let mut out = Vec::new();
    pelton_sdk::avro::Wire::write(&value, &mut out);
    assert_eq!(out, [4, 1, 0]);
}
