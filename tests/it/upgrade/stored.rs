//! The local store that an earlier version has left.
//!
//! Rule: what the store stands for is deleted from the changelog first. So the right results show that it was read, by today's
//! code and today's RocksDB: a store that is wiped, or left out, leaves a task without its users, timers and questions.

use super::continuation::{after_shadowed, after_waiting};
use super::disk::Disk;
use super::fixture::{OURS, PARTITIONS, same, text};
use super::pipeline::Pipeline;
use pelton::record::Partition;

#[test]
fn it_goes_on_from_its_local_store() {
    let pipeline = Pipeline::load_stored("waiting");
    same(&after_waiting(&pipeline), &text("waiting.expected"));
}

#[test]
fn it_goes_on_from_its_local_store_in_the_middle_of_a_shadow() {
    let pipeline = Pipeline::load_stored("shadowed");
    same(&after_shadowed(&pipeline), &text("shadowed.expected"));
}

/// What the tests above open is worth something.
#[test]
fn the_stores_of_the_fixture_have_one_of_everything() {
    for name in ["waiting.state", "shadowed.state"] {
        for task in Partition::all(PARTITIONS) {
            let stored = Disk::of(name).stored(OURS, task);
            assert!(stored.has_one_of_everything(), "{name}, task {task}: {stored:#?}");
        }
    }
    let holds = Disk::of("waiting.state")
        .stored(OURS, Partition(0))
        .meta
        .expect("a meta")
        .prepared;
    assert!(holds.is_some_and(|prepared| prepared.number == 3), "{holds:?}");
}
