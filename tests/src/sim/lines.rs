//! Lists of lines, which is how what is and what must be are compared.

use anyhow::{Result, anyhow};
/// Checks that two sorted lists of lines are equal. The error names the first lines that differ.
pub fn same(what: &str, is: &[String], must: &[String]) -> Result<()> {
    if is == must {
        return Ok(());
    }
    let extra: Vec<_> = is.iter().filter(|line| !must.contains(line)).take(5).collect();
    let missing: Vec<_> = must.iter().filter(|line| !is.contains(line)).take(5).collect();
    let first = is
        .iter()
        .zip(must)
        .position(|(is, must)| is != must)
        .unwrap_or(is.len().min(must.len()));
    Err(anyhow!(
        "{what} is not what it must be ({} lines, {} expected; the first that differs is number {first}).\nToo much: {extra:#?}\n\
         Missing: {missing:#?}",
        is.len(),
        must.len()
    ))
}

/// Bytes as text, for people.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
