//! Encodes events in Avro, by the schemas of the contract, or in JSON. It is written independently of the host and the
//! SDK, so that it can be used to test them.

use super::parameters::{Format, Millis};
use super::random::mix;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Kinds of ids.
pub const USER: u64 = 1;
pub const SESSION: u64 = 2;
pub const MONEY: u64 = 3;
pub const OTHER: u64 = 4;

/// A UUID as text, made from a kind and a number.
pub fn uuid(kind: u64, number: u64) -> [u8; 36] {
    let high = mix(number ^ kind << 56) & !0xf000 | 0x4000;
    let low = mix(high ^ number.rotate_left(32)) & !(0b11 << 62) | 1 << 63;
    let mut text = [b'-'; 36];
    let mut at = 0;
    for (half, dashes) in [(high, [8, 13]), (low, [18, 23])] {
        for nibble in (0..16).rev() {
            if at == dashes[0] || at == dashes[1] {
                at += 1;
            }
            text[at] = HEX[(half >> (4 * nibble)) as usize & 15];
            at += 1;
        }
    }
    text
}

/// Writes one record of a union into a buffer, field by field in the schema's order.
pub struct Writer<'a> {
    format: Format,
    to: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    /// Begins a record, given the schema's id, the record's index in the union, and the record's name.
    pub fn begin(to: &'a mut Vec<u8>, format: Format, schema: u32, branch: i64, name: &str) -> Writer<'a> {
        to.clear();
        match format {
            Format::Avro => {
                to.push(0);
                to.extend_from_slice(&schema.to_be_bytes());
                long(to, branch);
            }
            Format::Json => {
                to.extend_from_slice(b"{\"type\":\"");
                to.extend_from_slice(name.as_bytes());
                to.push(b'"');
            }
        }
        Writer { format, to }
    }

    /// Writes a text without characters that JSON would escape.
    pub fn text(&mut self, name: &str, value: &[u8]) -> &mut Self {
        match self.format {
            Format::Avro => {
                long(self.to, value.len() as i64);
                self.to.extend_from_slice(value);
            }
            Format::Json => {
                self.name(name);
                self.to.push(b'"');
                self.to.extend_from_slice(value);
                self.to.push(b'"');
            }
        }
        self
    }

    /// Writes a text or null.
    pub fn optional(&mut self, name: &str, value: Option<&[u8]>) -> &mut Self {
        if self.format == Format::Avro {
            long(self.to, i64::from(value.is_some()));
        }
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// Writes a time.
    pub fn time(&mut self, name: &str, value: Millis) -> &mut Self {
        match self.format {
            Format::Avro => long(self.to, value),
            Format::Json => {
                self.name(name);
                self.to.push(b'"');
                iso(self.to, value);
                self.to.push(b'"');
            }
        }
        self
    }

    /// Writes a decimal with four fraction digits.
    pub fn decimal(&mut self, name: &str, unscaled: i64) -> &mut Self {
        match self.format {
            Format::Avro => {
                let bytes = unscaled.to_be_bytes();
                // Leading bytes that only repeat the sign are left out.
                let sign = if unscaled < 0 { 0xff } else { 0 };
                let mut from = 0;
                while from < 7 && bytes[from] == sign && (bytes[from + 1] ^ sign) & 0x80 == 0 {
                    from += 1;
                }
                long(self.to, (8 - from) as i64);
                self.to.extend_from_slice(&bytes[from..]);
            }
            Format::Json => {
                self.name(name);
                if unscaled < 0 {
                    self.to.push(b'-');
                }
                digits(self.to, unscaled.unsigned_abs() / 10_000, 1);
                self.to.push(b'.');
                digits(self.to, unscaled.unsigned_abs() % 10_000, 4);
            }
        }
        self
    }

    /// Writes a boolean.
    pub fn boolean(&mut self, name: &str, value: bool) -> &mut Self {
        match self.format {
            Format::Avro => self.to.push(u8::from(value)),
            Format::Json => {
                self.name(name);
                self.to.extend_from_slice(if value { b"true" } else { b"false" });
            }
        }
        self
    }

    /// Ends the record.
    pub fn end(&mut self) {
        if self.format == Format::Json {
            self.to.push(b'}');
        }
    }

    fn name(&mut self, name: &str) {
        self.to.extend_from_slice(b",\"");
        self.to.extend_from_slice(name.as_bytes());
        self.to.extend_from_slice(b"\":");
    }
}

/// Appends a long in Avro's format: zigzag, seven bits in each byte.
fn long(to: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        to.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    to.push(rest as u8);
}

/// Appends a number with at least `least` digits.
fn digits(to: &mut Vec<u8>, value: u64, least: usize) {
    let mut text = [b'0'; 20];
    let (mut at, mut rest) = (20, value);
    while rest > 0 || 20 - at < least {
        at -= 1;
        text[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    to.extend_from_slice(&text[at..]);
}

/// Appends a time as ISO-8601 in UTC, with milliseconds.
pub fn iso(to: &mut Vec<u8>, time: Millis) {
    let (days, millis) = (time.div_euclid(86_400_000), time.rem_euclid(86_400_000) as u64);
    // Howard Hinnant's civil_from_days: years begin in March, and an era has 400 of them.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    for (value, least, behind) in [
        (year as u64, 4, b'-'),
        (month as u64, 2, b'-'),
        (day as u64, 2, b'T'),
        (millis / 3_600_000, 2, b':'),
        (millis / 60_000 % 60, 2, b':'),
        (millis / 1_000 % 60, 2, b'.'),
        (millis % 1_000, 3, b'Z'),
    ] {
        digits(to, value, least);
        to.push(behind);
    }
}
