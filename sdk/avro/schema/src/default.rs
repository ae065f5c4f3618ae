//! Converts the default values of fields, which a schema gives as JSON, to typed values.
//!
//! Rule: a default is checked when it is asked for. The work for one default is bounded.

use crate::logical::Logical;
use crate::schema::{Field, Ix, Kind, Schema};
use serde_json::Value;

/// Maximum nesting of a default. A record's default may contain the record itself.
const MAX_DEPTH: u32 = 64;

/// Maximum number of values in a default, including those that were tried for a branch of a union. Without it, a small schema
/// whose defaults refer to other defaults could have exponentially many.
const MAX_VALUES: u32 = 1 << 16;
const TOO_MANY: &str = "it has more than 65536 parts";

/// A value of a type in a schema.
#[derive(Clone, Debug, PartialEq)]
pub enum Datum<'a> {
    /// A null.
    Null,
    /// A boolean.
    Boolean(bool),
    /// An int.
    Int(i32),
    /// A long.
    Long(i64),
    /// A float.
    Float(f32),
    /// A double.
    Double(f64),
    /// A string.
    Text(&'a str),
    /// Bytes, which may be a decimal.
    Bytes(Vec<u8>),
    /// A fixed, which may be a decimal.
    Fixed(Vec<u8>),
    /// The index of an enum's symbol.
    Symbol(usize),
    /// The items of an array.
    Array(Vec<Datum<'a>>),
    /// The entries of a map.
    Map(Vec<(&'a str, Datum<'a>)>),
    /// The index of a union's branch, and its value.
    Branch(usize, Box<Datum<'a>>),
    /// The fields of a record.
    Record(Vec<Datum<'a>>),
}

impl Schema {
    /// The value of a field's default, if it has one, or why it is not a value of the field's type.
    pub fn default_value<'a>(&'a self, field: &'a Field) -> Result<Option<Datum<'a>>, String> {
        let Some(json) = field.default() else {
            return Ok(None);
        };
        let mut reader = Reader {
            schema: self,
            left: MAX_VALUES,
        };
        reader.value(field.node, json, MAX_DEPTH).map(Some)
    }
}

struct Reader<'a> {
    schema: &'a Schema,
    /// How many more values may be read or tried.
    left: u32,
}

impl<'a> Reader<'a> {
    fn value(&mut self, ix: Ix, json: &'a Value, depth: u32) -> Result<Datum<'a>, String> {
        if depth == 0 {
            return Err(format!("it is nested more than {MAX_DEPTH} deep"));
        }
        let Some(left) = self.left.checked_sub(1) else {
            return Err(TOO_MANY.into());
        };
        self.left = left;
        let depth = depth - 1;
        match (self.schema.kind(ix), json) {
            (Kind::Array(item), Value::Array(items)) => {
                let items = items.iter().map(|json| self.value(*item, json, depth));
                Ok(Datum::Array(items.collect::<Result<_, _>>()?))
            }
            (Kind::Map(value), Value::Object(entries)) => {
                let entries = entries
                    .iter()
                    .map(|(key, json)| Ok((key.as_str(), self.value(*value, json, depth)?)));
                Ok(Datum::Map(entries.collect::<Result<_, String>>()?))
            }
            // Takes the first branch that fits. Older versions of Avro demanded the very first branch.
            (Kind::Union(branches), json) => {
                let found = branches
                    .iter()
                    .enumerate()
                    .find_map(|(index, branch)| Some((index, self.value(*branch, json, depth).ok()?)));
                match found {
                    Some((index, value)) => Ok(Datum::Branch(index, value.into())),
                    None if self.left == 0 => Err(TOO_MANY.into()),
                    None => Err(self.not_a_value(ix, json)),
                }
            }
            (Kind::Record(name, fields), Value::Object(object)) => {
                let fields = fields.iter().map(|field| {
                    let Some(json) = object.get(&*field.name).or(field.default()) else {
                        return Err(format!("{json} lacks `{}` of {}", field.name, name.full));
                    };
                    self.value(field.node, json, depth)
                });
                Ok(Datum::Record(fields.collect::<Result<_, _>>()?))
            }
            (_, json) => self.leaf(ix, json).ok_or_else(|| self.not_a_value(ix, json)),
        }
    }

    /// A value without parts.
    fn leaf(&self, ix: Ix, json: &'a Value) -> Option<Datum<'a>> {
        let node = self.schema.node(ix);
        Some(match &node.kind {
            Kind::Null => json.as_null().map(|()| Datum::Null)?,
            Kind::Boolean => Datum::Boolean(json.as_bool()?),
            Kind::Int => Datum::Int(json.as_i64()?.try_into().ok()?),
            Kind::Long => Datum::Long(json.as_i64()?),
            Kind::Float => Datum::Float(float(json)? as f32),
            Kind::Double => Datum::Double(float(json)?),
            Kind::Text => Datum::Text(json.as_str()?),
            Kind::Bytes => Datum::Bytes(bytes(json, node.logical)?),
            Kind::Fixed(_, size) => {
                let bytes = bytes(json, node.logical)?;
                (bytes.len() == *size as usize).then_some(Datum::Fixed(bytes))?
            }
            Kind::Enum(_, symbols, _) => {
                let text = json.as_str()?;
                Datum::Symbol(symbols.iter().position(|symbol| **symbol == *text)?)
            }
            // The JSON has another shape.
            Kind::Array(_) | Kind::Map(_) | Kind::Union(_) | Kind::Record(..) => return None,
        })
    }

    fn not_a_value(&self, ix: Ix, json: &Value) -> String {
        format!("{json} is not a value of {}", self.schema.describe(ix))
    }
}

fn float(json: &Value) -> Option<f64> {
    match json.as_str() {
        Some("NaN") => Some(f64::NAN),
        Some("Infinity" | "INF") => Some(f64::INFINITY),
        Some("-Infinity" | "-INF") => Some(f64::NEG_INFINITY),
        _ => json.as_f64(),
    }
}

/// Bytes from Avro's JSON form of them, which has one character for each byte. Those of a decimal must be a valid one.
fn bytes(json: &Value, logical: Logical) -> Option<Vec<u8>> {
    let chars = json.as_str()?.chars();
    let bytes: Vec<u8> = chars.map(|char| u8::try_from(char).ok()).collect::<Option<_>>()?;
    match logical {
        Logical::Decimal { precision, .. } => is_decimal(&bytes, precision).then_some(bytes),
        _ => Some(bytes),
    }
}

/// Whether the bytes are a number with at most `precision` digits. Above 38 digits, which is the most that an i128 holds, any
/// number is accepted.
fn is_decimal(bytes: &[u8], precision: u32) -> bool {
    let Some(most) = 10u128.checked_pow(precision) else {
        return !bytes.is_empty();
    };
    unscaled(bytes).is_some_and(|value| value.unsigned_abs() < most)
}

/// The number that these bytes are in two's complement, big-endian. `None` if there are no bytes, or if an i128 can't hold it.
pub fn unscaled(bytes: &[u8]) -> Option<i128> {
    let sign = if *bytes.first()? < 0x80 { 0 } else { 0xFF };
    let mut all = [sign; 16];
    // Beyond 16 bytes there may only be copies of the sign.
    let (extra, bytes) = bytes.split_at(bytes.len().saturating_sub(16));
    all[16 - bytes.len()..].copy_from_slice(bytes);
    let value = i128::from_be_bytes(all);
    (extra.iter().all(|byte| *byte == sign) && (value < 0) == (sign != 0)).then_some(value)
}
