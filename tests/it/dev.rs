//! `pelton dev` as a process, with its demo. What is saved runs, unless something is wrong with it; then the previous
//! rules keep running.

pub mod process;

use process::Process;
use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// For any line. The first build takes a minute on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

const DEMO: &str = env!("CARGO_BIN_EXE_pelton-it-demo");

fn pelton(args: &[&str]) -> (u8, String) {
    let (mut out, mut err) = (vec![], vec![]);
    let args = std::iter::once("pelton").chain(args.iter().copied());
    let code = pelton_cli::main(args.map(OsString::from), &mut out, &mut err);
    out.append(&mut err);
    (code, String::from_utf8(out).expect("text"))
}

/// A new project of rules.
struct Project {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Project {
    fn new() -> Project {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("alerts");
        let (code, out) = pelton(&["new", &path.display().to_string()]);
        assert_eq!(code, 0, "{out}");
        // The versions that are already here, because a test must not fetch anything.
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        fs::copy(root.join("Cargo.lock"), path.join("Cargo.lock")).expect("the lock file");
        Project { path, _folder: folder }
    }

    /// Starts `pelton dev`. It builds in the same folder as the test of `pelton new`.
    fn dev(&self, args: &[&str]) -> Process {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new");
        Process::dev(&self.path, &target, "-D warnings", args)
    }

