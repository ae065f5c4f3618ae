//! The data directory of an instance.
//!
//! Rule: it belongs to one cluster and, while it is open, to one process. It remembers how many transactional ids the
//! instance has ever used, because all of them must be taken over after a crash.

use crate::error::{Failure, Result};
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The directory has the state of all keys, so other users of the machine must not read it.
const OWNER_ONLY: u32 = 0o700;

/// The data directory, locked.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Held as long as this value lives. The system releases it when the process dies.
    _lock: File,
}

impl Directory {
    /// Opens or creates the directory. Fails if it belongs to another cluster, or if another process has it open.
    pub fn open(path: &Path, cluster: &str) -> Result<Self> {
        let shown = path.display();
        let failed = |what: &str, e: io::Error| Failure::Fatal(format!("data directory {shown}: can't {what}: {e}"));
        fs::create_dir_all(path).map_err(|e| failed("make it", e))?;
        if let Err(why) = fs::set_permissions(path, fs::Permissions::from_mode(OWNER_ONLY)) {
            tracing::warn!(
                folder = %shown,
                %why,
                "other users of this machine may be able to read the state: the folder belongs to somebody else"
            );
        }
        let lock = File::create(path.join("lock")).map_err(|e| failed("make the file `lock`", e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::Fatal(format!(
                    "data directory {shown}: another process has it open; give each instance a directory of its own"
                )));
            }
            Err(TryLockError::Error(e)) => return Err(failed("lock it", e)),
        }
        let directory = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        match fs::read_to_string(path.join("cluster")) {
            Ok(owner) if owner.trim_end() == cluster => {}
            Ok(owner) => {
                return Err(Failure::Fatal(format!(
                    "data directory {shown}: it holds state of the cluster {}, not of {cluster}; use another directory, or remove it",
                    owner.trim_end()
                )));
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => directory.write("cluster", cluster)?,
            Err(e) => return Err(failed("read the file `cluster`", e)),
        }
        Ok(directory)
    }

    /// Path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The highest number of workers that this instance has ever had, which is the number of transactional ids to take
    /// over. Initially 0.
    pub fn workers_ever(&self) -> Result<u32> {
        let path = self.path.join("instance");
        match fs::read_to_string(&path) {
            Ok(text) => text.trim_end().parse().map_err(|_| {
                Failure::Fatal(format!(
                    "{}: a number was expected; write the highest number of workers that this instance ever had into it",
                    path.display()
                ))
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(e) => Err(Failure::Fatal(format!("can't read {}: {e}", path.display()))),
        }
    }

    /// Saves the number durably, before the first transaction of a new worker. It never decreases.
    pub fn remember_workers(&self, workers: u32) -> Result<()> {
        if workers <= self.workers_ever()? {
            return Ok(());
        }
        self.write("instance", &workers.to_string())
    }

    /// Writes a file completely or not at all.
    fn write(&self, name: &str, text: &str) -> Result<()> {
        let (path, fresh) = (self.path.join(name), self.path.join(format!("{name}.new")));
        let write = || {
            let mut file = File::create(&fresh)?;
            writeln!(file, "{text}")?;
            file.sync_all()?;
            fs::rename(&fresh, &path)?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(|e| Failure::Fatal(format!("can't write {}: {e}", path.display())))
    }
}
