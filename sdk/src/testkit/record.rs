//! Records that are handed to the rules, and records that the rules have sent.

/// A record to be handed to the rules.
#[derive(Clone, Debug)]
pub struct Input {
    /// Name of the stream: a variant of the rules' `Event`. Its rank is the place of the variant.
    pub stream: String,
    /// The key.
    pub key: Vec<u8>,
    /// Effective time.
    pub time: i64,
    /// It came behind the watermark.
    pub late: bool,
    /// The datum, or none for a tombstone.
    pub value: Option<Vec<u8>>,
    /// Names and values.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// A record that the rules have sent.
#[derive(Debug, PartialEq)]
pub struct Sent<V> {
    /// The key.
    pub key: Vec<u8>,
    /// The timestamp.
    pub time: i64,
    /// The value, or none for a tombstone.
    pub value: Option<V>,
    /// Names and values.
    pub headers: Vec<(String, Vec<u8>)>,
}
