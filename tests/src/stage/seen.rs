//! What a test sees of the topics that the pipeline writes.

use super::{Millis, START};
use crate::auditor::{Enriched, Format, read_enriched};
use pelton::log::embedded::Owned;
use std::fmt;

/// An output record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The user.
    pub key: String,
    /// Partition of the output topic.
    pub partition: i32,
    /// Since [`START`].
    pub timestamp: Millis,
    /// What it says.
    pub value: Enriched,
    /// As it stands in the topic.
    pub record: Owned,
}

impl Output {
    pub(super) fn new(format: Format, partition: i32, record: Owned) -> Output {
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

/// `m1 first user 2000/CA session DE`: the money's id, and of the rest what there is.
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

/// Live state of a user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// The user.
    pub key: String,
    /// The store.
    pub store: String,
    /// The entry, as its bytes.
    pub entry: Vec<u8>,
    /// Since [`START`]; the largest: never.
    pub expires: Millis,
    /// The datum.
    pub value: Vec<u8>,
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
