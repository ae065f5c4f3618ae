//! Durations and sizes as people write them: `50ms`, `1m`, `1d`, `64MiB`.
//!
//! Rule: a number always has a unit (0 needs none), and nothing is rounded.

use std::time::Duration;

/// Names of units, and their milliseconds.
const DURATIONS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// Names of units, and their bytes.
const SIZES: [(&str, u64); 7] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// Parses a duration of whole milliseconds: `50ms`, `1.5s`, `1h30m`. Returns `None` for other text, and for more than
/// 100 million days.
pub fn parse_duration(text: &str) -> Option<Duration> {
    /// A time plus this much still fits into any clock and any signed 64-bit number.
    const LONGEST: u64 = 100_000_000 * 86_400_000;
    sum(text, &DURATIONS)
        .filter(|millis| *millis <= LONGEST)
        .map(Duration::from_millis)
}

/// Parses a size in bytes: `512KiB`, `64MiB`, `1GB`.
pub fn parse_size(text: &str) -> Option<u64> {
    sum(text, &SIZES)
}

/// Adds up `NUMBER UNIT` parts.
fn sum(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_')?;
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start();
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(scaled(&number.replace('_', ""), *scale)?)?;
        rest = after.trim_start();
    }
    Some(total)
}

/// A decimal number times a scale, if the product is a whole number.
fn scaled(number: &str, scale: u64) -> Option<u64> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if part.len() > 9 || (number.contains('.') && part.is_empty()) {
        return None;
    }
    let one = 10u128.pow(part.len() as u32);
    let part: u128 = if part.is_empty() { 0 } else { part.parse().ok()? };
    let product = (u128::from(whole.parse::<u64>().ok()?) * one + part) * u128::from(scale);
    if !product.is_multiple_of(one) {
        None
    } else {
        u64::try_from(product / one).ok()
    }
}

/// The shortest way to write a duration of whole milliseconds.
pub(crate) fn show_duration(duration: Duration) -> String {
    let millis = duration.as_millis() as u64;
    let fits = DURATIONS
        .iter()
        .rev()
        .find(|(_, scale)| millis != 0 && millis.is_multiple_of(*scale));
    fits.map_or_else(
        || format!("{millis}ms"),
        |(unit, scale)| format!("{}{unit}", millis / scale),
    )
}

/// The shortest way to write a number of bytes.
pub(crate) fn show_size(bytes: u64) -> String {
    let fits = SIZES[..4]
        .iter()
        .rev()
        .find(|(_, scale)| bytes != 0 && bytes.is_multiple_of(*scale));
    fits.map_or_else(
        || format!("{bytes}B"),
        |(unit, scale)| format!("{}{unit}", bytes / scale),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_people_write_them() {
        for (text, millis) in [
            ("50ms", 50),
            ("1m", 60_000),
            ("1d", 86_400_000),
            ("1h30m", 5_400_000),
            ("1.5s", 1_500),
            ("0", 0),
            (" 20 s ", 20_000),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "20",
            "s",
            "-1s",
            "1.0001ms",
            "1w",
            "1 s 2",
            "1.s",
            "99999999999999999999d",
            "1e3s",
            "..s",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        for (text, bytes) in [
            ("64MiB", 64 << 20),
            ("1.5KiB", 1536),
            ("2MB", 2_000_000),
            ("0", 0),
            ("7B", 7),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["64", "64mb", "0.3B", "MiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn shown_is_read_back(millis in 0u64..100_000_000_000, bytes in any::<u64>()) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&show_duration(duration)), Some(duration));
            prop_assert_eq!(parse_size(&show_size(bytes)), Some(bytes));
        }

        #[test]
        fn no_text_panics(text in "[0-9._]{0,25}[a-zA-Z ]{0,4}[0-9.]{0,4}[smhdKMiB]{0,3}|\\PC*") {
            let _ = (parse_duration(&text), parse_size(&text));
        }
    }
}
