//! The demo, which runs as long as this command.
//!
//! Rule: the demo ends when its standard input is closed, so it can't outlive us, however we end.

use super::build::end;
use super::saves::{Interrupt, Saves};
use anyhow::{Result, anyhow, bail};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// The clone that this binary was built in.
const CLONE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// How long the demo may take to end.
const ENDING: Duration = Duration::from_secs(5);

/// How often to check for its first line.
const LOOK: Duration = Duration::from_millis(5);

/// What the demo is started with.
pub struct Start<'a> {
    /// The pipeline's file, and its overrides.
    pub pipeline: &'a Path,
    pub sets: &'a [String],
    /// The component.
    pub component: &'a Path,
    /// Address of its HTTP server.
    pub http: std::net::SocketAddr,
    /// Additional arguments.
    pub more: &'a [String],
}

/// A running demo.
pub struct Demo {
    child: Child,
    /// Held open. Dropping it ends the demo.
    input: Option<ChildStdin>,
    /// URL of its HTTP server.
    pub url: String,
}

/// Why the demo does not run.
pub enum Unstarted {
    /// The command was told to stop.
    Stopped,
    /// It could not start, for this reason.
    Failed(String),
}

impl Demo {
    /// Starts the demo, and waits until it runs. Calls `building` if it must be built first.
    pub fn start(start: &Start<'_>, saves: &mut Saves, building: &mut dyn FnMut()) -> Result<Demo, Unstarted> {
        let failed = |why: String| Unstarted::Failed(why);
        let mut command = program(building).map_err(|why| failed(why.to_string()))?;
        command.arg("--attached").arg("--file").arg(start.pipeline);
        command.args(["--http", &start.http.to_string()]);
        let own = format!("rules.file={}", start.component.display());
        for set in start.sets.iter().chain([&own]) {
            command.args(["--set", set]);
        }
        command.args(start.more);
        // A process group of its own, so that Ctrl-C reaches only us.
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
            // An empty line means that it has ended. It has printed the reason.
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
            // A save must wait, because cargo may be building the demo.
            if saves.interrupt(Duration::ZERO) == Some(Interrupt::Stop) {
                return Err(Unstarted::Stopped);
            }
        }
    }

    /// Whether it has ended by itself.
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

/// The program next to this one whose name ends with `-demo`, or else the one that cargo builds in the clone.
fn program(building: &mut dyn FnMut()) -> Result<Command> {
    let own = std::env::current_exe().map_err(|why| anyhow!("this program can't be found: {why}"))?;
    let name = own.file_name().and_then(|name| name.to_str()).unwrap_or("pelton");
    let beside = own.with_file_name(format!("{name}-demo"));
    if beside.is_file() {
        return Ok(Command::new(beside));
    }
    let clone = PathBuf::from(CLONE);
    if !clone.join("demo/Cargo.toml").is_file() {
        bail!(
            "there is no demo: neither {} nor the clone that this program was built in; start a pipeline, and name it: \
             pelton dev --to http://127.0.0.1:9464",
            beside.display()
        );
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
