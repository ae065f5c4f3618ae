//! Failures of the outside world, named by what the caller must do about them.

use thiserror::Error;

/// What went wrong with a log, a store or a registry. The text says what, and what to do about it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Failure {
    /// The same call may go through later: broker away, time-out, leader election.
    #[error("{0}")]
    Retry(String),
    /// Somebody else has taken over: drop everything and join again.
    #[error("fenced: {0}")]
    Fenced(String),
    /// What is stored does not fit what the log says: wipe the local state and restore.
    #[error("corrupted: {0}")]
    Corrupted(String),
    /// Only a human can help: wrong settings, missing rights, data that retention has removed.
    #[error("{0}")]
    Fatal(String),
}

/// What ports return.
pub type Result<T> = std::result::Result<T, Failure>;
