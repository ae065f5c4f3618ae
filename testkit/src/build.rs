//! Builds the component of a package, as an author of rules would.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-unknown-unknown";

/// Builds the rules in this folder with cargo, in a profile such as `release`. Returns the path of the component. Each
/// is built only once in a process.
///
/// # Panics
/// If the build fails, with the output of cargo.
pub fn build(package: impl AsRef<Path>, profile: &str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<(PathBuf, String), PathBuf>> = Mutex::new(BTreeMap::new());
    let package = package.as_ref();
    let folder = package.canonicalize();
    let folder = folder.unwrap_or_else(|why| panic!("{} can't be read: {why}", package.display()));
    // The lock is held during the build, so that another test waits for the same component.
    let mut built = BUILT.lock();
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
    // The flags of this build are for this machine and not for the rules.
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
        build.env_remove(name);
    }
    let output = build
        .output()
        .unwrap_or_else(|why| panic!("cargo does not start: {why}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "the rules in {} don't build:\n{errors}",
        folder.display()
    );
    // Cargo prints one message per line. The last artifact that is a component belongs to the package.
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
