//! `pelton new`: creates a project of rules that builds, has tests, and runs in the demo.
//!
//! Rule: the files are those of `host/template` with names filled in. tests/it/new.rs builds and plays the result. An
//! existing file is never overwritten.

use super::exit::{FAILED, FINDINGS, OK, Trouble};
use super::print::say;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Paths in the project, and their content.
const FILES: [(&str, &str); 10] = [
    ("Cargo.toml", include_str!("../../template/Cargo.toml.in")),
    ("README.md", include_str!("../../template/README.md.in")),
    ("build.rs", include_str!("../../template/build.rs")),
    ("clippy.toml", include_str!("../../../guest-enrich/clippy.toml")),
    ("pelton.toml", include_str!("../../template/pelton.toml.in")),
    ("src/lib.rs", include_str!("../../template/src/lib.rs")),
    (
        "schemas/1-wallet-events.avsc",
        include_str!("../../../examples/schemas/1-wallet-events.avsc"),
    ),
    (
        "schemas/5-alerts.avsc",
        include_str!("../../template/schemas/5-alerts.avsc"),
    ),
    (
        "scenarios/alerts.scenario",
        include_str!("../../template/scenarios/alerts.scenario"),
    ),
    (".gitignore", "/target\n"),
];

/// The clone that this binary was built in.
const CLONE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Creates the project, and returns the exit code. `clone` is the clone of Pelton whose SDK it uses. Default: the one
/// that this binary was built in.
pub(super) fn new(folder: &Path, clone: Option<&Path>, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    match make(folder, clone) {
        Ok(text) => {
            say(out, &text);
            OK
        }
        Err(Trouble(code, why)) => {
            say(err, &format!("{why}\n"));
            code
        }
    }
}

fn make(folder: &Path, clone: Option<&Path>) -> Result<String, Trouble> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    if !starts
        || !name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'))
    {
        let why = format!("{name}: expected a name of small letters, digits, '-' and '_', which begins with a letter");
        return Err(Trouble(FINDINGS, why));
    }
    let clone = sdk(clone)?;
    if folder.exists() {
        let why = format!("{} is there already; choose another name", folder.display());
        return Err(Trouble(FINDINGS, why));
    }
    write(folder, name, &clone)
        .map_err(|why| Trouble(FAILED, format!("{} can't be written: {why}", folder.display())))?;
    let path = folder.display();
    Ok(format!(
        "{path} is a project of rules. Try it:\n\n  cd {path}\n  cargo build --release --target wasm32-unknown-unknown\n  pelton test\n  pelton dev\n"
    ))
}

/// The path of the clone, if it has an SDK.
fn sdk(clone: Option<&Path>) -> Result<PathBuf, Trouble> {
    let path = clone.unwrap_or(Path::new(CLONE));
    let found = path
        .canonicalize()
        .ok()
        .filter(|path| path.join("sdk/Cargo.toml").is_file());
    found.ok_or_else(|| {
        let path = path.display();
        let why = format!("there is no SDK in {path}/sdk; name a clone of Pelton's repository: --clone PATH");
        Trouble(FINDINGS, why)
    })
}

fn write(folder: &Path, name: &str, clone: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let here = folder.canonicalize()?;
    let filled = |text: &str| {
        text.replace("{{name}}", name)
            .replace("{{file}}", &name.replace('-', "_"))
            .replace("{{clone}}", &clone.display().to_string())
            .replace("{{here}}", &here.display().to_string())
    };
    for (path, text) in FILES {
        let path = folder.join(path);
        if let Some(above) = path.parent() {
            std::fs::create_dir_all(above)?;
        }
        std::fs::write(path, filled(text))?;
    }
    Ok(())
}
