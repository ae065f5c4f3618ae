//! Fetches the servers' jars from Maven Central once, into the user's cache.
//!
//! Rule: a folder of the cache is complete or does not exist. It is filled under another name, then renamed.

use anyhow::{Context, Result, bail};
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is fetched. Each version has its own folder.
const KAFKA: &str = "kafka-4.3.1";
const REGISTRY: &str = "apicurio-3.0.9";
const REGISTRY_ARTIFACT: &str = "io.apicurio:apicurio-registry-app:3.0.9:tar.gz:all";
const KAFKA_POM: &str = include_str!("../../rig/pom.xml");

/// The folder of Kafka's jars.
pub fn kafka() -> Result<PathBuf> {
    cached(KAFKA, |into| {
        let pom = into.join("pom.xml");
        std::fs::write(&pom, KAFKA_POM)?;
        let mut mvn = Command::new("mvn");
        mvn.arg("-f").arg(&pom).arg("dependency:copy-dependencies");
        mvn.args([
            "-DincludeScope=runtime".to_string(),
            format!("-DoutputDirectory={}", into.display()),
        ]);
        run(mvn)
    })
}

/// The folder of the registry, as it is in its archive.
pub fn registry() -> Result<PathBuf> {
    cached(REGISTRY, |into| {
        let mut mvn = Command::new("mvn");
        mvn.arg("dependency:unpack")
            .arg(format!("-Dartifact={REGISTRY_ARTIFACT}"));
        mvn.arg(format!("-DoutputDirectory={}", into.display()));
        run(mvn)
    })
}

fn cached(name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    // One at a time in this process. Other processes fill their own folders.
    static FILLING: Mutex<()> = Mutex::new(());
    let _filling = FILLING.lock();
    let cache = match std::env::var_os("XDG_CACHE_HOME") {
        Some(cache) => PathBuf::from(cache),
        None => {
            PathBuf::from(std::env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?).join(".cache")
        }
    };
    let folder = cache.join("pelton").join(format!("rig-{name}"));
    check(
        "java",
        "-version",
        "a Java runtime, 17 or newer (Debian: apt install openjdk-17-jre-headless)",
    )?;
    if folder.is_dir() {
        return Ok(folder);
    }
    check(
        "mvn",
        "-version",
        "Maven, to fetch Kafka once (Debian: apt install maven)",
    )?;
    let beside = folder.with_extension(format!("{}.part", std::process::id()));
    if beside.is_dir() {
        // Left over from a killed process that had the same id.
        std::fs::remove_dir_all(&beside)?;
    }
    std::fs::create_dir_all(&beside)?;
    let filled = fill(&beside).with_context(|| format!("fetching {name} from Maven Central"));
    if filled.is_ok() && !folder.is_dir() {
        // The first one wins. The loser's copy is the same.
        let _ = std::fs::rename(&beside, &folder);
    }
    if beside.is_dir() {
        std::fs::remove_dir_all(&beside)?;
    }
    filled?;
    Ok(folder)
}

/// Checks that a program is installed, and otherwise says what to install.
fn check(program: &str, argument: &str, what: &str) -> Result<()> {
    match Command::new(program).arg(argument).output() {
        Ok(answer) if answer.status.success() => Ok(()),
        Ok(answer) => bail!(
            "{program} {argument} fails: {}",
            String::from_utf8_lossy(&answer.stderr)
        ),
        Err(error) => bail!("{program} can't be run ({error}): tests with real servers need {what}"),
    }
}

fn run(mut mvn: Command) -> Result<()> {
    let done = mvn.args(["-q", "-B"]).output()?;
    if !done.status.success() {
        bail!(
            "{}{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        );
    }
    Ok(())
}
