//! Counts the fields of structs.
//!
//! Rule: it relies on rustfmt's output. Each field begins on a line of its own, one indent further in than its struct.

use super::source::code;

/// The structs of a file with named fields: their names, and how many fields they have.
pub fn structs(text: &str) -> impl Iterator<Item = (String, usize)> {
    let lines: Vec<String> = code(text).map(|(_, code)| code.trim_end().to_owned()).collect();
    let of = move |at: usize| {
        let (indent, name) = begins(&lines[at])?;
        let body = lines[at + 1..]
            .iter()
            .take_while(|line| line.trim_start() != "}" || depth(line) > indent);
        Some((name.to_owned(), body.filter(|line| is_field(line, indent + 4)).count()))
    };
    (0..text.lines().count()).filter_map(of)
}

/// The indent and the name of the struct that begins in this line.
fn begins(line: &str) -> Option<(usize, &str)> {
    let rest = line.strip_suffix('{')?;
    let (before, after) = rest.split_once("struct ")?;
    let visible = before.trim_start();
    let end = after.find(|c: char| !(c.is_alphanumeric() || c == '_'))?;
    (visible.is_empty() || visible.starts_with("pub")).then_some((depth(line), &after[..end]))
}

fn depth(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn is_field(line: &str, indent: usize) -> bool {
    let name = line
        .trim_start()
        .trim_start_matches("pub(super) ")
        .trim_start_matches("pub(crate) ");
    let name = name.trim_start_matches("pub ");
    let end = name.find(|c: char| !(c.is_alphanumeric() || c == '_'));
    depth(line) == indent && end.is_some_and(|end| end > 0 && name[end..].starts_with(": "))
}
