//! Tests what the parser accepts and refuses, and the JSON of a parsed schema.

use pelton_avro_schema::{Datum, Kind, Logical, MAX_NODES, Parser, Schema};
use serde_json::{Value, json};

fn schema(json: &Value) -> Schema {
    Schema::parse(&json.to_string()).expect("a schema")
}

fn error(json: &Value) -> String {
    Schema::parse(&json.to_string()).expect_err("wrong").to_string()
}

/// A record with one field of this type.
fn field(of: Value) -> Value {
    json!({"type": "record", "name": "R", "fields": [{"name": "f", "type": of}]})
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (json, expected) in [
        (json!(5), "a type is a name, an object or an array, not 5"),
        (json!({"items": "int"}), "an object that is a type needs a \"type\""),
        (field(json!({"type": "map"})), "R.f: a map needs \"values\""),
        (
            json!([field(json!("int")), {"type": "array", "items": {"type": "map", "values": "Nope"}}]),
            "(1)[]{}: unknown type `Nope`: it has to be defined before it is used",
        ),
        (
            json!({"type": "record", "name": "n.R", "fields": [{"name": "f", "type": "S"}]}),
            "R.f: unknown type `n.S`: it has to be defined before it is used",
        ),
        (
            field(json!(["int", {"type": "int", "logicalType": "date"}])),
            "R.f: the union has `int` twice",
        ),
        (
            field(json!(["int", {"type": ["null", "long"]}])),
            "R.f: a union can't hold a union",
        ),
        (
            field(json!({"type": "enum", "name": "E", "symbols": ["A", "A"]})),
            "R.f: the symbol `A` is there twice",
        ),
        (
            field(json!({"type": "enum", "name": "E", "symbols": ["A"], "default": 1})),
            "R.f: the default 1 is not one of its symbols",
        ),
        (
            field(json!({"type": "fixed", "name": "F", "size": 4294967296u64})),
            "R.f: a fixed needs a \"size\", a number of bytes below 2^32",
        ),
        (
            field(json!({"type": "enum", "name": "int", "symbols": ["A"]})),
            "R.f: `int` can't name a type",
        ),
        (
            field(json!({"type": "enum", "name": "R", "symbols": ["A"]})),
            "R.f: `R` is defined twice",
        ),
        (
            json!({"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}, {"name": "a", "type": "int"}]}),
            "R: the field `a` is there twice",
        ),
        (
            json!({"type": "record", "name": "R", "fields": [{"name": "a-b", "type": "int"}]}),
            "R: `a-b` can't name a field: use letters, digits and _",
        ),
        (
            json!({"type": "record", "name": "R", "fields": [{"name": "a"}]}),
            "R.a: a field needs a \"type\"",
        ),
        (
            json!({"type": "record", "name": "R", "fields": ["a"]}),
            "R: a field is an object with a \"name\"",
        ),
        (
            field(json!("R")),
            "R: it contains itself other than through a union, an array or a map, so it has no values",
        ),
    ] {
        assert_eq!(error(&json), expected);
    }
}

/// Avro demands that an invalid logical type is ignored. A code generator may still say why it is invalid.
#[test]
fn logical_types_count_only_where_they_are_valid() {
    for (json, expected) in [
        (
            json!({"type": "long", "logicalType": "timestamp-millis"}),
            Logical::TimestampMillis,
        ),
        (json!({"type": "int", "logicalType": "timestamp-millis"}), Logical::None),
        (json!({"type": "string", "logicalType": "uuid"}), Logical::Uuid),
        (json!({"type": "long", "logicalType": "mine"}), Logical::None),
        (
            json!({"type": "bytes", "logicalType": "decimal", "precision": 100, "scale": 2}),
            Logical::Decimal {
                precision: 100,
                scale: 2,
            },
        ),
        (
            json!({"type": "fixed", "name": "F", "size": 4, "logicalType": "decimal", "precision": 9}),
            Logical::Decimal { precision: 9, scale: 0 },
        ),
    ] {
        let schema = schema(&json);
        assert_eq!(schema.node(schema.root()).logical, expected, "{json}");
    }
    for (size, digits) in [(1, 2), (2, 4), (8, 18), (16, 38), (17, 40)] {
        let decimal = |precision: u32| {
            let json =
                json!({"type": "fixed", "name": "F", "size": size, "logicalType": "decimal", "precision": precision});
            let schema = schema(&json);
            schema.node(schema.root()).invalid_decimal.clone()
        };
        assert_eq!(decimal(digits), None);
        let why = format!("a fixed of {size} bytes holds {digits} digits, not {}", digits + 1);
        assert_eq!(decimal(digits + 1), Some(why));
    }
    let none = schema(&json!({"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": -1}));
    let why = "a decimal's \"scale\" is from 0 to its precision (2)";
    assert_eq!(none.node(none.root()).invalid_decimal.as_deref(), Some(why));
}

#[test]
fn a_schema_comes_back_as_it_was_written() {
    let json = json!({"type": "record", "name": "n.R", "doc": "x", "mine": {"fields": [1]}, "fields": [
        {"doc": "y", "name": "a", "type": {"type": "string", "mine": 1}, "default": {"type": 1}, "order": "ignore"},
        {"name": "b", "type": ["null", {"type": "enum", "name": "n.E", "aliases": ["F"], "symbols": ["A"]}, "n.R"]},
        {"name": "c", "type": {"values": {"type": "array", "items": "n.E", "x": 2}, "type": "map"}},
        {"name": "d", "type": {"type": "fixed", "name": "F", "size": 2, "namespace": ""}}
    ]});
    let schema = schema(&json);
    let text = |json: &Value| json.to_string();
    assert_eq!(text(&schema.json(schema.root())), text(&json));
}

/// Types get their full names, and each is defined where it is first used.
#[test]
fn a_part_comes_back_complete() {
    let json = json!([
        {"type": "record", "name": "A", "namespace": "n", "fields": [{"name": "e", "type": {"type": {"type": "enum",
            "name": "E", "symbols": ["A"]}}}]},
        {"type": "record", "name": "B", "namespace": "n", "fields": [{"name": "e", "type": {"type": "E", "mine": 1}},
            {"name": "f", "type": "E"}]}
    ]);
    let schema = schema(&json);
    let Kind::Union(branches) = schema.kind(schema.root()) else {
        panic!("a union")
    };
    let expected = json!({"type": "record", "name": "n.B", "fields": [
        {"name": "e", "type": {"type": "enum", "name": "n.E", "symbols": ["A"]}}, {"name": "f", "type": "n.E"}]});
    assert_eq!(schema.json(branches[1]).to_string(), expected.to_string());
}

#[test]
fn a_name_without_a_namespace_stays_one() {
    let mut parser = Parser::default();
    let money = r#"{"type": "record", "name": "Money", "fields": []}"#;
    parser.read("a", money).expect("a schema");
    let outer = r#"{"type": "record", "name": "n.Outer", "fields": [{"name": "money", "type": "Money"}]}"#;
    let outer = parser.read("b", outer).expect("Java finds it, too");
    let json = parser.schema().json(outer).to_string();
    assert!(json.contains(r#""namespace":"""#), "{json}");
    let read = Schema::parse(&json).expect("complete");
    assert_eq!(read.json(read.root()).to_string(), json);
}

#[test]
fn a_later_file_may_repeat_a_type_but_not_change_it() {
    let money = |of: &str, doc: &str| {
        json!({"type": "record", "name": "n.Money", "doc": doc, "fields": [{"name": "amount", "type": of}]}).to_string()
    };
    let mut parser = Parser::default();
    let first = parser.read("a", &money("long", "x")).expect("a schema");
    assert_eq!(parser.read("b", &money("long", "y")), Ok(first));
    // A file may not define a type twice.
    let twice = format!("[{}, {}]", money("long", ""), money("long", ""));
    assert_eq!(
        parser.read("c", &twice).map_err(|e| e.to_string()),
        Err("(1): `n.Money` is defined twice".into())
    );
    let error = parser.read("d", &money("int", "x")).expect_err("another");
    assert_eq!(
        error.to_string(),
        "Money: `n.Money` would have two definitions: one of c, and another here"
    );
}

#[test]
fn large_schemas_are_refused() {
    let union = |types: usize| {
        let records = (0..types).map(|n| json!({"type": "record", "name": format!("R{n}"), "fields": []}));
        records.collect::<Value>()
    };
    assert_eq!(schema(&union(MAX_NODES - 1)).nodes().len(), MAX_NODES);
    assert_eq!(error(&union(MAX_NODES)), "a schema of more than 16384 types");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(
        Schema::parse(&deep)
            .expect_err("too deep")
            .what
            .contains("recursion limit")
    );
    // 2^40 empty records.
    let records = (1..40).fold(json!({"type": "record", "name": "R0", "fields": []}), |inner, n| {
        json!({"type": "record", "name": format!("R{n}"), "fields": [
            {"name": "a", "type": inner}, {"name": "b", "type": format!("R{}", n - 1)}]})
    });
    assert!(error(&records).ends_with("a value would have more than 65536 fields"));
}

#[test]
fn defaults_are_values_of_their_type() {
    let value = |of: Value, default: Value| {
        let schema =
            schema(&json!({"type": "record", "name": "R", "fields": [{"name": "f", "type": of, "default": default}]}));
        let Kind::Record(_, fields) = schema.kind(schema.root()) else {
            panic!("a record")
        };
        let value = schema.default_value(&fields[0]);
        value.map(|value| format!("{:?}", value.expect("it has one")))
    };
    let decimal = |precision: u32| json!({"type": "bytes", "logicalType": "decimal", "precision": precision});
    let fixed = json!({"type": "fixed", "name": "F", "size": 2, "logicalType": "decimal", "precision": 2});
    for (of, default, expected) in [
        (json!("double"), json!("-INF"), "Double(-inf)"),
        (json!("bytes"), json!("\u{0}\u{ff}"), "Bytes([0, 255])"),
        (json!(["null", "int", "string"]), json!("x"), "Branch(2, Text(\"x\"))"),
        (
            json!({"type": "map", "values": "int"}),
            json!({"k": 1}),
            "Map([(\"k\", Int(1))])",
        ),
        (decimal(2), json!("\u{63}"), "Bytes([99])"),
        (
            decimal(39),
            json!("\u{7f}".repeat(40)),
            &format!("{:?}", Datum::Bytes(vec![0x7f; 40])),
        ),
        (fixed.clone(), json!("\u{ff}\u{9d}"), "Fixed([255, 157])"),
    ] {
        assert_eq!(value(of, default).as_deref(), Ok(expected));
    }
    for (of, default, expected) in [
        (json!("int"), json!(1u64 << 31), "2147483648 is not a value of int"),
        (json!("bytes"), json!("\u{100}"), "\"\u{100}\" is not a value of bytes"),
        (
            json!(["null", "int"]),
            json!("x"),
            "\"x\" is not a value of union of null, int",
        ),
        (
            decimal(2),
            json!(""),
            "\"\" is not a value of bytes (decimal of 2 digits, scale 0)",
        ),
        (
            decimal(2),
            json!("d"),
            "\"d\" is not a value of bytes (decimal of 2 digits, scale 0)",
        ),
        (
            fixed,
            json!("\u{1}\u{0}"),
            "\"\\u0001\\u0000\" is not a value of fixed F of 2 bytes (decimal of 2 digits, scale 0)",
        ),
        (
            json!({"type": "record", "name": "S", "fields": [{"name": "a", "type": "int"}]}),
            json!({"b": 1}),
            "{\"b\":1} lacks `a` of S",
        ),
        (
            json!({"type": "array", "items": "R"}),
            json!([{}]),
            "it is nested more than 64 deep",
        ),
    ] {
        assert_eq!(value(of, default), Err(expected.into()));
    }
}

/// Each record has two fields with the previous record as their default, so that the last default has 2^30 values.
#[test]
fn a_default_has_no_endless_number_of_parts() {
    let mut records = vec![json!({"type": "record", "name": "R0", "fields": []})];
    for n in 1..30 {
        let of = [format!("R{}", n - 1)];
        records.push(json!({"type": "record", "name": format!("R{n}"), "fields": [
            {"name": "a", "type": of, "default": {}}, {"name": "b", "type": of, "default": {}}]}));
    }
    let schema = schema(&Value::Array(records));
    let last = schema.nodes().iter().rev().find_map(|node| match &node.kind {
        Kind::Record(_, fields) => Some(&fields[0]),
        _ => None,
    });
    let value = schema.default_value(last.expect("a record"));
    assert_eq!(value, Err("it has more than 65536 parts".into()));
}
