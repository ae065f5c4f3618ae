//! Generates random schemas, evolutions of them, and values, all from one seed.

use apache_avro::types::Value;
use std::fmt::Write;

/// A random generator for tests.
pub struct Dice(fastrand::Rng);

impl Dice {
    /// The same seed gives the same draws.
    pub fn new(seed: u64) -> Dice {
        Dice(fastrand::Rng::with_seed(seed))
    }

    pub fn next(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0.usize(..end)
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub fn text(&mut self) -> String {
        const CHARS: [&str; 12] = [
            "a",
            "Z",
            "é",
            "\"",
            "\\",
            "\n",
            "\u{1}",
            "😀",
            " ",
            "longer text",
            "/",
            "\u{7f}",
        ];
        (0..self.below(6)).map(|_| CHARS[self.below(12)]).collect()
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        self.0.shuffle(items);
    }
}

/// A type of a schema.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Millis,
    Decimal,
    Fixed(String, usize),
    Enum(String, Vec<String>, Option<String>),
    Array(Box<Type>),
    Map(Box<Type>),
    Union(Vec<Type>),
    Record(String, Vec<Field>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub name: String,
    pub alias: Option<String>,
    pub of: Type,
    /// Its JSON text.
    pub default: Option<&'static str>,
}

pub fn schema(dice: &mut Dice) -> Type {
    let mut names = 0;
    if dice.one_in(4) {
        random(dice, 3, &mut names, true)
    } else {
        a_record(dice, 3, &mut names)
    }
}

fn random(dice: &mut Dice, depth: u32, names: &mut u32, unions: bool) -> Type {
    let complex = if depth == 0 { 0 } else { 5 };
    match dice.below(12 + complex) {
        0 => Type::Boolean,
        1 => Type::Int,
        2 => Type::Long,
        3 => Type::Float,
        4 => Type::Double,
        5 => Type::Bytes,
        6 | 7 => Type::Text,
        8 => Type::Millis,
        9 => Type::Decimal,
        10 => Type::Fixed(name(names), dice.below(5) + 1),
        11 => {
            let symbols = (0..=dice.below(4)).map(|n| format!("S{n}")).collect();
            Type::Enum(name(names), symbols, None)
        }
        12 => Type::Array(random(dice, depth - 1, names, true).into()),
        13 => Type::Map(random(dice, depth - 1, names, true).into()),
        14 | 15 if unions => {
            let mut branches: Vec<Type> = Vec::new();
            if !dice.one_in(3) {
                branches.push(Type::Null);
            }
            for _ in 0..=dice.below(3) {
                let branch = random(dice, depth - 1, names, false);
                if branches.iter().all(|other| kind(other) != kind(&branch)) {
                    branches.push(branch);
                }
            }
            dice.shuffle(&mut branches);
            Type::Union(branches)
        }
        _ => a_record(dice, depth.max(1), names),
    }
}

fn a_record(dice: &mut Dice, depth: u32, names: &mut u32) -> Type {
    let name = name(names);
    let fields = (0..dice.below(6)).map(|n| Field {
        name: format!("f{n}"),
        alias: None,
        of: random(dice, depth - 1, names, true),
        default: None,
    });
    Type::Record(name, fields.collect())
}

fn name(names: &mut u32) -> String {
    *names += 1;
    format!("N{names}")
}

/// The kind that may come only once in a union, by Avro's rule. Unions get only one record as well, because
/// implementations choose differently among several. They get no map next to a record, because apache-avro reads a map
/// that it can't resolve as a record, which the specification does not say.
fn kind(of: &Type) -> u32 {
    match of {
        Type::Null => 0,
        Type::Boolean => 1,
        Type::Int => 2,
        Type::Long | Type::Millis => 3,
        Type::Float => 4,
        Type::Double => 5,
        Type::Bytes | Type::Decimal => 6,
        Type::Text => 7,
        Type::Fixed(..) => 8,
        Type::Enum(..) => 9,
        Type::Array(_) => 10,
        Type::Map(_) | Type::Record(..) => 11,
        Type::Union(_) => 12,
    }
}

/// A schema that evolved from this one.
pub fn evolve(dice: &mut Dice, of: &Type) -> Type {
    match of {
        Type::Int if dice.one_in(2) => [Type::Long, Type::Float, Type::Double][dice.below(3)].clone(),
        Type::Long if dice.one_in(2) => [Type::Float, Type::Double][dice.below(2)].clone(),
        Type::Float if dice.one_in(2) => Type::Double,
        Type::Text if dice.one_in(4) => Type::Bytes,
        Type::Bytes if dice.one_in(4) => Type::Text,
        Type::Enum(name, symbols, _) => {
            let mut symbols = symbols.clone();
            if dice.one_in(3) && symbols.len() > 1 {
                symbols.pop();
            }
            if dice.one_in(3) {
                symbols.push("Added".into());
            }
            if dice.one_in(3) {
                dice.shuffle(&mut symbols);
            }
            let default = dice.one_in(2).then(|| symbols[0].clone());
            Type::Enum(name.clone(), symbols, default)
        }
        Type::Array(item) => Type::Array(evolve(dice, item).into()),
        Type::Map(value) => Type::Map(evolve(dice, value).into()),
        Type::Union(branches) => {
            if branches.len() == 1 && dice.one_in(3) {
                return evolve(dice, &branches[0]);
            }
            let mut evolved: Vec<Type> = Vec::new();
            for branch in branches {
                // Records and enums may change. Another primitive might change which branch fits.
                let branch = match branch {
                    Type::Record(..) | Type::Enum(..) | Type::Array(_) | Type::Map(_) => evolve(dice, branch),
                    other => other.clone(),
                };
                evolved.push(branch);
            }
            if dice.one_in(3) {
                dice.shuffle(&mut evolved);
            }
            Type::Union(evolved)
        }
        Type::Record(name, fields) => {
            let mut evolved = Vec::new();
            for field in fields {
                if dice.one_in(6) {
                    continue;
                }
                let mut field = Field {
                    of: evolve(dice, &field.of),
                    ..field.clone()
                };
                if dice.one_in(6) {
                    let renamed = format!("{}renamed", field.name);
                    field.alias = Some(std::mem::replace(&mut field.name, renamed));
                }
                evolved.push(field);
            }
            if dice.one_in(3) {
                let (of, default) = match dice.below(6) {
                    0 => (Type::Int, "-7"),
                    1 => (Type::Text, "\"é\""),
                    2 => (Type::Array(Type::Long.into()), "[1,2]"),
                    3 => (Type::Union(vec![Type::Null, Type::Text]), "null"),
                    4 => (Type::Boolean, "true"),
                    _ => (Type::Double, "1.5"),
                };
                evolved.push(Field {
                    name: "added".into(),
                    alias: None,
                    of,
                    default: Some(default),
                });
            }
            if dice.one_in(3) {
                dice.shuffle(&mut evolved);
            }
            Type::Record(name.clone(), evolved)
        }
        // Makes a value optional.
        other if dice.one_in(6) => Type::Union(vec![Type::Null, other.clone()]),
        other => other.clone(),
    }
}

/// The schema as Avro JSON.
pub fn text(of: &Type) -> String {
    match of {
        Type::Null => "\"null\"".into(),
        Type::Boolean => "\"boolean\"".into(),
        Type::Int => "\"int\"".into(),
        Type::Long => "\"long\"".into(),
        Type::Float => "\"float\"".into(),
        Type::Double => "\"double\"".into(),
        Type::Bytes => "\"bytes\"".into(),
        Type::Text => "\"string\"".into(),
        Type::Millis => r#"{"type":"long","logicalType":"timestamp-millis"}"#.into(),
        Type::Decimal => r#"{"type":"bytes","logicalType":"decimal","precision":18,"scale":4}"#.into(),
        Type::Fixed(name, size) => format!(r#"{{"type":"fixed","name":"{name}","size":{size}}}"#),
        Type::Enum(name, symbols, default) => {
            let default = default
                .as_ref()
                .map_or(String::new(), |default| format!(r#","default":"{default}""#));
            format!(r#"{{"type":"enum","name":"{name}","symbols":{symbols:?}{default}}}"#)
        }
        Type::Array(item) => format!(r#"{{"type":"array","items":{}}}"#, text(item)),
        Type::Map(value) => format!(r#"{{"type":"map","values":{}}}"#, text(value)),
        Type::Union(branches) => format!("[{}]", branches.iter().map(text).collect::<Vec<_>>().join(",")),
        Type::Record(name, fields) => {
            let fields = fields.iter().map(|field| {
                let mut all = format!(r#"{{"name":"{}","type":{}"#, field.name, text(&field.of));
                if let Some(alias) = &field.alias {
                    let _ = write!(all, r#","aliases":["{alias}"]"#);
                }
                if let Some(default) = field.default {
                    let _ = write!(all, r#","default":{default}"#);
                }
                all + "}"
            });
            format!(
                r#"{{"type":"record","name":"{name}","fields":[{}]}}"#,
                fields.collect::<Vec<_>>().join(",")
            )
        }
    }
}

pub fn value(dice: &mut Dice, of: &Type) -> Value {
    let number = |dice: &mut Dice| dice.next() as i64 >> dice.below(64);
    match of {
        Type::Null => Value::Null,
        Type::Boolean => Value::Boolean(dice.one_in(2)),
        Type::Int => Value::Int(number(dice) as i32),
        Type::Long => Value::Long(number(dice)),
        Type::Float => Value::Float(number(dice) as f32 / 1024.0),
        Type::Double => Value::Double(number(dice) as f64 / 1024.0),
        // Half of them are UTF-8, so that they can become text.
        Type::Bytes if dice.one_in(2) => Value::Bytes(dice.text().into_bytes()),
        Type::Bytes => Value::Bytes((0..dice.below(9)).map(|_| dice.next() as u8).collect()),
        Type::Text => Value::String(dice.text()),
        Type::Millis => Value::TimestampMillis(number(dice) >> 10),
        // Eight bytes (18 digits), because the oracle refuses shorter ones.
        Type::Decimal => {
            let unscaled = number(dice) % 1_000_000_000_000_000_000;
            Value::Decimal(unscaled.to_be_bytes().into())
        }
        Type::Fixed(_, size) => Value::Fixed(*size, (0..*size).map(|_| dice.next() as u8).collect()),
        Type::Enum(_, symbols, _) => {
            let index = dice.below(symbols.len());
            Value::Enum(index as u32, symbols[index].clone())
        }
        Type::Array(item) => Value::Array((0..dice.below(4)).map(|_| value(dice, item)).collect()),
        Type::Map(item) => Value::Map(
            (0..dice.below(3))
                .map(|n| (format!("k{n}{}", dice.text()), value(dice, item)))
                .collect(),
        ),
        Type::Union(branches) => {
            let index = dice.below(branches.len());
            Value::Union(index as u32, value(dice, &branches[index]).into())
        }
        Type::Record(_, fields) => Value::Record(
            fields
                .iter()
                .map(|field| (field.name.clone(), value(dice, &field.of)))
                .collect(),
        ),
    }
}
