//! Reads values without parts: text, numbers, times, bytes.
//!
//! Rule: each function reads the whole token, or refuses it with its position in the text.

use super::super::datum::{put_long, put_sized};
use super::super::json::{Number, Raw, Text};
use super::super::leaf::Leaf;
use super::super::{Unreadable, decimal, instant};
use std::sync::Arc;

type Result<T> = std::result::Result<T, Unreadable>;

/// Appends the datum of a value without parts.
#[inline]
pub(super) fn leaf(leaf: &Leaf, text: &mut Text, out: &mut Vec<u8>) -> Result<()> {
    match leaf {
        Leaf::Text => put_text(text.string("text was expected")?, out),
        Leaf::Decimal {
            precision,
            scale,
            fixed,
        } => {
            let number = text.number()?;
            put_decimal(decimal::parse(number.bytes, *precision, *scale)?, *fixed, out);
        }
        Leaf::Millis => put_long(millis(text)?, out),
        Leaf::Micros => put_long(micros(text)?, out),
        Leaf::Boolean => out.push(u8::from(text.boolean()?)),
        Leaf::Int => {
            let value = integer(text.number()?)?;
            let value = i32::try_from(value).map_err(|_| text.error("an int has more than 32 bits"))?;
            put_long(i64::from(value), out);
        }
        Leaf::Long => put_long(integer(text.number()?)?, out),
        Leaf::Float => out.extend_from_slice(&float::<f32>(text, |value| value.is_finite())?.to_le_bytes()),
        Leaf::Double => out.extend_from_slice(&float::<f64>(text, |value| value.is_finite())?.to_le_bytes()),
        Leaf::Null => text.null()?,
        Leaf::Bytes => {
            let start = out.len();
            put_latin1(text, out)?;
            insert_long((out.len() - start) as i64, start, out);
        }
        Leaf::Fixed { size } => {
            let start = out.len();
            put_latin1(text, out)?;
            if out.len() - start != *size as usize {
                return Err(text.error("a fixed has another size"));
            }
        }
        Leaf::Uuid => {
            let raw = text.string("the text of a UUID was expected")?;
            let bytes = uuid(raw.bytes).ok_or_else(|| text.error("this is not the text of a UUID"))?;
            out.extend_from_slice(&bytes);
        }
    }
    Ok(())
}

/// Appends the number of a symbol. `default` stands for one that the enum does not have.
#[inline]
pub(super) fn symbol(symbols: &[Arc<str>], default: Option<u32>, text: &mut Text, out: &mut Vec<u8>) -> Result<()> {
    let raw = text.string("the name of a symbol was expected")?;
    let found = symbols.iter().position(|symbol| raw.is(symbol));
    match found.map(|index| index as u32).or(default) {
        Some(index) => put_long(i64::from(index), out),
        None => return Err(text.error("the enum has no such symbol")),
    }
    Ok(())
}

/// Appends a decimal: in as few bytes as it needs, or in the bytes of a fixed.
#[inline]
fn put_decimal(value: i128, fixed: Option<u32>, out: &mut Vec<u8>) {
    let (bytes, from) = decimal::shortest(value);
    let bytes = &bytes[from..];
    match fixed {
        None => put_sized(bytes, out),
        Some(size) => {
            let sign = (bytes[0] as i8 >> 7) as u8;
            // The parser has checked that a decimal fits its fixed.
            out.resize(out.len() + (size as usize).saturating_sub(bytes.len()), sign);
            out.extend_from_slice(bytes);
        }
    }
}

#[inline]
pub(super) fn put_text(raw: Raw, out: &mut Vec<u8>) {
    if !raw.escaped {
        return put_sized(raw.bytes, out);
    }
    let start = out.len();
    raw.append(out);
    insert_long((out.len() - start) as i64, start, out);
}

/// Appends a byte for each character of a text.
fn put_latin1(text: &mut Text, out: &mut Vec<u8>) -> Result<()> {
    let raw = text.string("text, of a character for each byte, was expected")?;
    for char in raw.chars() {
        match u8::try_from(u32::from(char)) {
            Ok(byte) => out.push(byte),
            Err(_) => return Err(text.error("bytes have a character beyond U+00FF")),
        }
    }
    Ok(())
}

/// Ends the array or map whose `count` items were appended since `start`.
pub(super) fn end_block(count: u64, start: usize, out: &mut Vec<u8>) {
    if count > 0 {
        insert_long(count as i64, start, out);
    }
    out.push(0);
}

/// Inserts a number before everything that was appended since `at`.
fn insert_long(value: i64, at: usize, out: &mut Vec<u8>) {
    let end = out.len();
    put_long(value, out);
    let len = out.len() - end;
    out[at..].rotate_right(len);
}

/// Reads a whole number of at most 64 bits. `1e3` and `5.0` are whole numbers too.
#[inline]
fn integer(number: Number) -> Result<i64> {
    let (negative, digits) = match number.bytes {
        [b'-', rest @ ..] => (true, rest),
        all => (false, all),
    };
    // 18 digits are always below 2^63.
    if number.plain && digits.len() <= 18 {
        let value = digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        return Ok(if negative { -value } else { value });
    }
    let value = decimal::parse(number.bytes, decimal::MAX_DIGITS, 0)
        .map_err(|_| Unreadable::new("a number is not a whole one, or has more than 64 bits"))?;
    i64::try_from(value).map_err(|_| Unreadable::new("a number has more than 64 bits"))
}

fn float<F: std::str::FromStr + From<f32>>(text: &mut Text, finite: fn(&F) -> bool) -> Result<F> {
    if text.peek() == b'"' {
        let raw = text.string("a number was expected")?;
        let special = [
            ("NaN", f32::NAN),
            ("Infinity", f32::INFINITY),
            ("-Infinity", f32::NEG_INFINITY),
        ];
        let value = special.iter().find(|(name, _)| raw.is(name));
        return value
            .map(|(_, value)| F::from(*value))
            .ok_or_else(|| text.error("a number was expected"));
    }
    let number = text.number()?;
    let value = std::str::from_utf8(number.bytes)
        .ok()
        .and_then(|text| text.parse().ok());
    value.filter(finite).ok_or_else(|| text.error("a number is too large"))
}

/// Reads ISO-8601 text, or a number of milliseconds.
#[inline]
pub(crate) fn millis(text: &mut Text) -> Result<i64> {
    if text.peek() != b'"' {
        return integer(text.number()?);
    }
    let raw = text.string("a time was expected")?;
    instant::parse_millis(raw.bytes).ok_or_else(|| text.error("this is not an ISO-8601 time with an offset"))
}

fn micros(text: &mut Text) -> Result<i64> {
    if text.peek() != b'"' {
        let millis = integer(text.number()?)?;
        return millis
            .checked_mul(1_000)
            .ok_or_else(|| text.error("a time has more than 64 bits"));
    }
    let raw = text.string("a time was expected")?;
    instant::parse_micros(raw.bytes).ok_or_else(|| text.error("this is not an ISO-8601 time with an offset"))
}

/// Reads a UUID like `123e4567-e89b-12d3-a456-426614174000`.
fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    if text.len() != 36 {
        return None;
    }
    let mut bytes = [0; 16];
    let mut digits = 0;
    for (at, byte) in text.iter().enumerate() {
        if matches!(at, 8 | 13 | 18 | 23) {
            if *byte != b'-' {
                return None;
            }
            continue;
        }
        bytes[digits / 2] = bytes[digits / 2] << 4 | char::from(*byte).to_digit(16)? as u8;
        digits += 1;
    }
    Some(bytes)
}
