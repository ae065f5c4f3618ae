//! Freezes a process for longer than its session, as a long pause of its machine does.
//!
//! Rule: it counts only if the group has given all of its tasks to the other process in the meantime. The frozen process
//! then goes on as if it still had them, with an epoch open, and must notice.

use super::feed::Feed;
use super::instance::{Instance, owners};
use super::options::PATIENCE;
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

/// How often to look who has the tasks.
const LOOK: Duration = Duration::from_millis(50);

/// Freezes the instance with this index until the other one has all tasks, and waits until it has tasks again.
pub fn beyond_the_session(instances: &mut [Instance<'_>; 2], index: usize, feed: &mut Feed<'_>) -> Result<()> {
    let other = 1 - index;
    until(instances, "the instances don't share the tasks", |owners| {
        owners.contains(&Some(index))
    })?;
    feed.more();
    instances[index].freeze(true);
    let taken = until(
        instances,
        "the tasks of a frozen instance have no new owner",
        |owners| owners.iter().all(|owner| *owner == Some(other)),
    );
    instances[index].freeze(false);
    taken?;
    until(instances, "an instance that was frozen gets no tasks", |owners| {
        owners.contains(&Some(index))
    })
}

fn until(instances: &mut [Instance<'_>; 2], why: &str, so: impl Fn(&[Option<usize>]) -> bool) -> Result<()> {
    let begun = Instant::now();
    while !so(&owners(instances)?) {
        instances.iter_mut().try_for_each(|instance| instance.lives())?;
        ensure!(begun.elapsed() < PATIENCE, "{why} after {PATIENCE:?}");
        std::thread::sleep(LOOK);
    }
    Ok(())
}
