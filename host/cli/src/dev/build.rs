//! Builds the component of a crate with cargo, as its author would.
//!
//! Rule: one build at a time. An interrupted build has ended, with all its compilers, before anything else happens.

use super::built::Built;
use super::change::used;
use super::project::Project;
use super::saves::{Interrupt, Saves};
use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How often to check whether cargo has ended.
const LOOK: Duration = Duration::from_millis(5);

/// Why there is no component.
#[derive(Debug)]
pub enum Unbuilt {
    Interrupted(Interrupt),
    /// The compiler has printed its errors to standard error.
    Errors,
    /// The build could not run, for this reason.
    Failed(String),
}

/// Builds the project. If `quiet`, only errors and warnings are shown, on standard error.
pub fn build(project: &Project, quiet: bool, saves: &mut Saves) -> Result<Built, Unbuilt> {
    let failed = |what: &str, why: std::io::Error| Unbuilt::Failed(format!("{what}: {why}"));
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(&project.folder)
        .args(["build", "--lib", "--message-format", "json-render-diagnostics"])
        .args(["--profile", &project.profile, "--target", &project.target])
        .args(quiet.then_some("--quiet"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // A process group of its own, so that Ctrl-C reaches only us, and we can end cargo with its compilers.
        .process_group(0);
    let mut child = cargo.spawn().map_err(|why| failed("cargo does not start", why))?;
    let output = child.stdout.take().map(|mut out| {
        std::thread::spawn(move || {
            let mut output = vec![];
            out.read_to_end(&mut output).map(|_| output)
        })
    });
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => {}
            Err(why) => return Err(failed("cargo can't be waited for", why)),
        }
        if let Some(interrupt) = saves.interrupt(LOOK) {
            end(&mut child);
            return Err(Unbuilt::Interrupted(interrupt));
        }
    };
    if !status.success() {
        return Err(Unbuilt::Errors);
    }
    let output = output.map(|reader| reader.join().unwrap_or_else(|_| Ok(vec![])));
    let said = output
        .unwrap_or_else(|| Ok(vec![]))
        .map_err(|why| failed("cargo", why))?;
    let path = component(&String::from_utf8_lossy(&said)).ok_or_else(|| {
        Unbuilt::Failed(format!(
            "{} builds no component: its Cargo.toml needs crate-type = [\"cdylib\", \"rlib\"] under [lib]",
            project.folder.display()
        ))
    })?;
    let component = std::fs::read(&path).map_err(|why| failed(&path.display().to_string(), why))?;
    // If this fails, only the crate's own folder is watched.
    let used = std::fs::read_to_string(path.with_extension("d")).map_or_else(|_| BTreeSet::new(), |text| used(&text));
    Ok(Built { path, component, used })
}

/// Ends a child process, which was started in its own group, together with the processes that it has started.
pub fn end(child: &mut Child) {
    // SAFETY: our own child, and nobody has waited for it, so its pid, which is that of its group, is still its own.
    unsafe { libc::kill(-(child.id() as libc::pid_t), libc::SIGTERM) };
    // It may have ended by itself.
    let _ = child.wait();
}

/// Cargo prints one message per line. The last artifact that is a component belongs to the package.
fn component(output: &str) -> Option<PathBuf> {
    let messages = output.lines().rev();
    let messages = messages.filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut files = messages.flat_map(|message| {
        let files = message["filenames"].as_array().cloned().unwrap_or_default();
        files.into_iter().filter_map(|file| file.as_str().map(PathBuf::from))
    });
    files.find(|file| file.extension().is_some_and(|ending| ending == "wasm"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::built::target_folder;
    use std::path::Path;

    #[test]
    fn the_component_is_the_last_artifact_that_is_one() {
        let output = r#"{"reason":"compiler-artifact","filenames":["/t/dep.wasm"]}
no message
{"reason":"compiler-artifact","filenames":["/t/w/release/own.wasm","/t/w/release/libown.rlib"]}
{"reason":"build-finished","success":true}"#;
        let found = component(output);
        assert_eq!(found.as_deref(), Some(Path::new("/t/w/release/own.wasm")));
        assert_eq!(target_folder(&found.unwrap()).as_deref(), Some(Path::new("/t")));
        assert_eq!(component("{}"), None);
    }
}
