//! Reads the pipeline's Avro by hand.

use super::fields::{Decimal, Fields, MOST};
use crate::auditor::Millis;

/// The rest of a datum.
pub(super) struct Avro<'a>(pub &'a [u8]);

impl<'a> Avro<'a> {
    /// A datum after its header. The header must name the schema of the stream.
    pub fn new(value: &'a [u8], rank: usize) -> Option<Avro<'a>> {
        let schema = [2, 3, 1].get(rank)?;
        value.strip_prefix(&[0, 0, 0, 0, *schema]).map(Avro)
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    pub fn long(&mut self) -> Option<i64> {
        let mut value = 0_u128;
        for at in 0..10 {
            let byte = self.bytes(1)?[0];
            value |= u128::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                let value = u64::try_from(value).ok()?;
                return Some((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        None
    }

    pub fn nullable<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.long()? {
            0 => Some(None),
            1 => read(self).map(Some),
            _ => None,
        }
    }
}

impl Fields for Avro<'_> {
    fn text(&mut self, _: &str) -> Option<String> {
        let length = usize::try_from(self.long()?).ok()?;
        String::from_utf8(self.bytes(length)?.to_vec()).ok()
    }

    fn optional(&mut self, name: &str) -> Option<Option<String>> {
        self.nullable(|fields| fields.text(name))
    }

    fn time(&mut self, _: &str) -> Option<Millis> {
        self.long()
    }

    fn decimal(&mut self, _: &str) -> Option<Decimal> {
        let length = usize::try_from(self.long()?).ok()?;
        let bytes = self.bytes(length)?;
        let negative = bytes.first()? & 0x80 != 0;
        let mut value = if negative { -1_i128 } else { 0 };
        for byte in bytes {
            value = value.checked_mul(256)? | i128::from(*byte);
        }
        (value.abs() <= MOST).then_some(value as Decimal)
    }

    fn boolean(&mut self, _: &str) -> Option<bool> {
        match self.bytes(1)? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }
}
