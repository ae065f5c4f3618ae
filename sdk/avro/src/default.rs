//! Converts defaults of a schema to Rust expressions that are valid in constants.

use crate::parser::Parser;
use crate::schema::{Kind, Type};
use serde_json::Value;

impl Parser {
    /// The Rust expression of a default, or what the default should be.
    pub fn default_value(&self, of: &Type, json: &Value) -> Result<String, String> {
        let not = |what: &str| format!("{json} is not {what}");
        match of {
            Type::Array(item) => {
                let items = json.as_array().ok_or_else(|| not("an array"))?;
                let items: Vec<String> = items
                    .iter()
                    .map(|json| self.item_default(item, json))
                    .collect::<Result<_, _>>()?;
                Ok(constant("Array", &self.item(item, "'static"), &items))
            }
            Type::Map(value) => {
                let entries = json.as_object().ok_or_else(|| not("an object"))?;
                let entry = |(key, json)| Ok(format!("({key:?}, {})", self.item_default(value, json)?));
                let entries: Vec<String> = entries.iter().map(entry).collect::<Result<_, String>>()?;
                Ok(constant(
                    "Map",
                    &format!("(&'static str, {})", self.item(value, "'static")),
                    &entries,
                ))
            }
            Type::Nullable { of, .. } => match json {
                Value::Null => Ok("::core::option::Option::None".into()),
                json => Ok(format!(
                    "::core::option::Option::Some({})",
                    self.default_value(of, json)?
                )),
            },
            Type::Named(i) => self.named_default(*i, json),
            plain => plain_default(plain, json),
        }
    }

    fn item_default(&self, of: &Type, json: &Value) -> Result<String, String> {
        let value = self.default_value(of, json)?;
        match of {
            Type::Nullable { null_last: true, .. } => Ok(format!("::pelton_sdk::avro::NullLast({value})")),
            _ => Ok(value),
        }
    }

    fn named_default(&self, i: usize, json: &Value) -> Result<String, String> {
        let definition = &self.definitions[i];
        let name = &definition.name;
        match &definition.kind {
            Kind::Enum(symbols, _) => match symbols.iter().find(|symbol| json == &symbol.avro) {
                Some(symbol) => Ok(format!("{name}::{}", symbol.name)),
                None => Err(format!("{json} is no symbol of {name}")),
            },
            // Older versions of Avro allowed only the first branch; newer ones allow any.
            Kind::Union(branches) => {
                let found = branches
                    .iter()
                    .find_map(|branch| Some((branch, self.default_value(&branch.of, json).ok()?)));
                match found {
                    Some((branch, _)) if branch.of == Type::Null => Ok(format!("{name}::{}", branch.name)),
                    Some((branch, value)) => Ok(format!("{name}::{}({value})", branch.name)),
                    None => Err(format!("{json} is of no branch of {name}")),
                }
            }
            Kind::Record(fields) => {
                let object = json
                    .as_object()
                    .ok_or_else(|| format!("{json} is not an object for {name}"))?;
                let mut parts = Vec::new();
                for field in fields {
                    let given = object.get(&field.avro).or(field.default.as_ref());
                    let given = given.ok_or_else(|| format!("{json} lacks `{}` of {name}", field.avro))?;
                    parts.push(format!("{}: {}", field.name, self.default_value(&field.of, given)?));
                }
                Ok(format!("{name} {{ {} }}", parts.join(", ")))
            }
        }
    }
}

/// The expression of a default whose type has no other in it. `Err`: what it should be.
fn plain_default(of: &Type, json: &Value) -> Result<String, String> {
    let not = |what: &str| format!("{json} is not {what}");
    match of {
        Type::Null => json.is_null().then(|| "()".into()).ok_or_else(|| not("null")),
        Type::Boolean => json
            .as_bool()
            .map(|value| value.to_string())
            .ok_or_else(|| not("a boolean")),
        Type::Int => {
            let int = json.as_i64().and_then(|value| i32::try_from(value).ok());
            int.map(|value| format!("{value}i32")).ok_or_else(|| not("an int"))
        }
        Type::Long => json
            .as_i64()
            .map(|value| format!("{value}i64"))
            .ok_or_else(|| not("a long")),
        Type::Float => {
            let float = json
                .as_f64()
                .map(|value| value as f32)
                .filter(|value| value.is_finite());
            float.map(|value| format!("{value:?}f32")).ok_or_else(|| not("a float"))
        }
        Type::Double => json
            .as_f64()
            .map(|value| format!("{value:?}f64"))
            .ok_or_else(|| not("a double")),
        Type::Text => json.as_str().map(|text| format!("{text:?}")).ok_or_else(|| not("text")),
        Type::Bytes => Ok(format!("({} as &[u8])", literal(&bytes(json)?))),
        Type::Fixed(size) => match bytes(json)? {
            bytes if bytes.len() == *size => Ok(literal(&bytes)),
            _ => Err(not(&format!("of {size} bytes"))),
        },
        Type::Decimal { precision, size, .. } => {
            let bytes = bytes(json)?;
            let value = decimal(&bytes).filter(|value| value.unsigned_abs() < 10u128.pow(*precision));
            match value {
                Some(value) if *size == 0 || bytes.len() == *size => {
                    let int = if *precision > 18 { "i128" } else { "i64" };
                    Ok(format!("::pelton_sdk::avro::Decimal::literal({value}{int})"))
                }
                _ => Err(not(&format!(
                    "a decimal of at most {precision} digits in two's complement"
                ))),
            }
        }
        Type::Array(_) | Type::Map(_) | Type::Nullable { .. } | Type::Named(_) => {
            unreachable!("`default_value` takes these kinds before")
        }
    }
}

/// Bytes are text with the code points 0 to 255.
fn bytes(json: &Value) -> Result<Vec<u8>, String> {
    let bytes: Option<Vec<u8>> = json
        .as_str()
        .and_then(|text| text.chars().map(|c| u8::try_from(c).ok()).collect());
    bytes.ok_or_else(|| format!("{json} is not bytes (text of the code points 0 to 255)"))
}

fn literal(bytes: &[u8]) -> String {
    format!("b\"{}\"", bytes.escape_ascii())
}

fn decimal(bytes: &[u8]) -> Option<i128> {
    let sign = if *bytes.first()? < 0x80 { 0 } else { 0xFF };
    let mut all = [sign; 16];
    // Beyond 16 bytes there may only be copies of the sign.
    let (extra, bytes) = bytes.split_at(bytes.len().saturating_sub(16));
    all[16 - bytes.len()..].copy_from_slice(bytes);
    let value = i128::from_be_bytes(all);
    (extra.iter().all(|byte| *byte == sign) && (value < 0) == (sign != 0)).then_some(value)
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
