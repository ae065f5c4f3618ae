//! Something pending that rules don't know.

use thiserror::Error;

/// Something is pending, and these rules don't declare it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Unknown {
    /// Timers of this kind.
    #[error("timers of kind '{0}' are pending, and these rules don't declare it")]
    Timers(String),
    /// This lookup.
    #[error("lookups '{0}' are pending, and these rules don't declare it")]
    Lookups(String),
}