    /// Saves one of the project's files with a part of its text replaced.
    fn replace(&self, file: &str, from: &str, to: &str) {
        let path = self.path.join(file);
        let text = fs::read_to_string(&path).expect("it is there");
        assert!(text.contains(from), "{file} has no {from}");
        fs::write(path, text.replace(from, to)).expect("it can be written");
    }
}

/// The version that runs, once every task runs it, and how many deploys there were.
#[track_caller]
fn running(url: &str) -> (String, usize) {
    let begun = Instant::now();
    loop {
        let (code, out) = pelton(&["rules", "status", "--json", "--to", url]);
        assert_eq!(code, 0, "{out}");
        let status: Value = serde_json::from_str(&out).expect("JSON");
        let deploys = status["deploys"].as_array().expect("deploys").len();
        let taken = status["taken"].as_object().expect("tasks");
        if taken.values().all(|taken| *taken == deploys) {
            return (version(&status), deploys);
        }
        assert!(begun.elapsed() < PATIENCE, "{out}");
    }
}

fn version(of: &Value) -> String {
    of["version"].as_str().expect("a version").to_owned()
}

const LIB: &str = "src/lib.rs";
/// The beginning of a step, and a version of it that traps on the users of the demo.
const FIRST: &str = "let payments = self";
const TRAP: &str = "assert!(payment.user_id.len() < 9, \"too long\");\n";
const SCENARIO: &str = "scenarios/alerts.scenario";

#[test]
fn what_is_saved_runs_and_what_is_wrong_does_not() {
    let project = Project::new();
    let dev = project.dev(&["--http", "127.0.0.1:0", "--shadow", "500ms"]);
    let (first, _) = dev.end("running");
    let url = first["url"].as_str().expect("an address").to_owned();
    assert_eq!(running(&url), (version(&first), 1));

    // This does not build.
    project.replace(LIB, "payments,\n", "payments: payments +,\n");
    dev.end("build");
    assert_eq!(running(&url), (version(&first), 1));

    // This does something else than the scenario says.
    project.replace(LIB, "payments: payments +,\n", "payments: payments + 100,\n");
    let (_, text) = dev.end("scenarios");
    assert!(text.contains("payments is 104; expected 4"), "{text}");
    assert_eq!(running(&url), (version(&first), 1));

    // Now the scenario says so too.
    project.replace(SCENARIO, "\"payments\": 4", "\"payments\": 104");
    let (second, text) = dev.end("running");
    assert_eq!(running(&url), (version(&second), 2));
    assert_ne!(version(&first), version(&second));
    let of = second["difference"]["total"]["steps"].as_u64().expect("a number");
    assert!(of == 0 || text.contains(" in "), "{second}");
    let ms = |name: &str| second[name].as_f64().expect(name);
    assert!(ms("total_ms") >= ms("compare_ms") + ms("running_ms"), "{second}");
    assert!(ms("total_ms") >= ms("without_build_ms"), "{second}");

    // A change that makes no difference.
    project.replace(LIB, "//! Sends an alert", "//! Sends one alert");
    dev.end("unchanged");
    project.replace(SCENARIO, "# A new window", "# Another window");
    dev.end("unchanged");
    assert_eq!(running(&url), (version(&second), 2));

    // The newest save wins. The second save comes while the first one is being processed, which is then given up.
    project.replace(LIB, "payments + 100,\n", "payments + 200,\n");
    dev.next("saved");
    project.replace(LIB, "payments + 200,\n", "payments + 300,\n");
    let (left, _) = dev.end("superseded");
    assert!(left["build_ms"].is_null(), "its build is ended: {left}");
    project.replace(SCENARIO, "\"payments\": 104", "\"payments\": 304");
    let third = dev.at_last("running");
    assert_eq!(running(&url), (version(&third), 3));

    // Other settings are also other rules.
    project.replace("pelton.toml", "window = \"10s\"", "window = \"10500ms\"");
    dev.end("scenarios");
    project.replace(SCENARIO, "u1 10s window_ends", "u1 10500ms window_ends");
    let (fourth, _) = dev.end("running");
    assert_eq!(running(&url), (version(&fourth), 4));

    // It traps on something that is not in the scenario. The shadow shows that.
    project.replace(LIB, FIRST, &format!("{TRAP}{FIRST}"));
    let (_, text) = dev.end("traps");
    assert!(text.contains("it traps: ") && text.contains("too long"), "{text}");
    assert_eq!(running(&url), (version(&fourth), 4));
    project.replace(LIB, TRAP, "");
    dev.end("unchanged");

    // This can't be changed while it runs, so the demo starts again.
    project.replace("pelton.toml", "out_of_orderness = \"5s\"", "out_of_orderness = \"4s\"");
    let (fifth, _) = dev.end("running");
    assert_eq!(version(&fifth), version(&fourth));
    let anew = fifth["url"].as_str().expect("an address").to_owned();
    assert_eq!(running(&anew), (version(&fourth), 1));

    assert_eq!(dev.interrupt(), Some(0));
    let (code, out) = pelton(&["rules", "status", "--to", &anew]);
    assert!(code == 3 && out.contains("no instance answers"), "{out}");

    into_a_pipeline_that_runs(&project, version(&fourth));
}

/// The project's rules are already running, in a demo that is not ours.
fn into_a_pipeline_that_runs(project: &Project, first: String) {
    let component = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new/wasm32-unknown-unknown/release/alerts.wasm");
    let mut demo = Command::new(DEMO);
    demo.arg("--attached").args(["--http", "127.0.0.1:0"]);
    demo.arg("--file").arg(project.path.join("pelton.toml"));
    demo.args(["--set", &format!("rules.file={}", component.display())]);
    demo.stdin(Stdio::piped());
    let demo = Process::start(demo);
    let url = demo.line();
    assert_eq!(running(&url), (first, 1));

    let dev = project.dev(&["--to", &url, "--shadow", "0"]);
    dev.end("unchanged");
    project.replace(LIB, "payments + 300,\n", "payments + 400,\n");
    project.replace(SCENARIO, "\"payments\": 304", "\"payments\": 404");
    let end = dev.at_last("running");
    assert_eq!(dev.interrupt(), Some(0));
    // The demo is not ours, and keeps running.
    assert_eq!(running(&url), (version(&end), 2));

    // The swap is held back.
    let dev = project.dev(&["--to", &url, "--shadow", "100ms", "--hold"]);
    dev.end("unchanged");
    project.replace(LIB, "payments + 400,\n", "payments + 500,\n");
    project.replace(SCENARIO, "\"payments\": 404", "\"payments\": 504");
    let end = dev.at_last("held");
    assert!(end.to_string().contains("pelton rules promote --to http"), "{end}");
    assert_eq!(running(&url).1, 2);
    let (code, out) = pelton(&["rules", "promote", "--to", &url]);
    assert_eq!(code, 0, "{out}");
    assert_eq!(dev.interrupt(), Some(0));
    assert_eq!(running(&url).1, 3);

    // Without a shadow, it traps in the pipeline and is withdrawn.
    let dev = project.dev(&["--to", &url, "--shadow", "0"]);
    dev.end("unchanged");
    project.replace(LIB, FIRST, &format!("{TRAP}{FIRST}"));
    let (end, text) = dev.next("end");
    let why = match end["outcome"].as_str() {
        Some("withdrawn") => text,
        // Every task had already taken it over.
        Some("running") => dev.next("withdrawn").0.to_string(),
        _ => panic!("{end}\n{text}"),
    };
    assert!(why.contains("rules.fault_budget"), "{why}");
    project.replace(LIB, TRAP, "");
    dev.end("unchanged");
    assert_eq!(dev.interrupt(), Some(0));
}

#[test]
fn what_is_missing_is_said_at_once() {
    let (code, out) = pelton(&["dev", "not/there"]);
    assert!(code == 1 && out.contains("not/there can't be read"), "{out}");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let examples = root.join("examples").display().to_string();
    let (code, out) = pelton(&["dev", &examples]);
    assert!(code == 1 && out.contains("there is no Cargo.toml in"), "{out}");
    let guest = root.join("guest-enrich").display().to_string();
    let (code, out) = pelton(&["dev", &guest, "--to", "http://127.0.0.1:1"]);
    assert!(
        code == 3 && out.contains("no instance answers at http://127.0.0.1:1"),
        "{out}"
    );
    let (code, out) = pelton(&["dev", &guest, "--set", "epcoh=1"]);
    assert!(code == 1 && out.contains("unknown key; did you mean epoch?"), "{out}");
    let (code, out) = pelton(&["dev", &guest, "--hold", "--shadow", "0"]);
    assert!(code == 2 && out.contains("--shadow 10m"), "{out}");
}
