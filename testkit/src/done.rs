//! Results that a test needs.

use std::fmt::Display;

/// The value, or the end of the test with the text that says why there is none.
#[track_caller]
pub fn done<T>(result: Result<T, impl Display>) -> T {
    result.unwrap_or_else(|why| panic!("{why}"))
}
