//! Printing for people and programs.

use std::io::Write;

/// Prints text. It is not an error if the reader is gone, as in `pelton config | head`.
pub fn say(to: &mut dyn Write, text: &str) {
    let _ = to.write_all(text.as_bytes());
    let _ = to.flush();
}
