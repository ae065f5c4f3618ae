//! The fields of a record, in either format.

use crate::auditor::Millis;

/// A decimal, in units of 1/10,000.
pub type Decimal = i64;

/// The largest decimal: 18 digits.
pub(super) const MOST: i128 = 999_999_999_999_999_999;

/// The fields of a record. They must be asked for in the schema's order.
pub(super) trait Fields {
    fn text(&mut self, name: &str) -> Option<String>;
    fn optional(&mut self, name: &str) -> Option<Option<String>>;
    fn time(&mut self, name: &str) -> Option<Millis>;
    fn decimal(&mut self, name: &str) -> Option<Decimal>;
    fn boolean(&mut self, name: &str) -> Option<bool>;
}
