//! The content of the control topic, in the auditor's terms.

use super::topics::read;
use super::versions;
use super::world::World;
use crate::auditor::{self, ControlEvent, Decided};
use crate::translate;
use anyhow::Result;
use pelton::record::Partition;

/// All of its committed records.
fn control_events(world: &World) -> Result<Vec<ControlEvent>> {
    let records = read(world, world.layout.control, Partition(0)).into_iter();
    let records = records.map(|record| (record.key.unwrap_or_default(), record.value.unwrap_or_default()));
    translate::control(records, |deploy| versions::of(&deploy.version).map(versions::does))
}

/// The outcome of the deploys so far.
pub fn decided(world: &World) -> Result<Decided> {
    auditor::decide(&control_events(world)?, world.plan.partitions as usize)
}
