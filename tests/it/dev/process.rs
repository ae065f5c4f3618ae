//! `pelton dev` as a child process, and its output.
//!
//! Rule: it ends with its owner, and so does the demo that it has started.

use super::PATIENCE;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// A process and its lines of output.
pub struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    /// Starts it.
    pub fn start(mut command: Command) -> Process {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let out = child.stdout.take().expect("it is piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(out).lines().map_while(Result::ok);
            lines.for_each(|line| _ = sender.send(line));
        });
        Process { child, lines }
    }

    /// `pelton dev` for this crate, which builds into that folder.
    pub fn dev(package: &Path, target: &Path, flags: &str, args: &[&str]) -> Process {
        let mut dev = Command::new(env!("CARGO_BIN_EXE_pelton-it"));
        dev.arg("dev").arg(package).arg("--json").args(args);
        dev.env("CARGO_TARGET_DIR", target)
            .env("CARGO_NET_OFFLINE", "true")
            .env("RUSTFLAGS", flags)
            .env_remove("CARGO_ENCODED_RUSTFLAGS");
        Process::start(dev)
    }

    /// Its next line.
    #[track_caller]
    pub fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("it says something in time")
    }

    /// Its next line of this kind, and all text before that.
    #[track_caller]
    pub fn next(&self, event: &str) -> (Value, String) {
        let mut text = String::new();
        loop {
            let said: Value = serde_json::from_str(&self.line()).expect("JSON");
            text += said["text"]
                .as_str()
                .filter(|_| said["event"] == "text")
                .unwrap_or_default();
            if said["event"] == event {
                return (said, text);
            }
        }
    }

    /// The outcome of the current save, and what is said about it.
    #[track_caller]
    pub fn end(&self, outcome: &str) -> (Value, String) {
        let (end, text) = self.next("end");
        assert_eq!(end["outcome"], outcome, "{end}\n{text}");
        (end, text)
    }

    /// The same for a save of several files, which may be taken for several saves.
    #[track_caller]
    pub fn at_last(&self, outcome: &str) -> Value {
        loop {
            let (end, text) = self.next("end");
            match end["outcome"].as_str() {
                Some(known) if known == outcome => return end,
                Some("superseded" | "scenarios") => {}
                _ => panic!("{end}\n{text}"),
            }
        }
    }

    /// Interrupts it like Ctrl-C. Returns the exit code.
    pub fn interrupt(mut self) -> Option<i32> {
        // SAFETY: a signal to our own child, which has not been waited for, so its id is still its own.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, libc::SIGINT) }, 0);
        // Its output ends when it ends.
        while self.lines.recv_timeout(PATIENCE).is_ok() {}
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
