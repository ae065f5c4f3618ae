//! The demo's output: a progress line, an enriched event now and then, and a summary that must add up.

use crate::traffic::{Millis, iso};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fmt;
use std::time::Duration;

/// Where all records that were read have gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Records read from the inputs.
    pub read: u64,
    /// Enriched events written.
    pub enriched: u64,
    /// Money events that were dropped as duplicates.
    pub duplicates: u64,
    /// Records that the rules ignore.
    pub ignored: u64,
    /// Money events that wait for their session.
    pub pending: u64,
    /// Money events that wait for the session service's answer.
    pub asked: u64,
    /// Records that were sent to the dead letters.
    pub dead_letters: u64,
    /// Sessions that were opened.
    pub sessions: u64,
    /// Changes of users that were applied.
    pub user_changes: u64,
    /// Records that wait for the watermark.
    pub waiting: u64,
}

impl Totals {
    fn parts(&self) -> [(&'static str, u64); 9] {
        [
            ("enriched", self.enriched),
            ("duplicates", self.duplicates),
            ("ignored", self.ignored),
            ("pending", self.pending),
            ("asked", self.asked),
            ("dead letters", self.dead_letters),
            ("sessions", self.sessions),
            ("user changes", self.user_changes),
            ("waiting", self.waiting),
        ]
    }

    /// Whether every record that was read is counted exactly once.
    pub fn adds_up(&self) -> bool {
        self.read == self.parts().iter().map(|(_, count)| count).sum::<u64>()
    }
}

/// A table. Its last line says whether it adds up.
impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in self.parts() {
            writeln!(f, "  {name:<14}{:>14}", grouped(count))?;
        }
        writeln!(f, "  {:-<28}", "")?;
        let sum: u64 = self.parts().iter().map(|(_, count)| count).sum();
        write!(f, "  {:<14}{:>14}  ", "read", grouped(self.read))?;
        match self.adds_up() {
            true => write!(f, "adds up"),
            false => write!(f, "DOES NOT ADD UP: the parts are {}", grouped(sum)),
        }
    }
}

/// 1234567 is `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The state of the pipeline at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Records read so far.
    pub read: u64,
    /// Records read per second: in the last second, or on average since the last line.
    pub per_second: f64,
    /// The lowest watermark of any task, or `None` before the first record.
    pub watermark: Option<Millis>,
    /// How far the watermark is behind the newest event time, in milliseconds.
    pub lag: Millis,
    /// The version of the rules, possibly shortened.
    pub rules: String,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (read, rate) = (grouped(self.read), grouped(self.per_second as u64));
        let mut watermark = Vec::new();
        match self.watermark {
            Some(time) => iso(&mut watermark, time),
            None => watermark.extend_from_slice(b"-"),
        }
        let watermark = String::from_utf8_lossy(&watermark);
        let rules = self.rules.get(..8).unwrap_or(&self.rules);
        let lag = self.lag as f64 / 1e3;
        write!(
            f,
            "{read} events  {rate}/s  watermark {watermark}  lag {lag:.1} s  rules {rules}"
        )
    }
}

/// The screen: a progress line at the bottom, and permanent lines above it.
pub struct Screen(ProgressBar);

impl Screen {
    /// A screen on standard error. Without a terminal, there are only permanent lines.
    pub fn new() -> Screen {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        // If our template is not valid, the default one is good enough.
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Screen(bar)
    }

    /// Updates the progress line.
    pub fn progress(&self, progress: &Progress) {
        self.0.set_message(progress.to_string());
    }

    /// Prints a permanent line.
    pub fn line(&self, text: &str) {
        match self.0.is_hidden() {
            true => println!("{text}"),
            false => self.0.println(text),
        }
    }

    /// Removes the progress line.
    pub fn end(self) {
        self.0.finish_and_clear();
    }
}

impl Default for Screen {
    fn default() -> Screen {
        Screen::new()
    }
}

