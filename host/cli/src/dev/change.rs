//! Decides what a changed file means, and when a save is complete.
//!
//! Rule: this is pure. Build results and temporary files of editors mean nothing, so a build never causes the next one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Editors write a file in several steps, and save several files at once. A save is complete after this long without
/// changes.
const QUIET: Duration = Duration::from_millis(50);

/// A save is complete after this long at the latest, even if something writes all the time.
const LONGEST: Duration = Duration::from_millis(500);

/// What must be done. Each includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meaning {
    /// Nothing.
    #[default]
    Nothing,
    /// The rules are the same, but their settings or scenarios have changed.
    Play,
    /// The rules must be built.
    Build,
}

/// Where the relevant files are. All paths are canonical.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The crate's folder.
    pub folder: PathBuf,
    /// The folder for build results.
    pub target: Option<PathBuf>,
    /// The pipeline's file.
    pub pipeline: PathBuf,
    /// Folders of scenarios, or single files.
    pub scenarios: Vec<PathBuf>,
    /// Folder of the pipeline's schemas.
    pub schemas: Option<PathBuf>,
    /// Files that the last build has read, also outside of the folder.
    pub used: BTreeSet<PathBuf>,
}

impl Sources {
    /// What a change of this file means.
    pub fn meaning(&self, path: &Path) -> Meaning {
        if path == self.pipeline {
            return Meaning::Play;
        }
        if self.is_built(path) {
            return Meaning::Nothing;
        }
        if self.used.contains(path) {
            return Meaning::Build;
        }
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let below = |folder: &PathBuf| path.starts_with(folder);
        if ending == "scenario" && self.scenarios.iter().any(below) {
            return Meaning::Play;
        }
        if ending == "avsc" && self.schemas.iter().any(below) {
            return Meaning::Build;
        }
        match self.is_own(path) && matches!(ending, "rs" | "toml" | "wit" | "avsc") {
            true => Meaning::Build,
            false => Meaning::Nothing,
        }
    }

    /// Whether it is in the folder, and neither a build result nor hidden.
    pub fn is_own(&self, path: &Path) -> bool {
        let Ok(inside) = path.strip_prefix(&self.folder) else {
            return false;
        };
        let hidden = |part: &std::ffi::OsStr| part.as_encoded_bytes().starts_with(b".");
        !self.is_built(path) && !inside.iter().any(hidden)
    }

    /// Whether it is where cargo writes. Cargo first creates its folder under another name: `target` and six
    /// characters.
    pub fn is_built(&self, path: &Path) -> bool {
        let first = path
            .strip_prefix(&self.folder)
            .ok()
            .and_then(|inside| inside.iter().next());
        let rest = first.and_then(|name| name.to_str()?.strip_prefix("target"));
        let made =
            |rest: &str| rest.is_empty() || (rest.len() == 6 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        rest.is_some_and(made) || self.target.iter().any(|target| path.starts_with(target))
    }
}

/// When a save is complete whose first and last changes were noticed at these times.
pub fn over(first: Duration, last: Duration) -> Duration {
    (last + QUIET).min(first + LONGEST)
}

/// The files that rustc has read, from the dependency file that cargo writes: `FILE: SOURCE SOURCE ...`, where spaces
/// in names follow a backslash.
pub fn used(text: &str) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for line in text.lines() {
        let Some((_, sources)) = line.split_once(": ") else {
            continue;
        };
        let mut name = String::new();
        let mut chars = sources.chars().peekable();
        while let Some(char) = chars.next() {
            match char {
                '\\' if chars.peek() == Some(&' ') => name.extend(chars.next()),
                ' ' => _ = found.insert(PathBuf::from(std::mem::take(&mut name))),
                char => name.push(char),
            }
        }
        found.insert(PathBuf::from(name));
    }
    found.remove(Path::new(""));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Sources {
        Sources {
            folder: "/p/rules".into(),
            target: Some("/p/rules/out".into()),
            pipeline: "/p/rules/pelton.toml".into(),
            scenarios: vec!["/p/rules/scenarios".into(), "/p/one.scenario".into()],
            schemas: Some("/p/schemas".into()),
            used: [
                "/p/shared/src/lib.rs".into(),
                "/p/rules/words.txt".into(),
                "/p/rules/out/schema.rs".into(),
            ]
            .into(),
        }
    }

    #[test]
    fn each_file_means_what_depends_on_it() {
        let sources = sources();
        for (path, meaning) in [
            ("/p/rules/src/lib.rs", Meaning::Build),
            ("/p/rules/src/deep/er.rs", Meaning::Build),
            ("/p/rules/Cargo.toml", Meaning::Build),
            ("/p/rules/wit/own.wit", Meaning::Build),
            ("/p/rules/schemas/1-a.avsc", Meaning::Build),
            ("/p/schemas/2-b.avsc", Meaning::Build),
            ("/p/shared/src/lib.rs", Meaning::Build),
            ("/p/rules/words.txt", Meaning::Build),
            ("/p/rules/pelton.toml", Meaning::Play),
            ("/p/rules/scenarios/a.scenario", Meaning::Play),
            ("/p/one.scenario", Meaning::Play),
            ("/p/two.scenario", Meaning::Nothing),
            ("/p/shared/src/other.rs", Meaning::Nothing),
            ("/p/schemas/notes.md", Meaning::Nothing),
            ("/p/rules/README.md", Meaning::Nothing),
        ] {
            assert_eq!(sources.meaning(Path::new(path)), meaning, "{path}");
        }
    }

    #[test]
    fn what_is_built_and_what_editors_leave_means_nothing() {
        let sources = sources();
        for path in [
            "/p/rules/target/wasm32-unknown-unknown/release/build/x/out/schema.rs",
            "/p/rules/out/debug/build.rs",
            "/p/rules/out/schema.rs",
            "/p/rules/Cargo.lock",
            "/p/rules/src/.lib.rs.swp",
            "/p/rules/src/.#lib.rs",
            "/p/rules/src/lib.rs~",
            "/p/rules/src/4913",
            "/p/rules/.git/index.toml",
            "/p/rules",
        ] {
            assert_eq!(sources.meaning(Path::new(path)), Meaning::Nothing, "{path}");
        }
        assert!(!sources.is_own(Path::new("/p/rules/target")));
        assert!(!sources.is_own(Path::new("/p/rules/targethDCuJ6")));
        assert!(sources.is_own(Path::new("/p/rules/targets")));
    }

    #[test]
    fn a_save_is_over_when_it_is_quiet_and_at_some_time() {
        let at = Duration::from_millis;
        assert_eq!(over(at(1000), at(1000)), at(1050));
        assert_eq!(over(at(1000), at(1040)), at(1090));
        assert_eq!(over(at(1000), at(1490)), at(1500));
    }

    #[test]
    fn what_was_read_is_known_with_spaces_too() {
        let text = "/t/a.wasm: /p/src/lib.rs /p/a\\ b/c.rs\n\n/t/a.d: /p/src/lib.rs\n";
        let expected: BTreeSet<PathBuf> = ["/p/src/lib.rs".into(), "/p/a b/c.rs".into()].into();
        assert_eq!(used(text), expected);
        assert_eq!(used("/t/a.wasm: "), BTreeSet::new());
    }
}
