//! The content of the pipeline's topics, as tests see it.

use super::time::{Millis, START};
use crate::auditor::{Enriched, Format, read_enriched};
use pelton::log::embedded::Owned;
use pelton::record::Partition;
use std::fmt;

/// An output record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The user.
    pub key: String,
    /// Partition of the output topic.
    pub partition: Partition,
    /// In milliseconds since [`START`].
    pub timestamp: Millis,
    /// The decoded value.
    pub value: Enriched,
    /// The record in the topic.
    pub record: Owned,
}

impl Output {
    pub(super) fn new(format: Format, partition: Partition, record: Owned) -> Output {
        let value = record.value.as_deref().expect("an output has a value");
        let read = read_enriched(format, value);
        Output {
            key: text(record.key.as_deref().expect("an output has a key")),
            partition,
            timestamp: record.timestamp - START,
            value: read.unwrap_or_else(|| panic!("no enriched event: {}", text(value))),
            record,
        }
    }
}

/// `m1 first user 2000/CA session DE`: the money's id, and whatever else it has.
impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Enriched {
            money,
            user,
            session_country,
            first,
        } = &self.value;
        write!(f, "{}", money.id)?;
        if *first {
            write!(f, " first")?;
        }
        if let Some(user) = user {
            let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
            write!(f, " user {}/{}", or(&user.birth_year), or(&user.country))?;
        }
        if let Some(country) = session_country {
            write!(f, " session {country}")?;
        }
        Ok(())
    }
}

/// An entry in a store that has not expired.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// The user.
    pub key: String,
    /// The store.
    pub store: String,
    /// The bytes of the entry's name.
    pub entry: Vec<u8>,
    /// In milliseconds since [`START`]. The largest value means never.
    pub expires: Millis,
    /// The datum.
    pub value: Vec<u8>,
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
