//! Reads the pipeline's JSON by hand. Numbers are read from their text.

use super::fields::{Decimal, Fields, MOST};
use crate::auditor::Millis;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// An object's fields, each with its value as text.
pub(super) struct Json(BTreeMap<String, Box<RawValue>>);

impl Json {
    pub fn new(text: &[u8]) -> Option<Json> {
        serde_json::from_slice(text).ok().map(Json)
    }

    /// The text of a value, if it exists and is not null.
    fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.get()).filter(|text| *text != "null")
    }

    pub fn object(&mut self, name: &str) -> Option<Option<Json>> {
        match self.raw(name) {
            None => Some(None),
            Some(text) => Json::new(text.as_bytes()).map(Some),
        }
    }
}

impl Fields for Json {
    fn text(&mut self, name: &str) -> Option<String> {
        serde_json::from_str(self.raw(name)?).ok()
    }

    fn optional(&mut self, name: &str) -> Option<Option<String>> {
        match self.raw(name) {
            None => Some(None),
            Some(_) => self.text(name).map(Some),
        }
    }

    fn time(&mut self, name: &str) -> Option<Millis> {
        iso(&self.text(name)?)
    }

    fn decimal(&mut self, name: &str) -> Option<Decimal> {
        let text = self.raw(name)?;
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.trim_start_matches('+').parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let mut units: i128 = format!("{whole}{fraction}").parse().ok()?;
        // How many digits are missing for units of 1/10,000, or how many are too many.
        let missing = 4 + exponent - fraction.len() as i32;
        for _ in 0..missing.abs() {
            match missing > 0 {
                true if units.abs() <= MOST => units *= 10,
                false if units % 10 == 0 => units /= 10,
                _ => return None,
            }
        }
        (units.abs() <= MOST).then_some(units as Decimal)
    }

    fn boolean(&mut self, name: &str) -> Option<bool> {
        self.raw(name)?.parse().ok()
    }
}

/// Reads `2020-12-16T00:03:00.000Z`, with any offset, and with or without a fraction.
fn iso(text: &str) -> Option<Millis> {
    let number = |text: Option<&str>| {
        text.filter(|t| t.bytes().all(|b| b.is_ascii_digit()))?
            .parse::<i64>()
            .ok()
    };
    let (date, time) = text.split_once(['T', 't'])?;
    let mut date = date.splitn(3, '-').map(Some);
    let (year, month, day) = (number(date.next()?)?, number(date.next()?)?, number(date.next()?)?);
    let zone = time.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = time.split_at(zone);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut time = time.split(':');
    let (hour, minute) = (number(time.next())?, number(time.next())?);
    let second = time.next().map_or(Some(0), |text| number(Some(text)))?;
    number(Some(fraction))?;
    let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let offset = match zone.as_bytes()[0] {
        b'Z' | b'z' if zone.len() == 1 => 0,
        sign @ (b'+' | b'-') => {
            let digits: String = zone[1..].chars().filter(|c| *c != ':').collect();
            let (hours, minutes) = (number(digits.get(..2))?, number(digits.get(2..4).or(Some("0")))?);
            (hours * 60 + minutes) * if sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, 28 + i64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *lengths.get(usize::try_from(month - 1).ok()?)?;
    if !(1..=length).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let leaps = |year: i64| year / 4 - year / 100 + year / 400;
    let years = (year - 1970) * 365 + leaps(year - 1) - leaps(1969);
    let days = years + lengths[..month as usize - 1].iter().sum::<i64>() + day - 1;
    Some((((days * 24 + hour) * 60 + minute - offset) * 60 + second) * 1000 + millis)
}
