//! The component of a package, built as a rule author would.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

const TARGET: &str = "wasm32-unknown-unknown";

/// Builds the rules of the package in this folder with cargo, in a profile (`release`), and says where the component is. Once a
/// process.
///
/// # Panics
/// When they don't build, with what cargo says.
pub fn build(package: impl AsRef<Path>, profile: &str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<(PathBuf, String), PathBuf>> = Mutex::new(BTreeMap::new());
    let package = package.as_ref();
    let folder = package.canonicalize();
    let folder = folder.unwrap_or_else(|why| panic!("{} can't be read: {why}", package.display()));
    // Held meanwhile: another test that wants the same waits for it.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (folder.clone(), profile.to_owned());
    if let Some(known) = built.get(&key) {
        return known.clone();
    }
    let path = cargo(&folder, profile);
    built.insert(key, path.clone());
    path
}

fn cargo(folder: &Path, profile: &str) -> PathBuf {
    let mut build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build
        .current_dir(folder)
        .args(["build", "--lib", "--profile", profile, "--target", TARGET])
        .args(["--message-format", "json-render-diagnostics"]);
    // Flags of this build are meant for this machine, not for the rules.
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
        build.env_remove(name);
    }
    let output = build
        .output()
        .unwrap_or_else(|why| panic!("cargo does not start: {why}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "the rules in {} don't build:\n{said}",
        folder.display()
    );
    // One message a line; the last artifact with a component is the package's own.
    let out = String::from_utf8_lossy(&output.stdout);
    let messages = out
        .lines()
        .rev()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut files = messages.flat_map(|message| {
        let files = message["filenames"].as_array().cloned().unwrap_or_default();
        files.into_iter().filter_map(|file| file.as_str().map(PathBuf::from))
    });
    let component = files.find(|file| file.extension().is_some_and(|ending| ending == "wasm"));
    component.unwrap_or_else(|| {
        panic!(
            "{} builds no component: its Cargo.toml needs crate-type = [\"cdylib\", \"rlib\"] under [lib]",
            folder.display()
        )
    })
}
