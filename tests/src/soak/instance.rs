//! A process that runs the pipeline.
//!
//! Rule: it ends by a kill, or by a stop that must go well; an end of its own is an error.

use super::PATIENCE;
use super::pipeline::Pipeline;
use crate::rig::Server;
use anyhow::{Result, bail, ensure};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// How `pelton` is started.
#[derive(Clone, Debug)]
pub struct Program {
    /// The file.
    pub path: PathBuf,
    /// What stands in front of pelton's own words.
    pub words: Vec<String>,
    /// Where the processes' logs are kept; none: they go with the pipeline.
    pub logs: Option<PathBuf>,
}

/// See the module.
pub struct Instance<'p> {
    pipeline: &'p Pipeline<'p>,
    name: &'static str,
    server: Option<Server>,
}

impl<'p> Instance<'p> {
    /// Starts it. Instances of a pipeline have names of their own.
    pub fn start(pipeline: &'p Pipeline<'p>, name: &'static str) -> Result<Instance<'p>> {
        let mut instance = Instance {
            pipeline,
            name,
            server: None,
        };
        instance.again()?;
        Ok(instance)
    }

    /// It stands still, or goes on.
    pub fn freeze(&self, still: bool) {
        if let Some(server) = &self.server {
            server.freeze(still);
        }
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Starts it again, if it was killed; its state is where it was.
    pub fn again(&mut self) -> Result<()> {
        if self.server.is_some() {
            return Ok(());
        }
        let Program { path, words, .. } = self.pipeline.program;
        let mut command = Command::new(path);
        command.args(words).arg("run").arg(self.pipeline.file());
        command.args(["--set", &format!("instance={}", self.name)]);
        if self.pipeline.stored {
            let folder = self.pipeline.path(&format!("state-{}", self.name));
            command.args(["--set", &format!("state.dir={}", folder.display())]);
        }
        self.server = Some(Server::spawn(command, &self.log())?);
        Ok(())
    }

    /// Process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Server::pid)
    }

    fn log(&self) -> PathBuf {
        match &self.pipeline.program.logs {
            Some(folder) => folder.join(format!("{}-{}.log", self.pipeline.name, self.name)),
            None => self.pipeline.path(&format!("log-{}", self.name)),
        }
    }

    /// It has not ended by itself.
    pub fn lives(&mut self) -> Result<()> {
        match self.server.as_mut().map(Server::ended).transpose()?.flatten() {
            Some(said) => bail!("instance {} has ended: {said}", self.name),
            None => Ok(()),
        }
    }

    /// When it has opened this task last, as its log says.
    pub fn opened(&self, task: i32) -> Result<Option<String>> {
        let what = format!("open task={task} ");
        let log = std::fs::read_to_string(self.log())?;
        let line = log.lines().rfind(|line| format!("{line} ").contains(&what));
        Ok(line.and_then(|line| line.split_whitespace().next()).map(str::to_owned))
    }

    /// Waits until its log says this.
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

    /// Asks it to stop, and expects that it ends well.
    pub fn stop(mut self) -> Result<()> {
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
