//! The demo, started for as long as this command runs.
//!
//! Rule: it ends when its standard input does, so it never outlives us, however we end.

use super::build::end;
use super::saves::{Interrupt, Saves};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// The clone that this binary was built in.
const CLONE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// To end what is open takes a moment.
const ENDING: Duration = Duration::from_secs(5);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// What it is started with.
pub struct Start<'a> {
    /// The pipeline's file, and its overrides.
    pub pipeline: &'a Path,
    pub sets: &'a [String],
    /// The rules.
    pub component: &'a Path,
    /// Address of its HTTP.
    pub http: std::net::SocketAddr,
    /// Its own arguments.
    pub more: &'a [String],
}

/// A running demo.
pub struct Demo {
    child: Child,
    /// Held open; dropped to end it.
    input: Option<ChildStdin>,
    /// Address of its HTTP.
    pub url: String,
}

/// Why it does not run.
pub enum Unstarted {
    /// Told to stop.
    Stopped,
    /// Why.
    Failed(String),
}

impl Demo {
    /// Starts it, and waits until it runs. `building`: told when it is to be built first.
    pub fn start(start: &Start<'_>, saves: &mut Saves, building: &mut dyn FnMut()) -> Result<Demo, Unstarted> {
        let failed = |why: String| Unstarted::Failed(why);
        let mut command = program(building).map_err(failed)?;
        command.arg("--attached").arg("--file").arg(start.pipeline);
        command.args(["--http", &start.http.to_string()]);
        let own = format!("rules.file={}", start.component.display());
        for set in start.sets.iter().chain([&own]) {
            command.args(["--set", set]);
        }
        command.args(start.more);
        // A group of its own: Ctrl-C is for us.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut child = command
            .spawn()
            .map_err(|why| failed(format!("the demo does not start: {why}")))?;
        let mut demo = Demo {
            input: child.stdin.take(),
            url: String::new(),
            child,
        };
        let Some(out) = demo.child.stdout.take() else {
            return Err(failed("the demo has no output".into()));
        };
        let (sender, first) = channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            // An empty line: it has ended, and has said why.
            let _ = BufReader::new(out).read_line(&mut line);
            let _ = sender.send(line);
        });
        loop {
            if let Ok(line) = first.recv_timeout(LOOK) {
                demo.url = line.trim().to_owned();
                return match demo.url.starts_with("http") {
                    true => Ok(demo),
                    false => Err(failed("the demo does not run: see above".into())),
                };
            }
            // A save waits: cargo may be building the demo.
            if saves.interrupt(Duration::ZERO) == Some(Interrupt::Stop) {
                return Err(Unstarted::Stopped);
            }
        }
    }

    /// True when it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        drop(self.input.take());
        let until = Instant::now() + ENDING;
        while !self.has_ended() && Instant::now() < until {
            std::thread::sleep(LOOK);
        }
        if !self.has_ended() {
            end(&mut self.child);
        }
    }
}

/// The program beside this one, named as this one is with `-demo` behind; or what cargo makes of the clone.
fn program(building: &mut dyn FnMut()) -> Result<Command, String> {
    let own = std::env::current_exe().map_err(|why| format!("this program can't be found: {why}"))?;
    let name = own.file_name().and_then(|name| name.to_str()).unwrap_or("pelton");
    let beside = own.with_file_name(format!("{name}-demo"));
    if beside.is_file() {
        return Ok(Command::new(beside));
    }
    let clone = PathBuf::from(CLONE);
    if !clone.join("demo/Cargo.toml").is_file() {
        return Err(format!(
            "there is no demo: neither {} nor the clone that this program was built in; start a pipeline, and name it: \
             pelton dev --to http://127.0.0.1:9464",
            beside.display()
        ));
    }
    building();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(clone).args([
        "run",
        "--release",
        "--quiet",
        "-p",
        "pelton-demo",
        "--no-default-features",
        "--",
    ]);
    Ok(cargo)
}
