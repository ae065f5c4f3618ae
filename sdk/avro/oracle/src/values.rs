//! Random values of a schema, for apache-avro.

use crate::random::Rng;
use apache_avro::schema::{InnerDecimalSchema, Name};
use apache_avro::{Decimal, Schema, Uuid, types::Value};
use std::collections::HashMap;

/// Makes random values of one schema.
pub struct Values<'s> {
    pub rng: Rng,
    named: HashMap<Name, &'s Schema>,
}

impl<'s> Values<'s> {
    pub fn new(schema: &'s Schema, seed: u64) -> Self {
        let mut named = HashMap::new();
        name(schema, &mut named);
        Values {
            rng: Rng::new(seed),
            named,
        }
    }

    pub fn of(&mut self, schema: &Schema) -> Value {
        let rng = &mut self.rng;
        match schema {
            Schema::Null => Value::Null,
            Schema::Boolean => Value::Boolean(rng.one_in(2)),
            Schema::Int => Value::Int(int(rng)),
            Schema::Long => Value::Long(long(rng)),
            Schema::Float => Value::Float(int(rng) as f32 / 3.0),
            Schema::Double => Value::Double(long(rng) as f64 / 3.0),
            Schema::Bytes => Value::Bytes(bytes(rng)),
            Schema::String => Value::String(text(rng)),
            Schema::Array(array) => {
                let len = len(rng);
                Value::Array((0..len).map(|_| self.of(&array.items)).collect())
            }
            Schema::Map(map) => {
                let len = len(rng);
                Value::Map((0..len).map(|_| (text(&mut self.rng), self.of(&map.types))).collect())
            }
            Schema::Union(union) => {
                let i = rng.below(union.variants().len());
                Value::Union(i as u32, self.of(&union.variants()[i]).into())
            }
            Schema::Record(record) => Value::Record(
                record
                    .fields
                    .iter()
                    .map(|f| (f.name.clone(), self.of(&f.schema)))
                    .collect(),
            ),
            Schema::Enum(of) => {
                let i = rng.below(of.symbols.len());
                Value::Enum(i as u32, of.symbols[i].clone())
            }
            Schema::Fixed(fixed) => Value::Fixed(fixed.size, (0..fixed.size).map(|_| rng.0.u64(..) as u8).collect()),
            Schema::Decimal(of) => {
                let digits = rng.below(of.precision + 1) as u32;
                let size = match &of.inner {
                    InnerDecimalSchema::Bytes => None,
                    InnerDecimalSchema::Fixed(fixed) => Some(fixed.size),
                };
                Value::Decimal(Decimal::from(decimal(rng, digits, size)))
            }
            Schema::Uuid(_) => Value::Uuid(Uuid::from_u64_pair(rng.0.u64(..), rng.0.u64(..))),
            Schema::Date => Value::Date(int(rng)),
            Schema::TimeMillis => Value::TimeMillis(int(rng)),
            Schema::TimeMicros => Value::TimeMicros(long(rng)),
            Schema::TimestampMillis => Value::TimestampMillis(long(rng)),
            Schema::TimestampMicros => Value::TimestampMicros(long(rng)),
            Schema::LocalTimestampMillis => Value::LocalTimestampMillis(long(rng)),
            Schema::Ref { name } => self.of(self.named[name]),
            other => panic!("random schemas have no {other:?}"),
        }
    }
}

fn name<'s>(schema: &'s Schema, named: &mut HashMap<Name, &'s Schema>) {
    if let Some(name) = schema.name().filter(|_| !matches!(schema, Schema::Ref { .. })) {
        named.insert(name.clone(), schema);
    }
    match schema {
        Schema::Array(array) => name(&array.items, named),
        Schema::Map(map) => name(&map.types, named),
        Schema::Union(union) => union.variants().iter().for_each(|of| name(of, named)),
        Schema::Record(record) => record.fields.iter().for_each(|field| name(&field.schema, named)),
        _ => {}
    }
}

fn len(rng: &mut Rng) -> usize {
    [0, 1, 2, 5][rng.below(4)]
}

/// Numbers of every length as a varint, including the limits.
fn long(rng: &mut Rng) -> i64 {
    match rng.below(12) {
        0 => i64::MIN,
        1 => i64::MAX,
        _ => (rng.0.u64(..) as i64) >> rng.below(64),
    }
}

fn int(rng: &mut Rng) -> i32 {
    match rng.below(12) {
        0 => i32::MIN,
        1 => i32::MAX,
        _ => (rng.0.u64(..) as i32) >> rng.below(32),
    }
}

fn bytes(rng: &mut Rng) -> Vec<u8> {
    (0..[0, 1, 7, 100][rng.below(4)]).map(|_| rng.0.u64(..) as u8).collect()
}

fn text(rng: &mut Rng) -> String {
    let chars = ['a', 'Z', '0', '-', ' ', '"', '\0', 'é', '本', '🌊'];
    (0..[0, 1, 9, 36, 150][rng.below(5)])
        .map(|_| chars[rng.below(chars.len())])
        .collect()
}

/// The shortest two's complement, or one of the given size.
fn decimal(rng: &mut Rng, digits: u32, size: Option<usize>) -> Vec<u8> {
    let limit = 10i128.pow(digits);
    let value = match rng.below(4) {
        0 => limit - 1,
        1 => 1 - limit,
        _ => (i128::from(rng.0.u64(..)) << 64 | i128::from(rng.0.u64(..))) % limit,
    };
    let sign = if value < 0 { 0xFF } else { 0 };
    let all = [[sign; 16], value.to_be_bytes()].concat();
    let short = (1..=16).find(|n| {
        let kept = &all[32 - n..];
        all[..32 - n].iter().all(|byte| *byte == sign) && kept[0] & 0x80 == sign & 0x80
    });
    all[32 - size.or(short).unwrap()..].to_vec()
}
