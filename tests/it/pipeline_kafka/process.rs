//! A child process that runs `pelton`.
//!
//! Rule: it ends with its owner.

use pelton_demo::traffic::iso;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A running `pelton run`, with its log in a file.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it. Its output is added to `log`.
    pub fn run(file: &Path, sets: &[&str], log: &Path) -> Process {
        let mut output = File::options().create(true).append(true).open(log).unwrap();
        let mut now = vec![];
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        iso(&mut now, since.as_millis() as i64);
        writeln!(output, "{} started", String::from_utf8_lossy(&now)).unwrap();
        let mut command = command("run", file, sets);
        command.stdout(Stdio::null()).stderr(output);
        // SAFETY: prctl is async-signal-safe, and touches nothing of this process. The death signal comes when the
        // thread that has started the process ends. That is the test, which is its owner.
        unsafe {
            command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            })
        };
        Process {
            child: command.spawn().expect("pelton starts"),
            log: log.to_path_buf(),
        }
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        // SAFETY: a signal to our own child, which has not been waited for, so its id is still its own.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) }, 0);
    }

    /// Ends it at once, like a crash.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Its exit code if it has ended. The inner value is `None` if a signal ended it.
    pub fn ended(&mut self) -> Option<Option<i32>> {
        self.child.try_wait().unwrap().map(|status| status.code())
    }

    /// Waits for its end, and returns the exit code.
    pub fn code(&mut self, patience: Duration) -> i32 {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(code) = self.ended() {
                return code.unwrap_or_else(|| panic!("ended by a signal:\n{}", self.said()));
            }
            assert!(
                Instant::now() < deadline,
                "it has not ended in {patience:?}:\n{}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks it to stop, and checks that it succeeds. Returns how long that took.
    pub fn stop(mut self) -> Duration {
        let begun = Instant::now();
        self.terminate();
        let code = self.code(super::PATIENCE);
        assert_eq!(code, 0, "{}", self.said());
        begun.elapsed()
    }

    /// The output of this process and its predecessors.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Fails if it has ended.
    pub fn lives(&mut self) {
        assert_eq!(self.ended(), None, "it has ended:\n{}", self.said());
    }

    /// Waits until this is in its output.
    pub fn says(&mut self, what: &str, patience: Duration) {
        let deadline = Instant::now() + patience;
        while !self.said().contains(what) {
            assert_eq!(self.ended(), None, "it has ended without {what:?}:\n{}", self.said());
            assert!(Instant::now() < deadline, "it has not said {what:?}:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end.
pub fn pelton(words: &str, file: &Path, sets: &[&str]) -> Output {
    command(words, file, sets).output().expect("pelton starts")
}

/// The same, with all of its arguments.
pub fn words(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pelton-it"));
    command
        .args(words)
        .stdin(Stdio::null())
        .output()
        .expect("pelton starts")
}

fn command(words: &str, file: &Path, sets: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pelton-it"));
    command.args(words.split(' ')).arg(file).stdin(Stdio::null());
    for set in sets {
        command.args(["--set", set]);
    }
    command
}
