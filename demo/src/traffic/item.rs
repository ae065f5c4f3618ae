//! A record of the traffic.

use super::parameters::Millis;
use pelton::record::Partition;

/// An input of the money pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// `user-session-events`
    Session,
    /// `user-events`
    User,
    /// `wallet-events`
    Wallet,
}

impl Stream {
    /// All streams, by rank.
    pub const ALL: [Stream; 3] = [Stream::Session, Stream::User, Stream::Wallet];

    /// The topic of the stream.
    pub fn topic(self) -> &'static str {
        match self {
            Stream::Session => "user-session-events",
            Stream::User => "user-events",
            Stream::Wallet => "wallet-events",
        }
    }
}

/// A record. Its buffers are reused for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// The stream that it belongs to.
    pub stream: Stream,
    /// By murmur2 of the key.
    pub partition: Partition,
    /// The user's id.
    pub key: &'a [u8],
    /// Time of arrival.
    pub timestamp: Millis,
    /// The encoded event.
    pub value: &'a [u8],
}
