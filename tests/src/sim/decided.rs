//! The content of the control topic, in the auditor's terms.

use super::topics::read;
use super::versions;
use super::world::World;
use crate::auditor::{self, Decided, Said};
use crate::told;
use anyhow::Result;
use pelton::record::Partition;

/// All of its committed records.
fn said(world: &World) -> Result<Vec<Said>> {
    let records = read(world, world.layout.control, Partition(0)).into_iter();
    let records = records.map(|record| (record.key.unwrap_or_default(), record.value.unwrap_or_default()));
    told::control(records, |deploy| versions::of(&deploy.version).map(versions::does))
}

/// The outcome of the deploys so far.
pub fn decided(world: &World) -> Result<Decided> {
    auditor::decide(&said(world)?, world.plan.partitions as usize)
}
