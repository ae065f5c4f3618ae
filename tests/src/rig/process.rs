//! A server's process and its folder.
//!
//! Rule: both end with their owner. If this process dies for whatever reason, the server dies with it, and the folder
//! is removed at the next start of a rig.

use anyhow::{Context, Result};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// How long a broker may take to answer after its start (2-5 s on an idle machine).
pub const START_TIMEOUT: Duration = Duration::from_secs(120);

/// A running server.
pub struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts it. Its output goes to `log`.
    pub fn spawn(mut command: Command, log: &Path) -> Result<Server> {
        let output = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        // SAFETY: prctl is async-signal-safe, and touches nothing of this process.
        unsafe {
            command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            })
        };
        let child = keeper(command).with_context(|| format!("starting a server (its log: {})", log.display()))?;
        Ok(Server {
            child,
            log: log.to_path_buf(),
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Freezes it with all of its connections, or lets it continue.
    pub fn freeze(&self, still: bool) {
        let signal = if still { libc::SIGSTOP } else { libc::SIGCONT };
        // SAFETY: a signal to our own child, which has not been waited for, so the id is still its own.
        unsafe { libc::kill(self.pid() as libc::pid_t, signal) };
    }

    /// Asks it to end, waits for that, and returns its exit code. A server that does not end is killed.
    pub fn stop(mut self) -> Option<i32> {
        /// A broker with nothing to hand over needs a second or two.
        const PATIENCE: Duration = Duration::from_secs(20);
        // SAFETY: our own child, which was not waited for yet, so the pid is still its own.
        unsafe { libc::kill(self.pid() as libc::pid_t, libc::SIGTERM) };
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.child.try_wait().ok().flatten()?.code()
    }

    /// Its log, if it no longer runs.
    pub fn ended(&mut self) -> Result<Option<String>> {
        match self.child.try_wait()? {
            None => Ok(None),
            Some(status) => Ok(Some(format!("{status}\n{}", std::fs::read_to_string(&self.log)?))),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error means that it has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts processes from a thread that lives as long as this process. The death signal is sent when the *thread* that
/// started a process ends, and the thread of a test ends early.
fn keeper(command: Command) -> Result<Child> {
    type Order = (Command, Sender<std::io::Result<Child>>);
    static KEEPER: OnceLock<Sender<Order>> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let (orders, todo) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in todo {
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let (answer, answered) = channel();
    keeper
        .send((command, answer))
        .ok()
        .context("the thread that starts servers has ended")?;
    Ok(answered.recv()??)
}

/// The folder of a server. It is removed with its owner.
pub struct Folder(PathBuf);

impl Folder {
    /// Creates a folder. Also removes the folders of killed processes.
    pub fn new(name: &str) -> Result<Folder> {
        let prefix = "pelton-rig-";
        for entry in std::fs::read_dir(std::env::temp_dir())?.flatten() {
            let file = entry.file_name();
            let owner = file
                .to_str()
                .and_then(|file| file.strip_prefix(prefix))
                .and_then(|rest| rest.split('-').next());
            if owner.is_some_and(|owner| owner.parse::<u32>().is_ok() && !Path::new("/proc").join(owner).exists()) {
                // Another process may be removing it too.
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        let unique = super::unique::unique(name);
        let folder = std::env::temp_dir().join(format!("{prefix}{}-{unique}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Folder(folder))
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // If this fails, the folder is removed at the next start.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
