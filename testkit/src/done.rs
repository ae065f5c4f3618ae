//! Results that a test needs.

/// The value, or the end of the test with the text that says why there is none.
#[track_caller]
pub fn done<T>(result: Result<T, String>) -> T {
    result.unwrap_or_else(|why| panic!("{why}"))
}
