//! Tests the error messages for schemas that can't be generated, and the code for some that can.

use pelton_avro::Schemas;

fn error(json: &str) -> String {
    Schemas::new().text("x.avsc", json).rust().expect_err(json).to_string()
}

/// A record with one field of this type.
fn field(of: &str) -> String {
    format!(r#"{{"type": "record", "name": "R", "fields": [{{"name": "f", "type": {of}}}]}}"#)
}

#[test]
fn an_error_names_the_file_the_place_and_the_reason() {
    for (json, expected) in [
        ("{", "x.avsc: not JSON: EOF while parsing an object at line 1 column 1"),
        ("5", "x.avsc: a type is a name, an object or an array, not 5"),
        (
            r#""string""#,
            "x.avsc: the top level has to be a record, an enum or a union of records: put it into a record",
        ),
        (
            &field(r#""Nope""#),
            "x.avsc: R.f: unknown type `Nope`: it has to be defined before it is used",
        ),
        (
            &field(r#"["null", "R"]"#),
            "x.avsc: R.f: recursive types are not supported (R -> R): bytes could nest without end",
        ),
        (&field(r#"{"type": "array"}"#), "x.avsc: R.f: an array needs \"items\""),
        (
            &field(r#"{"type": "array", "items": {"type": "map", "values": "nope"}}"#),
            "x.avsc: R.f[]{}: unknown type `nope`: it has to be defined before it is used",
        ),
        (&field(r#"["int", "int"]"#), "x.avsc: R.f: the union has `int` twice"),
        (
            &field(r#"["int", ["null", "string"]]"#),
            "x.avsc: R.f: a union can't hold a union",
        ),
        (&field("[]"), "x.avsc: R.f: a union needs branches"),
        (
            &field(r#"{"type": "fixed", "name": "F"}"#),
            "x.avsc: R.f: a fixed needs a \"size\", a number of bytes below 2^32",
        ),
        (
            &field(r#"{"type": "enum", "name": "E", "symbols": []}"#),
            "x.avsc: R.f: an enum needs \"symbols\", a list of names",
        ),
        (
            &field(r#"{"type": "enum", "name": "E", "symbols": ["a-b"]}"#),
            "x.avsc: R.f: \"a-b\" can't be a symbol: use letters, digits and _",
        ),
        (
            &field(r#"{"type": "enum", "name": "E", "symbols": ["A_B", "AB"], "default": "C"}"#),
            "x.avsc: R.f: the default \"C\" is not one of its symbols",
        ),
        (
            &field(r#"{"type": "enum", "name": "E", "symbols": ["AB", "Ab"]}"#),
            "x.avsc: R.f: `AB` and `Ab` would both be `Ab` in Rust",
        ),
        (
            &field(r#"{"type": "bytes", "logicalType": "decimal"}"#),
            "x.avsc: R.f: a decimal needs a \"precision\" above 0",
        ),
        (
            &field(r#"{"type": "bytes", "logicalType": "decimal", "precision": 3, "scale": 4}"#),
            "x.avsc: R.f: a decimal's \"scale\" is from 0 to its precision (3)",
        ),
        (
            &field(r#"{"type": "bytes", "logicalType": "decimal", "precision": 39}"#),
            "x.avsc: R.f: decimals have at most 38 digits here, not 39: drop the logical type",
        ),
        (
            &field(r#"{"type": "fixed", "name": "F", "size": 4, "logicalType": "decimal", "precision": 10}"#),
            "x.avsc: R.f: a fixed of 4 bytes holds 9 digits, not 10",
        ),
        (
            &field(r#"{"type": "fixed", "name": "F", "size": 1048577}"#),
            "x.avsc: R.f: a fixed has at most 1048576 bytes here",
        ),
        (
            &field(r#"{"type": "fixed", "name": "F", "size": 0, "logicalType": "decimal", "precision": 1}"#),
            "x.avsc: R.f: a fixed of 0 bytes holds 0 digits, not 1",
        ),
        (
            &field(r#"{"type": "enum", "name": "n.string", "symbols": ["A"]}"#),
            "x.avsc: R.f: `n.string` can't name a type",
        ),
        (
            r#"{"type": "record", "name": "R"}"#,
            "x.avsc: the record R needs \"fields\", a list",
        ),
        (
            r#"{"type": "record", "fields": []}"#,
            "x.avsc: a record, enum or fixed needs a \"name\"",
        ),
        (
            r#"{"type": "record", "name": "a b", "fields": []}"#,
            "x.avsc: `a b` can't name a type",
        ),
        (
            r#"{"type": "record", "name": "R", "fields": [{"name": "userId", "type": "int"}, {"name": "user_id", "type": "int"}]}"#,
            "x.avsc: R: `userId` and `user_id` would both be `user_id` in Rust",
        ),
        (
            r#"{"type": "record", "name": "R", "fields": [{"name": "n", "type": "int", "default": "five"}]}"#,
            "x.avsc: R.n: its default: \"five\" is not a value of int",
        ),
        (
            r#"{"type": "record", "name": "R", "fields": [{"name": "a", "type": {"type": "record", "name": "b.R", "fields": []}}]}"#,
            "x.avsc: R: the Rust type `R` would have two definitions: `b.R` of x.avsc, and `R` here",
        ),
        (
            r#"{"type": "record", "name": "A", "fields": [{"name": "b", "type": {"type": "record", "name": "B", "fields": [{"name": "a", "type": {"type": "array", "items": "A"}}]}}]}"#,
            "x.avsc: A.b.a[]: recursive types are not supported (A -> B -> A): bytes could nest without end",
        ),
    ] {
        assert_eq!(error(json), expected);
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Schemas::new().file("schemas/none.avsc").rust().unwrap_err();
    assert_eq!(
        error.to_string(),
        "schemas/none.avsc: No such file or directory (os error 2)"
    );
    assert_eq!(format!("{error:?}"), error.to_string());
}

#[test]
fn a_type_of_two_files_is_generated_once_and_has_to_be_the_same() {
    let money = |of: &str| {
        format!(
            r#"{{"type": "record", "name": "Money", "namespace": "n", "doc": "{of}", "fields": [{{"name": "amount", "type": "{of}"}}]}}"#
        )
    };
    let inside = |of: &str| {
        format!(
            r#"{{"type": "record", "name": "Outer", "fields": [{{"name": "money", "type": {}}}]}}"#,
            money(of)
        )
    };
    let both = |first: &str, second: &str| Schemas::new().text("a.avsc", first).text("b.avsc", second).rust();
    let code = both(&money("long"), &inside("long").replace(r#""doc": "long", "#, "")).unwrap();
    assert_eq!(code.matches("pub struct Money").count(), 1);
    assert_eq!(
        both(&money("long"), &inside("int")).unwrap_err().to_string(),
        "b.avsc: Outer.money: `n.Money` would have two definitions: one of a.avsc, and another here"
    );
    // A file may use a type of an earlier file by name.
    let code = both(&money("long"), &field(r#""n.Money""#)).unwrap();
    assert!(code.contains("pub f: Money,"), "{code}");
    assert!(both(&field(r#""n.Money""#), &money("long")).is_err());
}

#[test]
fn a_union_at_the_top_is_named_by_its_file_or_by_hand() {
    let union =
        r#"[{"type": "record", "name": "AEvent", "fields": []}, {"type": "record", "name": "BEvent", "fields": []}]"#;
    let code = Schemas::new()
        .text("schemas/user-session-events.avsc", union)
        .rust()
        .unwrap();
    assert!(
        code.contains("pub enum UserSessionEvent {\n    A(AEvent),\n    B(BEvent),\n}"),
        "{code}"
    );
    let error = Schemas::new()
        .text("1.avsc", &union.replace("AEvent", "1"))
        .rust()
        .unwrap_err();
    assert_eq!(error.to_string(), "1.avsc: (0): `1` can't name a type");
}
