//! Builds the guests of the tests: `guest-odd` and `guest-enrich`, as a rule author would, in a target folder of its own.
//!
//! The tests find them by `env!("GUEST_ODD_WASM")` and `env!("GUEST_ENRICH_WASM")`.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// Package and file of each guest, and the variable that names its file.
const GUESTS: [(&str, &str, &str); 2] = [
    ("guest-odd", "guest_odd", "GUEST_ODD_WASM"),
    ("guest-enrich", "guest_enrich", "GUEST_ENRICH_WASM"),
];

const TARGET: &str = "wasm32-unknown-unknown";

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let target = out.join("guests");
    // Of this run, not of the one that compiled this: checkouts may share a target folder.
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("..");
    let mut build = Command::new(env::var_os("CARGO").expect("cargo sets CARGO"));
    build
        .current_dir(&root)
        .args(["build", "--profile", "guest", "--target", TARGET]);
    for (package, ..) in GUESTS {
        build.args(["--package", package]);
    }
    build.arg("--target-dir").arg(&target);
    // Flags and settings of this build are meant for this machine, not for the guests.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text == "RUSTFLAGS" || text == "CARGO_ENCODED_RUSTFLAGS" || text.starts_with("CARGO_FEATURE_") {
            build.env_remove(&name);
        }
    }
    let status = build.status().expect("cargo starts");
    assert!(
        status.success(),
        "the guests don't build; run `cargo build -p guest-odd --target {TARGET} --profile guest`"
    );
    for (_, file, variable) in GUESTS {
        let path = target.join(TARGET).join("guest").join(file).with_extension("wasm");
        println!("cargo::rustc-env={variable}={}", path.display());
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
