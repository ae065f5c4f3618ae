//! Converts JSON that people write to the bytes of the topics, and back, with the pipeline's own schemas.
//!
//! Rule: numbers keep their digits. Nothing becomes a floating-point number, so that amounts are compared exactly.

use super::error::Result;
use crate::config::{Format, InputConfig, OutputConfig, TimeSource};
use crate::record::Millis;
use crate::registry::Schemas;
use pelton_convert::{JsonReader, JsonWriter, write_millis};
use serde_json::value::RawValue;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Fields of a JSON object, with the JSON text of each.
pub(super) type Fields = BTreeMap<String, Box<RawValue>>;

/// Converters for each schema that was used.
#[derive(Default)]
pub(super) struct Values {
    readers: RefCell<HashMap<String, Arc<JsonReader>>>,
    writers: RefCell<HashMap<String, Arc<JsonWriter>>>,
}

impl Values {
    fn reader(&self, schema: &str) -> Result<Arc<JsonReader>> {
        if let Some(known) = self.readers.borrow().get(schema) {
            return Ok(known.clone());
        }
        let made = Arc::new(JsonReader::new(schema).map_err(|why| why.to_string())?);
        self.readers.borrow_mut().insert(schema.to_owned(), made.clone());
        Ok(made)
    }

    /// Converts a datum to JSON text.
    pub fn text(&self, schema: &str, datum: &[u8]) -> Result<String> {
        let known = self.writers.borrow().get(schema).cloned();
        let writer = match known {
            Some(known) => known,
            None => {
                let made = Arc::new(JsonWriter::new(schema).map_err(|why| why.to_string())?);
                self.writers.borrow_mut().insert(schema.to_owned(), made.clone());
                made
            }
        };
        let mut text = vec![];
        writer.convert(datum, &mut text).map_err(|why| why.to_string())?;
        String::from_utf8(text).map_err(|why| why.to_string().into())
    }

    /// Converts JSON text to a datum.
    pub fn datum(&self, schema: &str, json: &str) -> Result<Vec<u8>> {
        let mut datum = vec![];
        let read = self.reader(schema)?.convert(json.as_bytes(), &mut datum);
        read.map_err(|why| why.to_string())?;
        Ok(datum)
    }

    /// Encodes a value for an input's topic. Takes the first of these texts that fits. `declared` is the rules' schema
    /// for it.
    pub fn input(
        &self,
        input: &InputConfig,
        schemas: Option<&dyn Schemas>,
        declared: Option<&str>,
        texts: Vec<String>,
    ) -> Result<Vec<u8>> {
        let (id, schema) = match input.format {
            Format::Json => (0, declared.map(Arc::from)),
            Format::Avro => {
                let schemas = schemas.ok_or("the topic is Avro, and there are no schemas")?;
                let (id, schema) = schemas.latest(&input.topic)?;
                (id, Some(schema))
            }
        };
        let mut first = None;
        for json in texts {
            let datum = schema.as_deref().map(|schema| self.datum(schema, &json)).transpose();
            match (datum, input.format) {
                (Ok(Some(datum)), Format::Avro) => return Ok([&[0], &id.to_be_bytes()[..], &datum].concat()),
                (Ok(_), _) => return Ok(json.into_bytes()),
                (Err(why), _) => first = first.or(Some(why)),
            }
        }
        Err(first.unwrap_or_else(|| "there is no value".into()))
    }

    /// Decodes a value of an output's topic to JSON text.
    pub fn output(&self, output: &OutputConfig, schemas: Option<&dyn Schemas>, value: &[u8]) -> Result<String> {
        match (output.format, value) {
            (Format::Json, _) => String::from_utf8(value.to_vec()).map_err(|why| why.to_string().into()),
            (Format::Avro, [0, a, b, c, d, datum @ ..]) => {
                let schemas = schemas.ok_or("the topic is Avro, and there are no schemas")?;
                let schema = schemas.by_id(u32::from_be_bytes([*a, *b, *c, *d]));
                self.text(&schema?, datum)
            }
            (Format::Avro, _) => Err("the value has no schema id".into()),
        }
    }
}

