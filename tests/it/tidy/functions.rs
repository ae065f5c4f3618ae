//! Measures the length of functions, and how many arguments they take.
//!
//! Rule: it relies on rustfmt's output. A function ends with the first brace at the indent where the function begins.

use super::source::code;

/// A function of a file.
pub struct Function {
    pub name: String,
    /// The lines from its signature to its last brace.
    pub lines: usize,
    /// The number of arguments, including `self`.
    pub arguments: usize,
}

/// The functions of a file that have a body.
pub fn functions(text: &str) -> Vec<Function> {
    let lines: Vec<&str> = code(text).map(|(_, code)| code).collect();
    let function = |at: usize| {
        let (indent, name) = begins(lines[at])?;
        let end = (at..lines.len()).find(|&line| ends(lines[line], indent, line == at))?;
        let body = lines[end].trim_end();
        let signature = lines[at..=end].join(" ");
        (!body.ends_with(';')).then(|| Function {
            name: name.to_owned(),
            lines: end - at + 1,
            arguments: arguments(&signature),
        })
    };
    (0..lines.len()).filter_map(function).collect()
}

/// The indent and the name of the function that begins in this line.
fn begins(line: &str) -> Option<(usize, &str)> {
    let mut rest = line.trim_start();
    let indent = line.len() - rest.len();
    loop {
        let (word, more) = rest.split_once(' ')?;
        match word {
            "fn" => {
                let end = more.find(|c: char| !(c.is_alphanumeric() || c == '_'))?;
                return Some((indent, &more[..end]));
            }
            "pub" | "const" | "async" | "unsafe" | "extern" | "\"C\"" => rest = more,
            _ if word.starts_with("pub(") => rest = more,
            _ => return None,
        }
    }
}

/// Whether this is the last line of an item that begins at this indent.
fn ends(line: &str, indent: usize, first: bool) -> bool {
    let line_indent = line.len() - line.trim_start().len();
    let closes = line.trim_end().ends_with(['}', ';']);
    match first {
        true => closes,
        false => line_indent == indent && closes,
    }
}

fn arguments(signature: &str) -> usize {
    // Starts after the name and its generics.
    let (mut angles, mut depth, mut count, mut written, mut before) = (0, 0, 0, false, ' ');
    for c in signature.chars() {
        match c {
            '<' => angles += 1,
            '>' if before != '-' => angles -= 1,
            '(' if depth > 0 || angles == 0 => depth += 1,
            ')' if depth == 1 => return count + usize::from(written),
            '[' | '{' if depth > 0 => depth += 1,
            ')' | ']' | '}' if depth > 0 => depth -= 1,
            ',' if depth == 1 && angles == 0 => (count, written) = (count + usize::from(written), false),
            _ if depth > 0 && !c.is_whitespace() => written = true,
            _ => {}
        }
        before = c;
    }
    count
}
