//! What must hold when an instance gives up a task, checked without asking its supervisor's rules.
//!
//! Rules:
//! - A task counts as closed only when no worker has it any more, so that its last epoch is decided.
//! - A partition goes back to the group only when its task is closed. A member that was fenced joins again only when all
//!   of its tasks are.

use super::world::World;
use anyhow::{Result, anyhow};
use pelton::instance::command::Claim;

impl World {
    /// Checks that the tasks for which an instance has stopped waiting since `before` are closed.
    pub(super) fn check_closed(&self, number: usize, before: &[Claim]) -> Result<()> {
        let Some(life) = &self.processes[number].life else {
            return Ok(());
        };
        let awaits = life.instance.awaits();
        let mut over = before.iter().filter(|claim| !awaits.contains(claim));
        let open = over.find(|claim| life.instance.task(claim.partition).is_some());
        open.map_or(Ok(()), |claim| {
            Err(anyhow!(
                "instance {number} takes {claim:?} for closed, and a worker still has its task"
            ))
        })
    }

    /// Checks what an instance has just told the group: which partitions it gives back, or that it joins again.
    pub(super) fn check_released(&self, number: usize, told: Option<&str>) -> Result<()> {
        let process = &self.processes[number];
        let released = process.fuse.take_released();
        let Some(life) = &process.life else {
            return Ok(());
        };
        let joins = told == Some("joins");
        let awaits = life.instance.awaits();
        let mut early = awaits
            .iter()
            .filter(|claim| joins || released.contains(&claim.partition));
        early.next().map_or(Ok(()), |claim| {
            let what = if joins { "joins again" } else { "gives partitions back" };
            Err(anyhow!(
                "instance {number} {what} while a worker still closes {claim:?}"
            ))
        })
    }
}