/// The texts that a value may mean. An object gets the fields of `base` that it lacks. If its event time is a field
/// that it lacks, it gets `at`, once as ISO-8601 text and once as milliseconds, because the schema decides which fits.
pub(super) fn meant(value: &str, base: Option<&Fields>, time: &TimeSource, at: Millis) -> Result<Vec<String>> {
    if !value.starts_with('{') {
        return Ok(vec![value.to_owned()]);
    }
    let given: Fields = serde_json::from_str(value).map_err(|why| why.to_string())?;
    let mut fields = base.cloned().unwrap_or_default();
    fields.extend(given);
    let TimeSource::Field(field) = time else {
        return Ok(vec![object(&fields)]);
    };
    if fields.contains_key(field) {
        return Ok(vec![object(&fields)]);
    }
    let mut iso = vec![b'"'];
    write_millis(at, &mut iso);
    iso.push(b'"');
    let mut texts = vec![];
    for text in [String::from_utf8_lossy(&iso).into_owned(), at.to_string()] {
        let text = RawValue::from_string(text).map_err(|why| why.to_string())?;
        fields.insert(field.clone(), text);
        texts.push(object(&fields));
    }
    Ok(texts)
}

/// The text of an object with these fields.
fn object(fields: &Fields) -> String {
    let fields = fields
        .iter()
        .map(|(name, value)| format!("{}:{}", quoted(name), value.get()));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

/// A text as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The canonical text of a JSON value: no spaces, fields sorted by name and without nulls, numbers without needless
/// digits. Text that is not JSON stays as it is.
pub(super) fn canonical(json: &str) -> String {
    serde_json::from_str::<&RawValue>(json).map_or_else(|_| json.to_owned(), canonical_value)
}

fn canonical_value(value: &RawValue) -> String {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'{') => {
            let fields: Fields = serde_json::from_str(text).unwrap_or_default();
            let fields = fields.iter().filter(|(_, value)| value.get() != "null");
            let fields = fields.map(|(name, value)| format!("{}:{}", quoted(name), canonical_value(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
        Some(b'[') => {
            let items = items(text);
            let items: Vec<String> = items.iter().map(|item| canonical_value(item)).collect();
            format!("[{}]", items.join(","))
        }
        Some(b'"') => serde_json::from_str::<String>(text).map_or_else(|_| text.to_owned(), |text| quoted(&text)),
        _ => number(text),
    }
}

pub(super) fn items(text: &str) -> Vec<Box<RawValue>> {
    serde_json::from_str(text).unwrap_or_default()
}

/// `1.50` and `1.5` are the same number, and so are `-0` and `0`. Numbers with an exponent stay as they are.
fn number(text: &str) -> String {
    let plain = text.contains('.') && !text.contains(['e', 'E']);
    let short = match plain {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    };
    (if short == "-0" { "0" } else { short }).to_owned()
}

/// The value at a path of fields, separated by dots; `null` if there is none.
pub(super) fn at_path(json: &str, path: &str) -> String {
    let mut value = json.to_owned();
    for name in path.split('.') {
        let fields: Fields = serde_json::from_str(&value).unwrap_or_default();
        value = fields
            .get(name)
            .map_or("null".to_owned(), |value| value.get().to_owned());
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_for_one_value() {
        for (one, other) in [
            (
                r#"{"a": 1, "b": [1.50, "x"]}"#,
                r#"{"b":[1.5,"\u0078"],"a":1,"c":null}"#,
            ),
            ("-0.0", "0"),
            ("10", "10.0"),
            ("12345678901234567890.12", "12345678901234567890.120"),
        ] {
            assert_eq!(canonical(one), canonical(other));
        }
        for (one, other) in [
            ("12345678901234567890.1", "12345678901234567890.2"),
            ("1", "\"1\""),
            ("100", "1"),
            ("{\"a\":{}}", "{}"),
        ] {
            assert_ne!(canonical(one), canonical(other));
        }
    }

    #[test]
    fn paths_lead_to_values() {
        let json = r#"{"a": {"b": [1, 2]}, "c": "x"}"#;
        assert_eq!(at_path(json, "a.b"), "[1, 2]");
        assert_eq!(at_path(json, "c"), "\"x\"");
        assert_eq!(at_path(json, "c.d"), "null");
    }
}
