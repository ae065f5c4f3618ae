//! Conversion of decimals: JSON numbers, Avro's two's complement bytes, and plain text.
//!
//! Rule: a decimal is exact or refused. It is never rounded, and never becomes a binary fraction.

use super::{Incompatible, Unreadable};

type Result<T> = std::result::Result<T, Unreadable>;

/// Maximum digits of a decimal in i128. Schemas with more digits can't be converted to or from text.
pub(super) const MAX_DIGITS: u32 = 38;

const TOO_MANY: &str = "a decimal has more digits than its precision";

/// Checks that it is a decimal of at most `precision` digits. Above [`MAX_DIGITS`], it only checks that there are
/// bytes.
#[inline]
pub(super) fn check(bytes: &[u8], precision: u32) -> Result<()> {
    if bytes.len() <= 8 && precision >= 19 && !bytes.is_empty() {
        return Ok(());
    }
    if precision > MAX_DIGITS && !bytes.is_empty() {
        return Ok(());
    }
    read(bytes, precision).map(|_| ())
}

/// The unscaled value of two's complement bytes of any length.
#[inline]
pub(super) fn read(bytes: &[u8], precision: u32) -> Result<i128> {
    let Some(first) = bytes.first() else {
        return Err(Unreadable::new("a decimal has no bytes"));
    };
    if bytes.len() <= 8 {
        let mut value = i64::from(*first as i8);
        for byte in &bytes[1..] {
            value = value << 8 | i64::from(*byte);
        }
        // 19 digits can hold every i64.
        if precision < 19 && value.unsigned_abs() >= 10u64.pow(precision) {
            return Err(Unreadable::new(TOO_MANY));
        }
        return Ok(i128::from(value));
    }
    // Leading bytes that only repeat the sign don't count.
    let sign = (*first as i8 >> 7) as u8;
    let digits = bytes.iter().position(|byte| *byte != sign).unwrap_or(bytes.len() - 1);
    let significant = &bytes[digits..];
    if significant.len() > 16 {
        return Err(Unreadable::new(TOO_MANY));
    }
    let mut value = i128::from(sign as i8);
    for byte in significant {
        value = value << 8 | i128::from(*byte);
    }
    // Where all 16 bytes are significant, the first may have the other sign.
    if (value < 0) != (sign != 0) || value.unsigned_abs() >= 10u128.pow(precision.min(MAX_DIGITS)) {
        return Err(Unreadable::new(TOO_MANY));
    }
    Ok(value)
}

/// The unscaled value of a valid JSON number at this scale.
pub(super) fn parse(text: &[u8], precision: u32, scale: u32) -> Result<i128> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let mut mantissa = 0u128;
    let mut digits = 0u32; // significant ones
    let mut fraction = 0i64; // digits after the point, minus the exponent
    let mut zeros = 0u32; // trailing ones, not yet part of the mantissa
    let mut behind_point = false;
    let mut i = 0;
    while i < text.len() {
        let byte = text[i];
        i += 1;
        match byte {
            b'.' => behind_point = true,
            b'0'..=b'9' => {
                fraction += i64::from(behind_point);
                if byte == b'0' {
                    // Leading zeros don't count. Trailing zeros count only if a digit follows; until then they are part
                    // of the exponent.
                    zeros = if mantissa == 0 { 0 } else { zeros.saturating_add(1) };
                    continue;
                }
                digits = digits.saturating_add(zeros).saturating_add(1);
                if digits > MAX_DIGITS {
                    return Err(Unreadable::new(TOO_MANY));
                }
                mantissa = mantissa * 10u128.pow(zeros + 1) + u128::from(byte - b'0');
                zeros = 0;
            }
            // e or E: the exponent follows.
            _ => {
                fraction = fraction.saturating_sub(exponent(&text[i..]));
                break;
            }
        }
    }
    if mantissa == 0 {
        return Ok(0);
    }
    // value = mantissa * 10^(zeros - fraction), and mantissa does not end with 0.
    let shift = i64::from(zeros)
        .saturating_sub(fraction)
        .saturating_add(i64::from(scale));
    if shift < 0 {
        return Err(Unreadable::new("a decimal has more fraction digits than its scale"));
    }
    if i64::from(digits).saturating_add(shift) > i64::from(precision.min(MAX_DIGITS)) {
        return Err(Unreadable::new(TOO_MANY));
    }
    // At most 38 digits in total, so it fits.
    let value = (mantissa * 10u128.pow(shift as u32)) as i128;
    Ok(if negative { -value } else { value })
}

/// The exponent of a number, from the text after its `e`. Absurd exponents are clamped.
fn exponent(text: &[u8]) -> i64 {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let value = digits.iter().fold(0i64, |sum, digit| {
        sum.saturating_mul(10).saturating_add(i64::from(digit - b'0'))
    });
    // Far from the limits of i64, so that adding a length to it can't overflow.
    let value = value.min(i64::MAX / 4);
    if negative { -value } else { value }
}

/// The shortest two's complement form, as 16 bytes and the index of the first one that counts.
#[inline]
pub(super) fn shortest(value: i128) -> ([u8; 16], usize) {
    let sign_bits = if value < 0 {
        value.leading_ones()
    } else {
        value.leading_zeros()
    };
    // One sign bit must stay. If all 128 bits equal the sign, the result is the one byte 00 or FF.
    (value.to_be_bytes(), ((sign_bits - 1) / 8) as usize)
}

/// Appends the value as plain text, without an exponent and without trailing zeros after the point.
pub(super) fn write(value: i128, scale: u32, out: &mut Vec<u8>) {
    let mut buffer = [0u8; 40];
    let mut at = buffer.len();
    if let Ok(mut rest) = u64::try_from(value.unsigned_abs()) {
        while rest > 0 {
            at -= 1;
            buffer[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    } else {
        let mut rest = value.unsigned_abs();
        while rest > 0 {
            at -= 1;
            buffer[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
    let digits = &buffer[at..];
    if value < 0 {
        out.push(b'-');
    }
    let scale = scale as usize;
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(scale));
    out.extend_from_slice(if whole.is_empty() { b"0".as_slice() } else { whole });
    let kept = fraction
        .iter()
        .rposition(|digit| *digit != b'0')
        .map_or(0, |last| last + 1);
    if kept > 0 {
        out.push(b'.');
        out.resize(out.len() + scale - fraction.len(), b'0');
        out.extend_from_slice(&fraction[..kept]);
    }
}

/// Fails if decimals with this many digits can't be converted to or from text.
pub(super) fn supported(precision: u32) -> std::result::Result<(), Incompatible> {
    if precision > MAX_DIGITS {
        let why = format!("decimals of {precision} digits can't be JSON: {MAX_DIGITS} is the most");
        return Err(Incompatible::new("", why));
    }
    Ok(())
}