/// An enriched event in words, from its Avro datum after the five bytes of schema id. `None` if it is something else.
pub fn readable(value: &[u8]) -> Option<String> {
    let mut rest = Datum(value.strip_prefix(&[0])?.get(4..)?);
    let (_id, user) = (rest.text()?, rest.text()?);
    let session = rest.optional(Datum::text)?;
    let mut time = Vec::new();
    iso(&mut time, rest.long()?);
    let (amount, currency, balance) = (rest.decimal()?, rest.text()?, rest.decimal()?);
    let (kind, old) = (rest.text()?, rest.byte()? == 1);
    let user_info = rest.optional(|rest| Some((rest.optional(Datum::text)?, rest.optional(Datum::text)?)))?;
    let country = rest.optional(Datum::text)?;
    let first = rest.byte()? == 1;
    if !rest.0.is_empty() {
        return None;
    }
    let mut line = format!(
        "{} user {}: {kind} of {amount} {currency}",
        String::from_utf8(time).ok()?,
        user.get(..8)?
    );
    line += &format!(", now {balance}");
    match (session, country) {
        (_, Some(country)) => line += &format!(", session from {country}"),
        (Some(_), None) => line += ", session unknown",
        (None, None) => line += ", no session",
    }
    if let Some((year, country)) = user_info {
        line += &year.map(|year| format!(", born {year}")).unwrap_or_default();
        line += &country
            .map(|country| format!(", lives in {country}"))
            .unwrap_or_default();
    }
    line += if first { ", the first of its kind" } else { "" };
    line += if old { ", old" } else { "" };
    Some(line)
}

/// The rest of a datum.
struct Datum<'a>(&'a [u8]);

impl<'a> Datum<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn long(&mut self) -> Option<i64> {
        let mut raw = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            raw |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some((raw >> 1) as i64 ^ -((raw & 1) as i64));
            }
        }
        None
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.long()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.long()? {
            0 => Some(None),
            1 => read(self).map(Some),
            _ => None,
        }
    }

    /// A decimal in two's complement, with four fraction digits and at most 18 in total. Two fraction digits are shown.
    fn decimal(&mut self) -> Option<String> {
        let bytes = self.bytes()?;
        let negative = bytes.first()? & 0x80 != 0;
        let start = if negative { -1_i128 } else { 0 };
        let unscaled = bytes.iter().fold(start, |value, byte| value << 8 | i128::from(*byte));
        Some(format!("{:.2}", unscaled as f64 / 1e4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_adds_up_or_says_by_how_much_not() {
        let mut totals = Totals {
            read: 1_000_045,
            enriched: 1_000_000,
            duplicates: 1,
            ignored: 2,
            pending: 3,
            asked: 4,
            dead_letters: 5,
            sessions: 6,
            user_changes: 7,
            waiting: 17,
        };
        assert!(totals.adds_up());
        let text = totals.to_string();
        assert!(
            text.contains("enriched           1,000,000") && text.ends_with("1,000,045  adds up"),
            "{text}"
        );
        totals.waiting -= 1;
        assert!(!totals.adds_up());
        assert!(totals.to_string().ends_with("DOES NOT ADD UP: the parts are 1,000,044"));
    }

    #[test]
    fn the_line_of_progress_is_readable() {
        let progress = Progress {
            read: 12_345,
            per_second: 678.9,
            watermark: Some(1_608_076_980_000),
            lag: 20_100,
            rules: "0123456789abcdef".to_owned(),
        };
        let line = "12,345 events  678/s  watermark 2020-12-16T00:03:00.000Z  lag 20.1 s  rules 01234567";
        assert_eq!(progress.to_string(), line);
    }

    #[test]
    fn an_enriched_event_is_readable() {
        let mut value = vec![0, 0, 0, 0, 4];
        let text = |value: &mut Vec<u8>, text: &str| {
            value.push((text.len() * 2) as u8);
            value.extend_from_slice(text.as_bytes());
        };
        text(&mut value, "money");
        text(&mut value, "0123456789");
        value.push(2);
        text(&mut value, "session");
        value.push(0); // 1970
        value.extend([4, 0xff, 0x9c]); // -100 / 10,000
        text(&mut value, "EUR");
        value.extend([4, 0x30, 0x39]); // 12,345 / 10,000
        text(&mut value, "bet");
        value.push(0);
        value.extend([2, 2]);
        text(&mut value, "1980");
        value.push(0);
        value.push(2);
        text(&mut value, "CA");
        value.push(1);
        let line = "1970-01-01T00:00:00.000Z user 01234567: bet of -0.01 EUR, now 1.23, session from CA, born 1980, \
                    the first of its kind";
        assert_eq!(readable(&value).as_deref(), Some(line));
        for end in 0..value.len() {
            assert_eq!(readable(&value[..end]), None);
        }
    }
}
