//! The instances of versions on one thread.
//!
//! Rule: one for each version that a task runs, and none beside.

use super::telemetry::Telemetry;
use crate::record::Partition;
use crate::rules::Trap;
use crate::task::{Guest, Task, Wiring};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The instance of a version, made at its first use.
pub fn of<'a>(guests: &'a mut Vec<Guest>, wiring: &Arc<Wiring>, telemetry: &Telemetry) -> Result<&'a mut Guest, Trap> {
    let index = match guests.iter().position(|guest| Arc::ptr_eq(&guest.wiring, wiring)) {
        Some(index) => index,
        None => {
            let guest = Guest::new(wiring.clone())?;
            telemetry.instantiated(guest.made_in);
            guests.push(guest);
            guests.len() - 1
        }
    };
    Ok(&mut guests[index])
}

/// Versions that no task runs any more: their instances go.
pub fn forget(guests: &mut Vec<Guest>, tasks: &BTreeMap<Partition, Task>) {
    let runs = |guest: &Guest| tasks.values().any(|task| Arc::ptr_eq(task.wiring(), &guest.wiring));
    guests.retain(runs);
}
