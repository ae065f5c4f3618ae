//! Builds the guests of the tests, as a rule author would, in their own target folder.
//!
//! The tests find them by `env!("GUEST_ODD_WASM")` and `env!("GUEST_ENRICH_WASM")`; later versions of the latter by
//! `env!("GUEST_COUNTED_WASM")`, `env!("GUEST_RESIDENT_WASM")` and `env!("GUEST_FRAGILE_WASM")`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Package, feature, file, and the variable with the path of a copy.
const GUESTS: [(&str, &str, &str, &str); 5] = [
    ("guest-odd", "", "guest_odd", "GUEST_ODD_WASM"),
    ("guest-enrich", "", "guest_enrich", "GUEST_ENRICH_WASM"),
    ("guest-enrich", "counted", "guest_enrich", "GUEST_COUNTED_WASM"),
    ("guest-enrich", "resident", "guest_enrich", "GUEST_RESIDENT_WASM"),
    ("guest-enrich", "fragile", "guest_enrich", "GUEST_FRAGILE_WASM"),
];

const TARGET: &str = "wasm32-unknown-unknown";

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let target = out.join("guests");
    // The folder of this run, not of the one that compiled this: checkouts may share a target folder.
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("..");
    for (package, feature, file, variable) in GUESTS {
        build(&root, &target, package, feature);
        let made = target.join(TARGET).join("guest").join(file).with_extension("wasm");
        // A copy, because the next build of the package overwrites the file.
        let copy = out.join(variable.to_lowercase()).with_extension("wasm");
        std::fs::copy(&made, &copy).unwrap_or_else(|why| panic!("{}: {why}", made.display()));
        println!("cargo::rustc-env={variable}={}", copy.display());
    }
    for path in [
        "guests",
        "../guest-enrich",
        "../sdk",
        "../wit",
        "../Cargo.toml",
        "../Cargo.lock",
    ] {
        println!("cargo::rerun-if-changed={path}");
    }
}

fn build(root: &Path, target: &Path, package: &str, feature: &str) {
    let mut build = Command::new(env::var_os("CARGO").expect("cargo sets CARGO"));
    build
        .current_dir(root)
        .args(["build", "--profile", "guest", "--target", TARGET, "--package", package])
        .args(["--features", feature])
        .arg("--target-dir")
        .arg(target);
    // The flags and settings of this build are meant for this machine, not for the guests.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text == "RUSTFLAGS" || text == "CARGO_ENCODED_RUSTFLAGS" || text.starts_with("CARGO_FEATURE_") {
            build.env_remove(&name);
        }
    }
    let status = build.status().expect("cargo starts");
    assert!(
        status.success(),
        "a guest doesn't build; run `cargo build -p {package} --features '{feature}' --target {TARGET} --profile guest`"
    );
}
