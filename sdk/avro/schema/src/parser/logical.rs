//! Recognises logical types.

use crate::logical::Logical;
use crate::schema::{Kind, Object};
use serde_json::Value;

/// The logical type, or `None` if it is unknown or not valid for this kind. `Err` says why a decimal is not valid.
pub fn of(kind: &Kind, attributes: &Object) -> Result<Logical, String> {
    let Some(name) = attributes.get("logicalType").and_then(Value::as_str) else {
        return Ok(Logical::None);
    };
    Ok(match (name, kind) {
        ("decimal", Kind::Bytes) => decimal(None, attributes)?,
        ("decimal", Kind::Fixed(_, size)) => decimal(Some(*size), attributes)?,
        ("uuid", Kind::Text | Kind::Fixed(_, 16)) => Logical::Uuid,
        ("timestamp-millis", Kind::Long) => Logical::TimestampMillis,
        ("timestamp-micros", Kind::Long) => Logical::TimestampMicros,
        ("timestamp-nanos", Kind::Long) => Logical::TimestampNanos,
        ("local-timestamp-millis", Kind::Long) => Logical::LocalTimestampMillis,
        ("local-timestamp-micros", Kind::Long) => Logical::LocalTimestampMicros,
        ("local-timestamp-nanos", Kind::Long) => Logical::LocalTimestampNanos,
        ("date", Kind::Int) => Logical::Date,
        ("time-millis", Kind::Int) => Logical::TimeMillis,
        ("time-micros", Kind::Long) => Logical::TimeMicros,
        ("duration", Kind::Fixed(_, 12)) => Logical::Duration,
        _ => Logical::None,
    })
}

/// `size` is that of a fixed, or `None` for bytes.
fn decimal(size: Option<u32>, attributes: &Object) -> Result<Logical, String> {
    let number = |word: &str| u32::try_from(attributes.get(word)?.as_u64()?).ok();
    let Some(precision) = number("precision").filter(|precision| *precision > 0) else {
        return Err("a decimal needs a \"precision\" above 0".into());
    };
    let scale = if attributes.contains_key("scale") {
        number("scale")
    } else {
        Some(0)
    };
    let Some(scale) = scale.filter(|scale| *scale <= precision) else {
        return Err(format!(
            "a decimal's \"scale\" is from 0 to its precision ({precision})"
        ));
    };
    if let Some(size) = size {
        // Digits that fit into a fixed: floor(log10(2^(8n - 1) - 1)).
        let room = ((f64::from(size) * 8.0 - 1.0) * 2f64.log10()).max(0.0) as u32;
        if precision > room {
            return Err(format!("a fixed of {size} bytes holds {room} digits, not {precision}"));
        }
    }
    Ok(Logical::Decimal { precision, scale })
}
