//! Finds which files of a crate name which other ones.
//!
//! Rule: an arrow goes to the file that defines something, not to one that re-exports it. Tests are left out, because a
//! test may know everything.

use super::source::{code, is_test, rust};
use std::collections::{BTreeMap, BTreeSet};

/// The crates that are checked.
pub const CRATES: &[&str] = &[
    "host/src/",
    "host/cli/src/",
    "host/convert/src/",
    "sdk/src/",
    "sdk/avro/src/",
    "sdk/avro/schema/src/",
    "testkit/src/",
    "demo/src/",
    "tests/src/",
];

/// A module, as the names from the root of its crate.
type Path = Vec<String>;

/// The files of a crate, by module.
pub struct Imports {
    files: BTreeMap<Path, File>,
}

struct File {
    path: String,
    /// Its imports: the name in this file, and the path that it stands for.
    uses: BTreeMap<String, Path>,
    /// Every path that it names, in a `use` or elsewhere.
    named: BTreeSet<Path>,
}

impl Imports {
    /// Reads the crate whose sources are in this folder.
    pub fn of(folder: &str) -> Imports {
        // What is a test is decided within the crate: the folder of a crate may itself be one of tests.
        let within = |path: &str| path.starts_with(folder) && !is_test(&path[folder.len() - 1..]);
        let sources = rust().filter(|(path, _)| within(path));
        let files = sources
            .map(|(path, text)| (module(&path, folder), read(path, &text)))
            .collect();
        Imports { files }
    }

    /// All arrows between two files.
    pub fn arrows(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let of = |(module, file): (&'_ Path, &'_ File)| {
            let targets = file.named.iter().filter_map(|named| self.resolve(module, named, 0));
            targets
                .filter(|to| *to != module)
                .map(|to| self.files[to].path.as_str())
                .collect()
        };
        self.files
            .iter()
            .map(|entry| (entry.1.path.as_str(), of(entry)))
            .collect()
    }

    /// Arrows from a file to one above it: `foo/bar.rs` names `foo.rs`.
    pub fn upwards(&self) -> Vec<(&str, &str)> {
        let arrows = self.arrows();
        let pairs = arrows
            .into_iter()
            .flat_map(|(from, to)| to.into_iter().map(move |to| (from, to)));
        pairs.filter(|(from, to)| is_upwards(from, to)).collect()
    }

    /// Groups of files in which each reaches all others without an arrow upwards.
    pub fn circles(&self) -> Vec<BTreeSet<&str>> {
        let mut arrows = self.arrows();
        for (from, to) in &mut arrows {
            to.retain(|to| !is_upwards(from, to));
        }
        let reached: BTreeMap<&str, BTreeSet<&str>> =
            arrows.keys().map(|file| (*file, reachable(&arrows, file))).collect();
        let mut circles: Vec<BTreeSet<&str>> = vec![];
        for (file, others) in &reached {
            if others.contains(file) && !circles.iter().any(|circle| circle.contains(file)) {
                circles.push(
                    others
                        .iter()
                        .filter(|other| reached[**other].contains(file))
                        .copied()
                        .collect(),
                );
            }
        }
        circles
    }

    /// The module whose file defines what a path names, seen from `from`. `None` if it belongs to another crate.
    fn resolve<'a>(&'a self, from: &'a Path, named: &Path, depth: usize) -> Option<&'a Path> {
        let (mut at, mut rest) = match named.first().map(String::as_str)? {
            "crate" => (Path::new(), &named[1..]),
            "self" => (from.clone(), &named[1..]),
            "super" => {
                let ups = named.iter().take_while(|name| *name == "super").count();
                (from[..from.len().checked_sub(ups)?].to_vec(), &named[ups..])
            }
            _ => (from.clone(), &named[..]),
        };
        let relative = !matches!(named[0].as_str(), "crate" | "self" | "super");
        let mut entered = !relative;
        while let Some(name) = rest.first() {
            at.push(name.clone());
            if !self.files.contains_key(&at) {
                at.pop();
                break;
            }
            (rest, entered) = (&rest[1..], true);
        }
        let (module, file) = self.files.get_key_value(&at)?;
        if !entered {
            return None;
        }
        // Follows a re-export to the definition, for a limited number of times. Circles of re-exports don't compile.
        let through = rest
            .first()
            .and_then(|name| file.uses.get(name))
            .filter(|_| depth < 8 && module != from);
        match through {
            Some(path) => {
                let path: Path = path.iter().cloned().chain(rest[1..].iter().cloned()).collect();
                self.resolve(module, &path, depth + 1).or(Some(module))
            }
            None => Some(module),
        }
    }
}

/// Whether the file `to` is above the file `from`. A crate's root is above everything.
fn is_upwards(from: &str, to: &str) -> bool {
    let module = to.trim_end_matches(".rs").trim_end_matches("/lib");
    from.strip_prefix(module).is_some_and(|rest| rest.starts_with('/'))
}

