//! The layers of the host, and who imports whom.
//!
//! Rule: host/src/lib.rs is the only list of the layers; what is read from it is compared with the names that the rules use.

use super::source::{code, root};
use std::collections::BTreeSet;
use std::fs;

/// A group of modules of the host.
pub struct Layer {
    pub title: String,
    pub modules: BTreeSet<String>,
}

/// The layers, lowest first, as the host's table of contents says: a comment, then its modules.
pub fn layers() -> Vec<Layer> {
    let text = fs::read_to_string(root().join("host/src/lib.rs")).expect("the table of contents");
    let mut layers: Vec<Layer> = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("// ") {
            let (title, modules) = (title.to_string(), BTreeSet::new());
            layers.push(Layer { title, modules });
        } else if let Some(name) = line.strip_prefix("pub mod ") {
            let layer = layers.last_mut().expect("a title above the first module");
            layer.modules.insert(name.trim_end_matches(';').to_string());
        }
    }
    let titles: Vec<&str> = layers
        .iter()
        .map(|layer| layer.title.split(':').next().unwrap_or(""))
        .collect();
    let expected = [
        "what host and rules say to each other",
        "words",
        "pure",
        "ports",
        "spine",
        "process",
        "edge",
    ];
    assert_eq!(titles, expected, "host/src/lib.rs");
    layers
}

/// Modules of the host that a file names.
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

/// First words of a path, or of each path in braces.
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
