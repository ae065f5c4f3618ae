//! Failures of external systems, named by what the caller must do about them.

use thiserror::Error;

/// A failure of a log, a store or a registry. The text says what is wrong and what to do about it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Failure {
    /// The same call may succeed later: the broker is away, a time-out, a leader election.
    #[error("{0}")]
    Retry(String),
    /// Another member has taken over. Drop all work and rejoin.
    #[error("fenced: {0}")]
    Fenced(String),
    /// The local state does not match the log. Wipe it and restore.
    #[error("corrupted: {0}")]
    Corrupted(String),
    /// Only a person can fix it: wrong settings, missing rights, data that retention has removed.
    #[error("{0}")]
    Fatal(String),
}

/// The result of a call to a port.
pub type Result<T> = std::result::Result<T, Failure>;
