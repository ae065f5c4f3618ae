//! Records for the rules, and records that the rules have sent.

/// A record for the rules.
#[derive(Clone, Debug)]
pub struct Input {
    /// Name of the stream, which is a variant of the rules' `Event`. Its rank is the index of the variant.
    pub stream: String,
    /// The key.
    pub key: Vec<u8>,
    /// Effective time.
    pub time: i64,
    /// Whether it is late.
    pub late: bool,
    /// The value as a datum, or `None` for a tombstone.
    pub value: Option<Vec<u8>>,
    /// Headers, as (name, value).
    pub headers: Vec<(String, Vec<u8>)>,
}

/// A record that the rules have sent.
#[derive(Debug, PartialEq)]
pub struct Sent<V> {
    /// The key.
    pub key: Vec<u8>,
    /// The timestamp.
    pub time: i64,
    /// The value, or `None` for a tombstone.
    pub value: Option<V>,
    /// Headers, as (name, value).
    pub headers: Vec<(String, Vec<u8>)>,
}
