//! Tests of the money pipeline's wire contract, sentence by sentence.

use super::{ENRICHED, SESSION, WALLET, to_avro, to_json};
use crate::{AvroTime, JsonTime, Validator};

const ID: &str = "5f2b7f0e-6f1c-4a43-9d41-02c1a2a4f1d7";

/// A payment with some members replaced or added.
fn payment(changes: &[(&str, &str)]) -> String {
    let mut members = vec![
        ("type", "\"PaymentEvent\"".to_owned()),
        ("id", format!("\"{ID}\"")),
        ("userId", "\"u\"".into()),
        ("processedAt", "\"2020-12-16T00:03:00.000Z\"".into()),
        ("amount", "0".into()),
        ("currency", "\"EUR\"".into()),
        ("openingBalance", "100".into()),
        ("closingBalance", "12.5".into()),
        ("moneyType", "\"REAL\"".into()),
        ("paymentRelatedThing", "\"x\"".into()),
        ("isOldMoneyEvent", "true".into()),
    ];
    for (name, text) in changes {
        match members.iter_mut().find(|(member, _)| member == name) {
            Some(member) => member.1 = (*text).to_owned(),
            None => members.push((*name, (*text).to_owned())),
        }
    }
    let members: Vec<_> = members
        .iter()
        .map(|(name, text)| format!("\"{name}\":{text}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

/// The expected bytes are what a Java producer would write.
#[test]
fn a_payment_is_these_bytes() {
    let mut expected = vec![0]; // branch
    expected.push(72);
    expected.extend(ID.as_bytes());
    expected.extend([2, b'u']);
    expected.push(0); // no session
    expected.extend([0; 6]); // the time, filled in below
    expected.extend([2, 0]); // zero is one byte 00
    expected.extend([6, b'E', b'U', b'R']);
    expected.extend([6, 0x0f, 0x42, 0x40]); // 100.0000
    expected.extend([6, 0x01, 0xe8, 0x48]); // 12.5000
    expected.extend([8, b'R', b'E', b'A', b'L', 2, b'x', 1]);
    // Zigzag encoding of 1608076980000.
    let time: u64 = 1_608_076_980_000 << 1;
    let mut varint = Vec::new();
    let mut rest = time;
    while rest > 127 {
        varint.push(rest as u8 | 128);
        rest >>= 7;
    }
    varint.push(rest as u8);
    let at = 1 + 37 + 2 + 1;
    expected.splice(at..at + 6, varint);
    assert_eq!(to_avro(WALLET, &payment(&[])), Ok(expected.clone()));
    assert_eq!(Validator::new(WALLET).expect("valid").check(&expected), Ok(()));
    let time = AvroTime::new(WALLET, "processedAt").expect("a time");
    assert_eq!(time.of(&expected), Ok(1_608_076_980_000));
    assert_eq!(
        JsonTime::new("processedAt").of(payment(&[]).as_bytes()),
        Ok(1_608_076_980_000)
    );
}

#[test]
fn decimals_are_read_from_their_text() {
    let amount = |text: &str| {
        let datum = to_avro(WALLET, &payment(&[("amount", text)]))?;
        to_json(WALLET, &datum).map(|json| {
            let from = json.find("\"amount\":").expect("there") + 9;
            json[from..].split(',').next().expect("not empty").to_owned()
        })
    };
    for (text, plain) in [
        ("0", "0"),
        ("-0", "0"),
        ("0.0000", "0"),
        ("0e99", "0"),
        ("1E2", "100"),
        ("1e+2", "100"),
        ("12.50", "12.5"),
        ("12.50000000", "12.5"),
        ("-0.0001", "-0.0001"),
        ("1e-4", "0.0001"),
        ("125e-1", "12.5"),
        ("0.1", "0.1"),
        ("0.3", "0.3"),
        ("99999999999999.9999", "99999999999999.9999"),
        ("-99999999999999.9999", "-99999999999999.9999"),
        ("9007199254740993", "unreadable"),
        ("90071992547409.93", "90071992547409.93"),
        ("999999999999999999e-4", "99999999999999.9999"),
        ("0.00001", "unreadable"),
        ("1e-5", "unreadable"),
        ("12.50001", "unreadable"),
        ("100000000000000", "unreadable"),
        ("1e14", "unreadable"),
        ("1e999999999999999999999999", "unreadable"),
        ("1e-999999999999999999999999", "unreadable"),
        ("\"12.5\"", "unreadable"),
        ("+1", "unreadable"),
        ("01", "unreadable"),
        (".5", "unreadable"),
        ("1.", "unreadable"),
        ("NaN", "unreadable"),
    ] {
        let found = amount(text).unwrap_or_else(|_| "unreadable".into());
        assert_eq!(found, plain, "{text}");
    }
}

#[test]
fn times_have_any_offset() {
    for (text, millis) in [
        ("\"2020-12-16T00:03:00.000Z\"", Some(1_608_076_980_000)),
        ("\"2020-12-16T00:03:00Z\"", Some(1_608_076_980_000)),
        ("\"2020-12-16T01:03:00+01:00\"", Some(1_608_076_980_000)),
        ("\"2020-12-15T18:33:00.0-0530\"", Some(1_608_076_980_000)),
        ("\"2020-12-16t02:03+02\"", Some(1_608_076_980_000)),
        ("\"2020-12-16T00:03:00.123999Z\"", Some(1_608_076_980_123)),
        ("\"1969-12-31T23:59:59.9999Z\"", Some(-1)),
        ("1608076980000", Some(1_608_076_980_000)),
        ("1.60807698e12", Some(1_608_076_980_000)),
        ("\"2020-12-16T00:03:00\"", None),
        ("\"2020-02-30T00:03:00Z\"", None),
        ("\"2020-12-16T25:03:00Z\"", None),
        ("\"2020-12-16\"", None),
        ("\"\"", None),
        ("1.5", None),
        ("null", None),
        ("true", None),
    ] {
        let text = payment(&[("processedAt", text)]);
        assert_eq!(JsonTime::new("processedAt").of(text.as_bytes()).ok(), millis, "{text}");
        let datum = to_avro(WALLET, &text).ok();
        let time = AvroTime::new(WALLET, "processedAt").expect("a time");
        assert_eq!(datum.map(|datum| time.of(&datum).expect("readable")), millis, "{text}");
    }
}

#[test]
fn absent_and_null_mean_the_same_and_the_unknown_is_ignored() {
    let absent = to_avro(WALLET, &payment(&[]));
    assert!(absent.is_ok());
    assert_eq!(to_avro(WALLET, &payment(&[("userSessionId", "null")])), absent);
    assert_eq!(
        to_avro(WALLET, &payment(&[("other", "[{\"a\":[1,2,{}]},null,\"\\u00e9\"]")])),
        absent
    );
    let missing = payment(&[]).replace("\"currency\":\"EUR\",", "");
    let error = to_avro(WALLET, &missing).expect_err("it has no default");
    assert_eq!(error.to_string(), "currency: the field is absent");
    assert!(to_avro(WALLET, &payment(&[("currency", "null")])).is_err());
}

#[test]
fn the_member_type_names_the_record_wherever_it_stands() {
    let first = to_avro(WALLET, &payment(&[]));
    let last = payment(&[])
        .replace("\"type\":\"PaymentEvent\",", "")
        .replace('}', ",\"type\":\"PaymentEvent\"}");
    assert_eq!(to_avro(WALLET, &last), first);
    assert_eq!(
        to_avro(WALLET, &payment(&[("type", "\"pelton.money.PaymentEvent\"")])),
        first
    );
    assert_eq!(to_avro(WALLET, &payment(&[("type", "\"P\\u0061ymentEvent\"")])), first);
    for unknown in ["\"Payment\"", "\"\"", "1", "null"] {
        assert!(to_avro(WALLET, &payment(&[("type", unknown)])).is_err(), "{unknown}");
    }
    assert!(to_avro(WALLET, &payment(&[]).replace("\"type\":\"PaymentEvent\",", "")).is_err());
    let twice = payment(&[]).replace('}', ",\"type\":\"PaymentEvent\"}");
    assert!(to_avro(WALLET, &twice).is_err());
    let other = format!(
        r#"{{"type":"KindOfWalletEvent","somethingInteresting":"é\n","processedAt":5,"userId":"u","id":"{ID}"}}"#
    );
    let datum = to_avro(WALLET, &other).expect("readable");
    assert_eq!(datum[0], 4);
    assert_eq!(
        to_json(WALLET, &datum).expect("readable"),
        format!(
            r#"{{"id":"{ID}","userId":"u","processedAt":"1970-01-01T00:00:00.005Z","somethingInteresting":"é\n"}}"#
        )
    );
}

#[test]
fn a_field_that_comes_twice_is_unreadable() {
    let twice = payment(&[]).replace("\"currency\":\"EUR\"", "\"currency\":\"EUR\",\"currency\":\"EUR\"");
    let error = to_avro(WALLET, &twice).expect_err("twice").to_string();
    assert!(error.starts_with("currency: the field is there twice"), "{error}");
}

#[test]
fn what_goes_out_is_one_text() {
    let spaced = r#" { "firstOccurrence" : true , "sessionInfo" : null,
        "userInfo" : { "residentCountryCode" : "CA" } ,
        "money" : { "isOldMoneyEvent" : false, "moneyType" : "R\"\\\u0001\/", "closingBalance" : 100.0000, "currency" : "EUR",
          "amount" : 1.25e1, "processedAt" : "2020-12-16T01:03:00+01:00", "userId" : "u", "id" : "i" } } "#;
    let datum = to_avro(ENRICHED, spaced).expect("readable");
    let json = r#"{"money":{"id":"i","userId":"u","processedAt":"2020-12-16T00:03:00.000Z","amount":12.5,"currency":"EUR","closingBalance":100,"moneyType":"R\"\\\u0001/","isOldMoneyEvent":false},"userInfo":{"residentCountryCode":"CA"},"firstOccurrence":true}"#;
    assert_eq!(to_json(ENRICHED, &datum).expect("readable"), json);
    assert_eq!(to_avro(ENRICHED, json), Ok(datum));
}

#[test]
fn a_reply_is_read_without_a_type() {
    let reply = r#"{"type":"record","name":"Reply","fields":[{"name":"clientCountryCode","type":"string"}]}"#;
    assert_eq!(to_avro(reply, r#"{"clientCountryCode":"CA"}"#), Ok(vec![4, b'C', b'A']));
    assert_eq!(
        to_avro(reply, r#"{"type":"x","clientCountryCode":"CA"}"#),
        Ok(vec![4, b'C', b'A'])
    );
    for text in [
        "",
        "{}",
        "null",
        "[]",
        "{\"clientCountryCode\":1}",
        "{\"clientCountryCode\":\"CA\"} x",
        "<html>",
    ] {
        assert!(to_avro(reply, text).is_err(), "{text}");
    }
    assert!(AvroTime::new(SESSION, "processedAt").is_ok());
    assert!(AvroTime::new(SESSION, "clientCountryCode").is_err());
}
