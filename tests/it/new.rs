//! `pelton new`: what it creates builds without a warning, and its scenarios pass.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

fn pelton(args: &[&str]) -> (u8, String) {
    let (mut out, mut err) = (vec![], vec![]);
    let args = std::iter::once("pelton")
        .chain(args.iter().copied())
        .map(OsString::from);
    let code = pelton_cli::main(args, &mut out, &mut err);
    out.append(&mut err);
    (code, String::from_utf8(out).expect("text"))
}

#[test]
fn a_new_project_builds_and_its_scenarios_hold() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = tempfile::tempdir().expect("a folder");
    let project = folder.path().join("two-words");
    let path = project.display().to_string();
    let (code, out) = pelton(&["new", &path]);
    assert_eq!(code, 0, "{out}");
    // The versions that are already here, because a test must not fetch anything.
    std::fs::copy(root.join("Cargo.lock"), project.join("Cargo.lock")).expect("the lock file");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new");
    let mut build = Command::new(env!("CARGO"));
    build
        .current_dir(&project)
        .args([
            "build",
            "--release",
            "--offline",
            "--target",
            "wasm32-unknown-unknown",
            "--target-dir",
        ])
        .arg(&target)
        .env("RUSTFLAGS", "-D warnings")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    let output = build.output().expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rules = target
        .join("wasm32-unknown-unknown/release/two_words.wasm")
        .display()
        .to_string();
    let scenarios = project.join("scenarios").display().to_string();
    let (code, out) = pelton(&["test", &scenarios, "--rules", &rules]);
    assert!(code == 0 && out.contains("the scenario holds"), "{out}");
    assert!(!out.contains("prefetch misses"), "{out}");
    let (code, out) = pelton(&[
        "check",
        "--offline",
        &format!("{path}/pelton.toml"),
        "--set",
        &format!("rules.file={rules}"),
    ]);
    assert!(code == 0 && out.ends_with("no problems found\n"), "{out}");
    let (code, out) = pelton(&["new", &path]);
    assert!(code == 1 && out.contains("is there already"), "{out}");
}

#[test]
fn names_are_those_of_packages_and_topics() {
    for name in ["Upper", "1st", "a b", "../"] {
        let (code, out) = pelton(&["new", name]);
        assert!(
            code == 1 && out.contains("expected a name of small letters"),
            "{name}: {out}"
        );
    }
    let (code, out) = pelton(&["new", "good-name", "--clone", "not/there"]);
    assert!(code == 1 && out.contains("--clone PATH"), "{out}");
}
