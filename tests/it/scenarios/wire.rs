//! The formats of inputs and outputs, byte for byte: JSON and Avro.

use pelton::log::embedded::NewRecord;
use pelton::record::{Partition, murmur2};
use pelton_tests::stage::{
    Format, MINUTE, SECOND, START, Setup, Stage, Stream, address, always_with, birth_date, bytes, long, money,
};

fn in_format(format: Format, scenario: impl Fn(&mut Stage)) {
    let mut stage = Setup::money(format).start();
    scenario(&mut stage);
    stage.check_replay();
}

/// The value of the output as text.
fn json(stage: &Stage) -> String {
    let outputs = stage.outputs();
    assert_eq!((outputs.len(), stage.dead_letters()), (1, vec![]));
    String::from_utf8(outputs[0].record.value.clone().expect("a value")).expect("UTF-8")
}

/// Outputs have no `type`, no spaces, fields in the schema's order, no nulls, plain decimals, and `processedAt` with
/// milliseconds.
#[test]
fn json_out() {
    in_format(Format::Json, |stage| {
        stage.put(birth_date("u1", "2000", 0));
        stage.put(address("u1", "CA", 0));
        stage.user("u1").session("s1", "DE", 0);
        stage.put(
            money("u1", "m1", 180_000)
                .session("s1")
                .amounts(1_000_000, 125_000)
                .kind("A\"ü\n"),
        );
        stage.flow_to(10 * MINUTE);
        assert_eq!(
            json(stage),
            concat!(
                r#"{"money":{"id":"m1","userId":"u1","userSessionId":"s1","processedAt":"2020-12-16T00:03:00.000Z","#,
                r#""amount":100,"currency":"EUR","closingBalance":12.5,"moneyType":"A\"ü\n","isOldMoneyEvent":false},"#,
                r#""userInfo":{"birthYear":"2000","residentCountryCode":"CA"},"sessionInfo":{"clientCountryCode":"DE"},"#,
                r#""firstOccurrence":true}"#
            )
        );
    });
}

#[test]
fn json_out_without_nulls() {
    in_format(Format::Json, |stage| {
        stage.put(address("u1", "CA", 0));
        stage.put(money("u1", "m1", 1).amounts(0, -1).old());
        stage.flow_to(MINUTE);
        assert_eq!(
            json(stage),
            concat!(
                r#"{"money":{"id":"m1","userId":"u1","processedAt":"2020-12-16T00:00:00.001Z","amount":0,"currency":"EUR","#,
                r#""closingBalance":-0.0001,"moneyType":"DEPOSIT","isOldMoneyEvent":true},"#,
                r#""userInfo":{"residentCountryCode":"CA"},"firstOccurrence":true}"#
            )
        );
    });
}

/// A payment as text, with some of its fields.
fn payment(time: &str, amount: &str, more: &str) -> String {
    format!(
        r#"{{"isOldMoneyEvent":false, "type":"PaymentEvent", "id":"m1", "userId":"u1", "processedAt":"{time}",
        "amount":{amount}, "currency":"EUR", "openingBalance":0, "closingBalance":1, "moneyType":"T",
        "paymentRelatedThing":""{more}}}"#
    )
}

/// The time and the amount in the output for a payment.
fn of_payment(payment: &str) -> (String, String) {
    let mut stage = Setup::money(Format::Json).start();
    stage.raw(Stream::Wallet, Partition(0), Some(b"u1"), Some(payment.as_bytes()));
    stage.flow_to(MINUTE);
    let text = json(&stage);
    let field = |name: &str| {
        let from = text.find(name).expect("the field") + name.len();
        text[from..].split([',', '}']).next().unwrap_or_default().to_owned()
    };
    (field("\"processedAt\":"), field("\"amount\":"))
}

/// `processedAt` is ISO-8601 text with any offset.
#[test]
fn json_times() {
    for time in [
        "2020-12-16T00:00:05.250Z",
        "2020-12-16T01:00:05.250+01:00",
        "2020-12-15T18:30:05.250-05:30",
        "2020-12-16T00:00:05.250999Z",
        "2020-12-16T05:30:05.25+0530",
    ] {
        assert_eq!(
            of_payment(&payment(time, "1", "")).0,
            "\"2020-12-16T00:00:05.250Z\"",
            "{time}"
        );
    }
    assert_eq!(
        of_payment(&payment("2020-12-16T00:00:05Z", "1", "")).0,
        "\"2020-12-16T00:00:05.000Z\""
    );
}

/// Decimals are JSON numbers. They are read from their text, not through a double. In outputs they have no exponent and
/// no trailing zeros.
#[test]
fn json_decimals() {
    for (read, written) in [
        ("100.0000", "100"),
        ("12.50", "12.5"),
        ("1.25e1", "12.5"),
        ("125E-1", "12.5"),
        ("0.1", "0.1"),
        ("-0.0001", "-0.0001"),
        ("0", "0"),
        ("-0", "0"),
        ("99999999999999.9999", "99999999999999.9999"),
        ("-99999999999999.9999", "-99999999999999.9999"),
        ("90071992547409.93", "90071992547409.93"),
        ("1.000000", "1"),
    ] {
        assert_eq!(
            of_payment(&payment("2020-12-16T00:00:05Z", read, "")).1,
            written,
            "{read}"
        );
    }
}

