//! Examples of resolution, compatibility, identity and URL templates.

use super::{ENRICHED, WALLET, record, resolve, to_avro};
use crate::{Resolver, Template, fingerprint, incompatibilities};

fn findings(writer: &str, reader: &str) -> Vec<String> {
    incompatibilities(writer, reader)
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn decimal(precision: u32, scale: u32) -> String {
    format!(r#"{{"type":"bytes","logicalType":"decimal","precision":{precision},"scale":{scale}}}"#)
}

#[test]
fn decimals_are_the_same_or_incompatible() {
    assert!(findings(&decimal(18, 4), &decimal(18, 4)).is_empty());
    assert_eq!(findings(&decimal(18, 4), &decimal(18, 2)).len(), 1);
    assert_eq!(findings(&decimal(18, 4), &decimal(20, 4)).len(), 1);
    assert_eq!(findings(&decimal(18, 4), "\"string\"").len(), 1);
    assert!(findings(&decimal(18, 4), "\"bytes\"").is_empty());
    assert!(
        !Resolver::new("\"bytes\"", &decimal(2, 0))
            .expect("compatible")
            .is_identity()
    );
    assert_eq!(resolve("\"bytes\"", &decimal(2, 0), &[2, 99]), Ok(vec![2, 99]));
    assert!(resolve("\"bytes\"", &decimal(2, 0), &[2, 100]).is_err(), "three digits");
    assert!(resolve("\"bytes\"", &decimal(2, 0), &[0]).is_err(), "no bytes");
    // The shortest form, and one that repeats its sign: both are read.
    for datum in [
        vec![4, 0xff, 0x9d],
        vec![2, 0x9d],
        [vec![40], vec![0xff; 19], vec![0x9d]].concat(),
    ] {
        assert_eq!(resolve(&decimal(2, 0), &decimal(2, 0), &datum), Ok(datum));
    }
    assert!(resolve(&decimal(2, 0), &decimal(2, 0), &[2, 0x9c]).is_err(), "-100");
}

#[test]
fn times_are_the_same_or_incompatible() {
    let time = |unit: &str| format!(r#"{{"type":"long","logicalType":"timestamp-{unit}"}}"#);
    assert!(findings(&time("millis"), &time("millis")).is_empty());
    assert!(findings(&time("millis"), "\"long\"").is_empty());
    assert_eq!(findings(&time("millis"), &time("micros")).len(), 1);
}

#[test]
fn unions_take_the_same_type_before_a_promotion() {
    assert_eq!(resolve("\"int\"", r#"["double","int"]"#, &[14]), Ok(vec![2, 14]));
    assert_eq!(
        resolve("\"int\"", r#"["null","double"]"#, &[2]).map(|out| out[0]),
        Ok(2)
    );
    assert_eq!(resolve(r#"["null","int"]"#, "\"int\"", &[2, 14]), Ok(vec![14]));
    assert!(resolve(r#"["null","int"]"#, "\"int\"", &[0]).is_err());
    assert_eq!(resolve(r#"["null","int"]"#, r#"["int","null"]"#, &[0]), Ok(vec![2]));
    assert!(
        Resolver::new(r#"["null","int"]"#, r#"["null","int","string"]"#)
            .expect("compatible")
            .is_identity()
    );
    assert!(
        Resolver::new(r#"["null","int"]"#, "\"string\"").is_err(),
        "nothing can be read"
    );
}

/// The reader knows only one of the events. The schemas are compatible, the others are unreadable, and a finding says
/// so.
#[test]
fn a_reader_may_know_some_records_only() {
    let one = r#"[{"type":"record","name":"KindOfWalletEvent","namespace":"other","fields":[
        {"name":"renamed","aliases":["userId"],"type":"string"}]}]"#;
    let known = to_avro(
        WALLET,
        r#"{"type":"KindOfWalletEvent","id":"i","userId":"u","processedAt":0,"somethingInteresting":""}"#,
    );
    assert_eq!(resolve(WALLET, one, &known.expect("readable")), Ok(vec![0, 2, b'u']));
    let error = resolve(WALLET, one, &[0]).expect_err("unknown").to_string();
    assert_eq!(error, "the reader has nothing for it: record pelton.money.PaymentEvent");
    let findings = findings(WALLET, one);
    assert_eq!(findings.len(), 2);
    assert!(
        findings[0].contains("record pelton.money.PaymentEvent can't be read"),
        "{findings:?}"
    );
}

#[test]
fn findings_have_their_path() {
    let reader = ENRICHED
        .replace(r#""name": "residentCountryCode""#, r#""name": "country""#)
        .replace(
            r#"{"name": "clientCountryCode", "type": "string"}"#,
            r#"{"name": "clientCountryCode", "type": "int"}, {"name": "more", "type": "int"}"#,
        );
    let mut found = findings(ENRICHED, &reader);
    found.sort();
    assert_eq!(
        found,
        [
            "sessionInfo.clientCountryCode: the writer's string can't be read as the reader's int",
            "sessionInfo.more: the writer has no such field, and the reader no default for it",
        ]
    );
    assert_eq!(findings("not JSON", "\"int\"")[0].split(':').next(), Some("not JSON"),);
}

#[test]
fn enums_go_by_name() {
    let symbols = |name: &str, rest: &str| format!(r#"{{"type":"enum","name":"{name}","symbols":[{rest}}}"#);
    let writer = symbols("E", r#""A","B","C"]"#);
    assert_eq!(resolve(&writer, &symbols("E", r#""C","B","A"]"#), &[0]), Ok(vec![4]));
    assert_eq!(
        resolve(&writer, &symbols("E", r#""A","X"],"default":"X""#), &[4]),
        Ok(vec![2])
    );
    assert!(resolve(&writer, &symbols("E", r#""A"]"#), &[4]).is_err());
    assert_eq!(
        findings(&writer, &symbols("E", r#""A"]"#)),
        ["the reader has no symbol B, C, and no default"]
    );
    assert!(findings(&writer, &symbols("F", r#""A","B","C"],"aliases":["E"]"#)).is_empty());
    assert_eq!(findings(&writer, &symbols("F", r#""A","B","C"]"#)).len(), 1);
}

#[test]
fn types_may_contain_themselves() {
    let list = |value: &str, more: &str| {
        record(&format!(
            r#"{{"name":"v","type":"{value}"}},{{"name":"next","type":["null","R"]}}{more}"#
        ))
    };
    let datum = [2, 2, 4, 2, 6, 0];
    let (same, wider) = (
        list("int", ""),
        list("double", r#",{"name":"more","type":"boolean","default":true}"#),
    );
    assert_eq!(resolve(&same, &same, &datum), Ok(datum.to_vec()));
    let expected = [
        &1f64.to_le_bytes()[..],
        &[2],
        &2f64.to_le_bytes(),
        &[2],
        &3f64.to_le_bytes(),
        &[0, 1, 1, 1],
    ]
    .concat();
    assert_eq!(resolve(&same, &wider, &datum), Ok(expected));
    assert!(findings(&record(r#"{"name":"self","type":"R"}"#), "\"int\"")[0].contains("it has no values"));
}

/// A schema of one page whose values have 2^40 empty records.
#[test]
fn schemas_that_explode_are_refused() {
    let mut schema = r#"{"type":"record","name":"R0","fields":[]}"#.to_owned();
    for n in 1..25 {
        schema = format!(
            r#"{{"type":"record","name":"R{n}","fields":[{{"name":"a","type":{schema}}},{{"name":"b","type":"R{}"}}]}}"#,
            n - 1
        );
    }
    assert!(
        fingerprint(&schema)
            .expect_err("too many")
            .to_string()
            .contains("more than 65536 fields")
    );
}

#[test]
fn a_moved_field_and_a_default_between() {
    let writer = record(r#"{"name":"a","type":"int"},{"name":"b","type":"string"},{"name":"c","type":"boolean"}"#);
    let reader = record(
        r#"{"name":"c","type":"boolean"},{"name":"x","type":"string","default":"d"},{"name":"a","type":"long"}"#,
    );
    assert_eq!(resolve(&writer, &reader, &[14, 2, b's', 1]), Ok(vec![1, 2, b'd', 14]));
    let error = resolve(&writer, &reader, &[14, 2, 0xff, 1]).expect_err("not UTF-8");
    assert_eq!(
        error.to_string(),
        "b: text is not UTF-8",
        "also what the reader does not want is checked"
    );
}

#[test]
fn the_fingerprint_is_of_layout_names_and_meaning() {
    let plain = record(r#"{"name":"a","type":"string"}"#);
    let dressed = r#"{"doc":"x","fields":[{"default":"y","aliases":["b"],"type":{"type":"string","x":1},"name":"a"}],"name":"R","type":"record"}"#;
    let print = |schema: &str| fingerprint(schema).expect("a schema");
    assert_eq!(print(&plain), print(dressed));
    for other in [
        record(r#"{"name":"b","type":"string"}"#),
        record(r#"{"name":"a","type":"bytes"}"#),
        record(r#"{"name":"a","type":{"type":"string","logicalType":"uuid"}}"#),
        plain.replace(r#""R""#, r#""n.R""#),
        format!("[{plain}]"),
    ] {
        assert_ne!(print(&plain), print(&other), "{other}");
    }
    assert_ne!(print(&decimal(18, 4)), print(&decimal(18, 2)));
    // Logs contain this value, so a change of it breaks compatibility.
    assert_eq!(print("\"int\""), xxhash_rust::xxh3::xxh3_64(b"int"));
}

#[test]
fn templates_encode_all_but_unreserved() {
    let request = record(
        r#"{"name":"userSessionId","type":["null","string"]},{"name":"n","type":"long"},
           {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}}"#,
    );
    let url = |template: &str, json: &str| {
        let mut out = b"before ".to_vec();
        let datum = to_avro(&request, json).expect("readable");
        let result = Template::new(template, &request)
            .expect("fits")
            .render(&datum, &mut out);
        result
            .map(|()| String::from_utf8(out.split_off(7)).expect("ASCII"))
            .map_err(|error| error.to_string())
    };
    let json = r#"{"userSessionId":"a/b?c=ä &%.","n":-5,"at":0}"#;
    assert_eq!(
        url("http://h/x/{userSessionId}?n={n}&t={at}&n={n}", json).as_deref(),
        Ok("http://h/x/a%2Fb%3Fc%3D%C3%A4%20%26%25.?n=-5&t=1970-01-01T00%3A00%3A00.000Z&n=-5")
    );
    assert_eq!(url("http://h/x", json).as_deref(), Ok("http://h/x"));
    let absent = url("http://h/{userSessionId}", r#"{"n":0,"at":0}"#);
    assert_eq!(absent, Err("userSessionId: it is null, and part of a URL".into()));
    assert!(
        url("http://h/{userSessionId}/x", r#"{"userSessionId":"..","n":0,"at":0}"#).is_err(),
        "another path"
    );
    assert!(url("http://h/v{userSessionId}/x", r#"{"userSessionId":"..","n":0,"at":0}"#).is_ok());
    let error = |template: &str| Template::new(template, &request).expect_err("does not fit").to_string();
    assert!(error("http://h/{userSesionId}").contains("did you mean `{userSessionId}`?"));
    assert!(error("http://h/{n").contains("has no end"));
    assert!(error("http://h/n}").contains("was not begun"));
    assert!(Template::new("http://h/{a}", &record(r#"{"name":"a","type":"bytes"}"#)).is_err());
}
