//! Gives the authors of deploys their turns. Also handles an instance that a version does not fit.

use super::acts::{Act, Which};
use super::client::{DeployClient, Target};
use super::world::World;
use anyhow::Result;

impl World {
    /// Lets an author begin or continue, now and then.
    pub(super) fn deploy(&mut self) -> Result<()> {
        let now = self.clock.now().as_millis() as i64;
        while let Some(act) = self.acts.pop_front_if(|act| act.at <= now) {
            self.begin(act);
        }
        if !self.authors.is_empty() && self.dice.chance(0.2) {
            let index = self.dice.below(self.authors.len());
            self.step_author(index)?;
        }
        Ok(())
    }

    /// Deploys everything that is left, one after the other and without faults.
    pub(super) fn deploy_all(&mut self) -> Result<()> {
        for process in &self.processes {
            process.bench.refuse(None);
        }
        if self.authors.is_empty()
            && let Some(act) = self.acts.pop_front()
        {
            self.begin(act);
        }
        for index in (0..self.authors.len()).rev() {
            self.step_author(index)?;
        }
        Ok(())
    }

    fn begin(&mut self, act: Act) {
        if self.trace {
            println!("{:?} somebody deploys: {act:?}", self.clock.now());
        }
        let version = match act.which {
            Which::Version(version) => Some(version),
            Which::Shadow { version, .. } => version,
            _ => None,
        };
        if let (Some(by), Some(version)) = (act.refused_by, version) {
            let count = self.processes.len();
            self.processes[by % count].bench.refuse(Some(version));
        }
        self.acted += 1;
        let to = Target {
            pipeline: self.config.name.clone(),
            cluster: self.cluster.clone(),
            clock: self.clock.clone(),
            layout: self.layout.clone(),
            bench: self.bench.clone(),
        };
        let client = DeployClient::new(to, self.acted, act);
        self.authors.push(client);
    }

    fn step_author(&mut self, index: usize) -> Result<()> {
        let mut client = self.authors.swap_remove(index);
        if client.step()? {
            self.authors.push(client);
        }
        Ok(())
    }
}
