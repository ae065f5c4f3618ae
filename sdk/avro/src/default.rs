//! Converts default values to Rust expressions that are valid in constants.

use crate::types::{Kind, Type, Types};
use pelton_avro_schema::{Datum, unscaled};

impl Types {
    /// The Rust expression of a value of this type.
    pub fn value(&self, of: &Type, value: &Datum) -> String {
        match (of, value) {
            (Type::Array(item), Datum::Array(values)) => {
                let items: Vec<String> = values.iter().map(|value| self.item_value(item, value)).collect();
                constant("Array", &self.item(item, "'static"), &items)
            }
            (Type::Map(of), Datum::Map(values)) => {
                let entry = |(key, value): &(&str, Datum)| format!("({key:?}, {})", self.item_value(of, value));
                let entries: Vec<String> = values.iter().map(entry).collect();
                let item = format!("(&'static str, {})", self.item(of, "'static"));
                constant("Map", &item, &entries)
            }
            (Type::Nullable { of, .. }, Datum::Branch(_, value)) => match **value {
                Datum::Null => "::core::option::Option::None".into(),
                _ => format!("::core::option::Option::Some({})", self.value(of, value)),
            },
            (Type::Named(i), value) => self.named(*i, value),
            (of, value) => leaf(of, value),
        }
    }

    fn item_value(&self, of: &Type, value: &Datum) -> String {
        let value = self.value(of, value);
        match of {
            Type::Nullable { null_last: true, .. } => format!("::pelton_sdk::avro::NullLast({value})"),
            _ => value,
        }
    }

    fn named(&self, i: usize, value: &Datum) -> String {
        let definition = &self.definitions[i];
        let name = &definition.name;
        match (&definition.kind, value) {
            (Kind::Enum(symbols, _), Datum::Symbol(index)) => format!("{name}::{}", symbols[*index].name),
            (Kind::Union(branches), Datum::Branch(index, value)) => {
                let branch = &branches[*index];
                match branch.of {
                    Type::Null => format!("{name}::{}", branch.name),
                    _ => format!("{name}::{}({})", branch.name, self.value(&branch.of, value)),
                }
            }
            (Kind::Record(fields), Datum::Record(values)) => {
                let parts = fields.iter().zip(values);
                let parts = parts.map(|(field, value)| format!("{}: {}", field.name, self.value(&field.of, value)));
                format!("{name} {{ {} }}", parts.collect::<Vec<_>>().join(", "))
            }
            (kind, value) => unreachable!("the type was made of the value's schema: {kind:?} {value:?}"),
        }
    }
}

/// A value without parts.
fn leaf(of: &Type, value: &Datum) -> String {
    match (of, value) {
        (_, Datum::Null) => "()".into(),
        (_, Datum::Boolean(value)) => value.to_string(),
        (_, Datum::Int(value)) => format!("{value}i32"),
        (_, Datum::Long(value)) => format!("{value}i64"),
        (_, Datum::Float(value)) => float(&format!("{value:?}"), "f32"),
        (_, Datum::Double(value)) => float(&format!("{value:?}"), "f64"),
        (_, Datum::Text(text)) => format!("{text:?}"),
        (Type::Decimal { precision, .. }, Datum::Bytes(bytes) | Datum::Fixed(bytes)) => {
            let int = if *precision > 18 { "i128" } else { "i64" };
            let value = unscaled(bytes).expect("the schema's precision was checked, and is that of an i128");
            format!("::pelton_sdk::avro::Decimal::literal({value}{int})")
        }
        (_, Datum::Fixed(bytes)) => literal(bytes),
        (_, Datum::Bytes(bytes)) => format!("({} as &[u8])", literal(bytes)),
        (of, value) => unreachable!("the type was made of the value's schema: {of:?} {value:?}"),
    }
}

fn float(text: &str, of: &str) -> String {
    match text {
        "NaN" => format!("::core::primitive::{of}::NAN"),
        "inf" => format!("::core::primitive::{of}::INFINITY"),
        "-inf" => format!("::core::primitive::{of}::NEG_INFINITY"),
        number => format!("{number}{of}"),
    }
}

fn literal(bytes: &[u8]) -> String {
    format!("b\"{}\"", bytes.escape_ascii())
}

fn constant(view: &str, item: &str, items: &[String]) -> String {
    match items {
        [] => format!("::pelton_sdk::avro::{view}::EMPTY"),
        items => {
            let items = items.join(", ");
            format!("{{ const ITEMS: &[{item}] = &[{items}]; ::pelton_sdk::avro::{view}::new(ITEMS) }}")
        }
    }
}
