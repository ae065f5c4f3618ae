//! Times of scenarios: durations since the start, such as `0s`, `1m30s`, `-5s`.

use crate::config::parse_duration;
use crate::record::Millis;

/// 2026-01-01T00:00:00Z, where scenarios begin by default.
pub(super) const START: Millis = 1_767_225_600_000;

/// Names of units and their milliseconds, largest first.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Parses a time to milliseconds since the start.
pub fn parse_time(text: &str) -> Option<Millis> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    // `parse_duration` has checked that it fits.
    parse_duration(text).map(|duration| sign * duration.as_millis() as Millis)
}

/// The shortest way to write a time since the start.
pub fn show_time(millis: Millis) -> String {
    let mut text = if millis < 0 { "-".to_owned() } else { String::new() };
    let mut rest = millis.unsigned_abs();
    if rest == 0 {
        return "0s".to_owned();
    }
    for (unit, scale) in UNITS {
        if rest >= scale {
            text += &format!("{}{unit}", rest / scale);
            rest %= scale;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_people_write_them() {
        for (text, millis) in [("0s", 0), ("1m30s", 90_000), ("-5s", -5_000), ("1d1ms", 86_400_001)] {
            assert_eq!(parse_time(text), Some(millis), "{text}");
            assert_eq!(show_time(millis), text);
        }
        assert_eq!(parse_time("90s"), Some(90_000));
        assert_eq!(parse_time("soon"), None);
    }

    proptest! {
        #[test]
        fn shown_is_read_back(millis in -1_000_000_000_000i64..1_000_000_000_000) {
            prop_assert_eq!(parse_time(&show_time(millis)), Some(millis));
        }
    }
}