/// An absent optional field and `null` mean the same. Unknown fields are ignored.
#[test]
fn json_nulls_and_unknown_fields() {
    let time = "2020-12-16T00:00:05Z";
    let mut texts = vec![];
    for more in [
        "",
        r#", "userSessionId":null"#,
        r#", "more":{"a":[1,"}"]},"userSessionId":null"#,
    ] {
        let mut stage = Setup::money(Format::Json).start();
        stage.raw(
            Stream::Wallet,
            Partition(0),
            Some(b"u1"),
            Some(payment(time, "1", more).as_bytes()),
        );
        stage.flow_to(MINUTE);
        texts.push(json(&stage));
    }
    assert_eq!(texts[0], texts[1]);
    assert_eq!(texts[0], texts[2]);
}

/// An enriched event in Avro, with schema 4. Amounts are in units of 1/10,000, in the shortest two's complement.
#[test]
fn avro_out() {
    in_format(Format::Avro, |stage| {
        stage.put(birth_date("u1", "2000", 0));
        stage.user("u1").session("s1", "DE", 0);
        stage.put(
            money("u1", "m1", SECOND)
                .session("s1")
                .amounts(0, -1_234_567_890)
                .transaction(),
        );
        stage.flow_to(MINUTE);
        let mut expected = vec![0, 0, 0, 0, 4];
        bytes(&mut expected, b"m1");
        bytes(&mut expected, b"u1");
        expected.push(2);
        bytes(&mut expected, b"s1");
        long(&mut expected, START + SECOND);
        // Zero is one byte.
        expected.extend([2, 0]);
        bytes(&mut expected, b"EUR");
        // -1,234,567,890 is 0xB669FD2E.
        bytes(&mut expected, &[0xb6, 0x69, 0xfd, 0x2e]);
        bytes(&mut expected, b"DEPOSIT");
        expected.push(0);
        // userInfo: a birth year, but no country.
        expected.extend([2, 2]);
        bytes(&mut expected, b"2000");
        expected.push(0);
        expected.push(2);
        bytes(&mut expected, b"DE");
        expected.push(1);
        assert_eq!(stage.outputs()[0].record.value.as_deref(), Some(&expected[..]));
    });
}

#[test]
fn avro_nulls_out() {
    in_format(Format::Avro, |stage| {
        stage.put(money("u1", "m1", 1).amounts(-1, 128).old());
        stage.flow_to(MINUTE);
        let mut expected = vec![0, 0, 0, 0, 4];
        bytes(&mut expected, b"m1");
        bytes(&mut expected, b"u1");
        expected.push(0);
        long(&mut expected, START + 1);
        expected.extend([2, 0xff]);
        bytes(&mut expected, b"EUR");
        expected.extend([4, 0, 128]);
        bytes(&mut expected, b"DEPOSIT");
        // It is old, without user and session, and is the first one.
        expected.extend([1, 0, 0, 1]);
        assert_eq!(stage.outputs()[0].record.value.as_deref(), Some(&expected[..]));
    });
}

/// Decimals that were written with more bytes than necessary come out in the shortest form.
#[test]
fn avro_decimals_are_shortened() {
    in_format(Format::Avro, |stage| {
        let event: pelton_tests::stage::Event = money("u1", "m1", SECOND).amounts(5, -1).into();
        let value = event.bytes(Format::Avro);
        // The amount is one byte, 5. Three bytes can say the same.
        let at = value.windows(2).position(|two| two == [2, 5]).expect("the amount");
        let long_form = [&value[..at], &[6, 0, 0, 5], &value[at + 2..]].concat();
        stage.raw(Stream::Wallet, Partition(0), Some(b"u1"), Some(&long_form));
        stage.flow_to(MINUTE);
        let written = stage.outputs()[0].record.value.clone().expect("a value");
        assert!(
            written.windows(6).any(|bytes| bytes == [2, 5, 6, b'E', b'U', b'R']),
            "{written:?}"
        );
    });
}

/// Ids are passed on as the same text.
#[test]
fn ids_stay_as_they_came() {
    for format in [Format::Avro, Format::Json] {
        in_format(format, |stage| {
            for id in ["no uuid", "6F9619FF-8B86-D011-B42D-00CF4FC964FF", ""] {
                stage.user("u1").money(id, SECOND);
            }
            stage.flow_to(MINUTE);
            let ids: Vec<String> = stage
                .outputs()
                .into_iter()
                .map(|output| output.value.money.id)
                .collect();
            assert_eq!(ids, ["no uuid", "6F9619FF-8B86-D011-B42D-00CF4FC964FF", ""]);
        });
    }
}

/// The key is the user id, and the partition is murmur2 of it over the output's partitions. The timestamp is the time
/// of the step that sends. Headers of the input are not passed on.
#[test]
fn output_records() {
    always_with(
        |setup| (setup.topics.partitions, setup.topics.output_partitions) = (2, 5),
        |stage| {
            for number in 0..20 {
                let user = format!("user-{number}");
                stage.put(money(&user, "m1", number).session("s1"));
                stage.user(&user).session("s1", "DE", 1000 + number);
            }
            let value = pelton_tests::stage::Event::from(money("with", "m1", 7)).bytes(stage.format());
            let record = NewRecord {
                key: Some(b"with"),
                value: Some(&value),
                timestamp: 1,
                headers: &[(b"trace", b"1")],
            };
            let partition = murmur2::partition(b"with", 2);
            stage
                .cluster
                .append("wallet-events", partition, record)
                .expect("it fits");
            stage.flow_to(MINUTE);
            let outputs = stage.outputs();
            assert_eq!(outputs.len(), 21);
            for output in outputs {
                assert_eq!(output.key, output.value.money.user);
                assert_eq!(output.partition, murmur2::partition(output.key.as_bytes(), 5));
                assert_eq!(output.record.headers, []);
                let waited = output.value.session_country.is_some();
                let at = output.value.money.time - START + if waited { 1000 } else { 0 };
                assert_eq!(output.timestamp, at);
            }
        },
    );
}
