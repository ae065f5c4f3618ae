//! Reads the layers of the host, and which modules import which.
//!
//! Rule: the header of host/src/lib.rs is the only list of the layers.

use super::source::{code, root};
use std::collections::BTreeSet;
use std::fs;

/// A layer of the host: a group of its modules.
pub struct Layer {
    pub title: String,
    /// Lowest first.
    pub modules: Vec<String>,
}

/// The layers, lowest first, from the list between the fences in the header of host/src/lib.rs. Each line has a title,
/// then modules, and a description after two or more spaces.
pub fn layers() -> Vec<Layer> {
    let text = fs::read_to_string(root().join("host/src/lib.rs")).expect("the table of contents");
    let list = text
        .split("//! ```")
        .nth(1)
        .expect("a list of the layers between fences");
    let layers: Vec<Layer> = list.lines().filter_map(layer).collect();
    let titles: Vec<&str> = layers.iter().map(|layer| layer.title.as_str()).collect();
    let expected = ["pure", "setting", "ports", "task", "process"];
    assert_eq!(titles, expected, "host/src/lib.rs");
    let listed: BTreeSet<&str> = layers
        .iter()
        .flat_map(|layer| &layer.modules)
        .map(String::as_str)
        .collect();
    let declared: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    assert_eq!(listed, declared, "host/src/lib.rs lists what it declares");
    layers
}

/// Reads a line of the list.
fn layer(line: &str) -> Option<Layer> {
    let (title, rest) = line.strip_prefix("//! ")?.split_once(' ')?;
    let modules = rest.trim_start().split("  ").next()?;
    Some(Layer {
        title: title.to_string(),
        modules: modules.split(' ').map(str::to_string).collect(),
    })
}

/// The modules of the host that a file names.
pub fn imports(path: &str, text: &str) -> BTreeSet<String> {
    let code: String = code(text).map(|(_, code)| code).collect::<Vec<_>>().join("\n");
    let depth = path.matches('/').count() - 1; // host/src/foo.rs: 1
    let from_root = "super::".repeat(depth);
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        found.extend(heads(&code[at + "crate::".len()..]));
    }
    for (at, _) in code.match_indices(&format!("\nuse {from_root}")) {
        found.extend(heads(&code[at + "\nuse ".len() + from_root.len()..]));
    }
    found
}

/// The first word of a path, or of each path in braces.
fn heads(path: &str) -> Vec<String> {
    let word = |text: &str| {
        text.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect::<String>()
    };
    let Some(list) = path.strip_prefix('{') else {
        return vec![word(path)];
    };
    let (mut heads, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                heads.push(word(list[start..at].trim()));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    heads
}

/// The module of the host that a file belongs to.
pub fn module(path: &str) -> &str {
    let path = path.trim_start_matches("host/src/");
    path.split(['/', '.']).next().unwrap_or(path)
}
