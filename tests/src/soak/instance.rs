//! A process that runs the pipeline.
//!
//! Rule: it ends when it is killed, or when it is asked to stop, and then it must succeed. Any other end is an error.

use super::options::{PARTITIONS, PATIENCE, Program};
use super::pipeline::Pipeline;
use crate::rig::Server;
use anyhow::{Result, bail, ensure};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

/// A process of a pipeline.
pub struct Instance<'p> {
    pipeline: &'p Pipeline<'p>,
    name: &'static str,
    program: &'p Program,
    server: Option<Server>,
    /// Where its log stood when it was started last.
    from: usize,
    /// When that was.
    started: SystemTime,
}

impl<'p> Instance<'p> {
    /// Starts it. The instances of a pipeline must have different names.
    pub fn start(pipeline: &'p Pipeline<'p>, name: &'static str, program: &'p Program) -> Result<Instance<'p>> {
        let mut instance = Instance {
            pipeline,
            name,
            program,
            server: None,
            from: 0,
            started: SystemTime::now(),
        };
        instance.again()?;
        Ok(instance)
    }

    /// Freezes it, or lets it continue.
    pub fn freeze(&self, still: bool) {
        if let Some(server) = &self.server {
            server.freeze(still);
        }
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Starts it again if it was killed. Its state is still there.
    pub fn again(&mut self) -> Result<()> {
        if self.server.is_some() {
            return Ok(());
        }
        let Program { path, words, .. } = self.program;
        let mut command = Command::new(path);
        command.args(words).arg("run").arg(self.pipeline.file());
        command.args(["--set", &format!("instance={}", self.name)]);
        if self.pipeline.stored {
            let folder = self.pipeline.path(&format!("state-{}", self.name));
            command.args(["--set", &format!("state.dir={}", folder.display())]);
            // Often, so that a restart goes on from it.
            command.args(["--set", "state.flush_bytes=1MiB"]);
        }
        self.from = std::fs::read_to_string(self.log()).unwrap_or_default().len();
        self.started = SystemTime::now();
        self.server = Some(Server::spawn(command, &self.log())?);
        Ok(())
    }

    /// The process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Server::pid)
    }

    fn log(&self) -> PathBuf {
        match &self.program.logs {
            Some(folder) => folder.join(format!("{}-{}.log", self.pipeline.name, self.name)),
            None => self.pipeline.path(&format!("log-{}", self.name)),
        }
    }

    /// Fails if it has ended by itself.
    pub fn lives(&mut self) -> Result<()> {
        match self.server.as_mut().map(Server::ended).transpose()?.flatten() {
            Some(said) => bail!("instance {} has ended: {said}", self.name),
            None => Ok(()),
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// When it last opened this task since its last start, according to its log.
    pub fn opened(&self, task: i32) -> Result<Option<String>> {
        let what = format!("open task={task} ");
        let log = std::fs::read_to_string(self.log())?;
        let line = log[self.from..]
            .lines()
            .rfind(|line| format!("{line} ").contains(&what));
        Ok(line.and_then(|line| line.split_whitespace().next()).map(str::to_owned))
    }

    /// Whether it has finished a flush to its local store since its last start: RocksDB has written a file of rows. What
    /// it stored before may be of no use, because its changelog was cut while others had the task.
    pub fn has_stored(&self) -> Result<bool> {
        let folder = self.pipeline.path(&format!("state-{}/state", self.name));
        for file in std::fs::read_dir(folder)? {
            let file = file?;
            let rows = file.path().extension().is_some_and(|extension| extension == "sst");
            // RocksDB may just have removed it.
            let new = || {
                file.metadata()
                    .and_then(|data| data.modified())
                    .is_ok_and(|at| at > self.started)
            };
            if rows && new() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The number of tasks that it has restored from its local store since its last start.
    pub fn stored(&self) -> Result<usize> {
        /// As this version says it, and as the one of the fixture does.
        const SAYS: [&str; 2] = ["loaded the stored state", "the stored state is loaded"];
        let log = std::fs::read_to_string(self.log())?;
        Ok(SAYS.iter().map(|says| log[self.from..].matches(says).count()).sum())
    }

    /// Waits until this is in its log.
    pub fn says(&mut self, what: &str) -> Result<()> {
        let begun = Instant::now();
        while !std::fs::read_to_string(self.log())?.contains(what) {
            self.lives()?;
            ensure!(
                begun.elapsed() < PATIENCE,
                "instance {} does not say {what:?}",
                self.name
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Stops it, and starts another program in its place, on its local store.
    pub fn replace(&mut self, program: &'p Program) -> Result<()> {
        self.end()?;
        self.program = program;
        self.again()
    }

    /// Asks it to stop, and checks that it succeeds.
    pub fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        let code = self.server.take().and_then(Server::stop);
        ensure!(
            code == Some(0),
            "instance {} has ended with {code:?}:\n{}",
            self.name,
            std::fs::read_to_string(self.log())?
        );
        Ok(())
    }
}

/// The instance that opened each task last, by its index. An earlier life of an instance does not count.
pub fn owners(instances: &[Instance<'_>; 2]) -> Result<Vec<Option<usize>>> {
    let owner = |task| {
        let [first, second] = [instances[0].opened(task)?, instances[1].opened(task)?];
        let nobody = first.is_none() && second.is_none();
        Ok((!nobody).then_some(usize::from(second > first)))
    };
    (0..PARTITIONS).map(owner).collect()
}

impl Pipeline<'_> {
    /// Starts one process, and waits until it has all tasks.
    pub fn one(&self) -> Result<Instance<'_>> {
        let mut first = Instance::start(self, "a", self.programs[0])?;
        first.says(&format!("open task={}", PARTITIONS - 1))?;
        Ok(first)
    }

    /// Starts two processes, and waits until they share the tasks.
    pub fn two(&self) -> Result<[Instance<'_>; 2]> {
        let first = self.one()?;
        let mut second = Instance::start(self, "b", self.programs[1])?;
        second.says("open task=")?;
        Ok([first, second])
    }
}
