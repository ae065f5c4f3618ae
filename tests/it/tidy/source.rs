//! Reads the files of the project.

use std::fs;
use std::path::{Path, PathBuf};

/// The lines without their comments, each with its number.
pub fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let code = |line| str::split_once(line, "//").map_or(line, |(code, _)| code);
    text.lines()
        .enumerate()
        .map(move |(index, line)| (index + 1, code(line)))
}

pub fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

pub fn host() -> impl Iterator<Item = (String, String)> {
    rust().filter(|(path, _)| path.starts_with("host/src/"))
}

/// What people have written, so without generated files.
pub fn rust() -> impl Iterator<Item = (String, String)> {
    files(&["rs"]).filter(|(path, _)| !path.ends_with("/generated.rs"))
}

/// The path (from the top) and the text of every file with one of these endings.
pub fn files(endings: &[&str]) -> impl Iterator<Item = (String, String)> {
    let mut found = Vec::new();
    walk(&root(), &mut found);
    found.retain(|path| {
        path.extension()
            .is_some_and(|ending| endings.iter().any(|of| ending == *of))
    });
    found.sort();
    found.into_iter().map(|path| {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let path = path
            .strip_prefix(root())
            .expect("below the top")
            .to_string_lossy()
            .into_owned();
        (path, text)
    })
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = entry.file_name();
        // Skips build output and hidden folders.
        if name == "target" || name.to_string_lossy().starts_with('.') {
            continue;
        }
        match entry.file_type().expect("its type").is_dir() {
            true => walk(&entry.path(), found),
            false => found.push(entry.path()),
        }
    }
}

/// The top folder of the project.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