fn reachable<'a>(arrows: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &str) -> BTreeSet<&'a str> {
    let (mut found, mut next) = (BTreeSet::new(), arrows[from].iter().copied().collect::<Vec<_>>());
    while let Some(file) = next.pop() {
        if found.insert(file) {
            next.extend(&arrows[file]);
        }
    }
    found
}

/// The module of a file. It is empty for `lib.rs` and `main.rs`.
fn module(path: &str, folder: &str) -> Path {
    let names = path[folder.len()..].trim_end_matches(".rs");
    names
        .split('/')
        .filter(|name| !matches!(*name, "lib" | "main"))
        .map(str::to_owned)
        .collect()
}

fn read(path: String, text: &str) -> File {
    let (statements, elsewhere) = split(&without_tests(text));
    let (mut uses, mut named) = (BTreeMap::new(), BTreeSet::new());
    for statement in statements {
        for (name, path) in leaves(&words(&statement)) {
            uses.insert(name, path.clone());
            named.insert(path);
        }
    }
    // Elsewhere: `crate::a::b`, `super::a`, `child::b`. What is not a module is found out later.
    let words = words(&elsewhere);
    for at in (0..words.len()).filter(|&at| at == 0 || words[at - 1] != "::") {
        let mut path = vec![words[at].clone()];
        path.extend(
            words[at + 1..]
                .chunks(2)
                .take_while(|pair| pair[0] == "::")
                .filter_map(|pair| pair.get(1).cloned()),
        );
        if path.len() > 1 {
            named.insert(path);
        }
    }
    File { path, uses, named }
}

/// The trees of the `use` statements, and the rest.
fn split(text: &str) -> (Vec<String>, String) {
    let (mut statements, mut rest, mut inside) = (vec![], String::new(), false);
    for line in text.lines() {
        let bare = line.trim_start();
        let public = bare.strip_prefix("pub").and_then(|bare| bare.split_once(' '));
        match public.map_or(bare, |(_, bare)| bare).strip_prefix("use ") {
            Some(tree) => statements.push(tree.to_owned()),
            None if inside => statements.last_mut().expect("its first line").push_str(bare),
            None => {
                rest.push_str(line);
                rest.push('\n');
                continue;
            }
        }
        inside = !line.ends_with(';');
    }
    for statement in &mut statements {
        statement.truncate(statement.trim_end_matches(';').len());
    }
    (statements, rest)
}

/// The text without comments, and without `#[cfg(test)]` items that end with a brace at the margin.
fn without_tests(text: &str) -> String {
    let (mut kept, mut skips) = (String::new(), false);
    for (_, line) in code(text) {
        skips |= line == "#[cfg(test)]";
        if !skips {
            kept.push_str(line);
            kept.push('\n');
        }
        skips &= !(line.starts_with('}') || (line.ends_with(';') && !line.starts_with(' ')));
    }
    kept
}

/// Splits the text into names and what is between them: `::`, or one character.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut rest) = (vec![], text);
    while let Some(first) = rest.chars().next() {
        let len = match rest.find(|c: char| !(c.is_alphanumeric() || c == '_')) {
            Some(0) if rest.starts_with("::") => 2,
            Some(0) => first.len_utf8(),
            Some(end) => end,
            None => rest.len(),
        };
        if !first.is_whitespace() {
            words.push(rest[..len].to_owned());
        }
        rest = &rest[len..];
    }
    words
}

/// The leaves of a `use` tree: the name that each has in this file, and its path.
fn leaves(words: &[String]) -> Vec<(String, Path)> {
    let (mut found, mut stack, mut path) = (vec![], vec![], Path::new());
    let mut alias = None;
    let mut words = words.iter().map(String::as_str).peekable();
    let mut close = |path: &Path, alias: Option<String>| {
        // `a::{self, b}` names `a`.
        let len = path.len() - usize::from(path.len() > 1 && path.last().is_some_and(|last| last == "self"));
        let path = path[..len].to_vec();
        if let Some(last) = path.last() {
            found.push((alias.unwrap_or_else(|| last.clone()), path.clone()));
        }
    };
    let mut leaf = true;
    while let Some(word) = words.next() {
        match word {
            "::" => {}
            "{" => {
                stack.push(path.len());
                leaf = false;
            }
            "," | "}" => {
                if leaf {
                    close(&path, alias.take());
                }
                path.truncate(stack.last().copied().unwrap_or(0));
                leaf = false;
                if word == "}" {
                    stack.pop();
                    path.truncate(stack.last().copied().unwrap_or(0));
                }
            }
            "as" => alias = words.next().map(str::to_owned),
            name => {
                path.push(name.to_owned());
                leaf = true;
            }
        }
    }
    if leaf {
        close(&path, alias);
    }
    found
}
