//! Tests of the group: assignment, hand-over, eviction, fencing.

use super::*;
use Membership::{Assigned, Lost, Revoked};

fn change(of: &mut Joined) -> Option<Membership> {
    of.group.poll(NOW).unwrap()
}

/// An instance that has joined, and its first change.
fn join(cluster: &Embedded, name: &str) -> (Joined, Option<Membership>) {
    let log = instance(cluster, name);
    let mut group = log.join().unwrap();
    let first = group.poll(NOW).unwrap();
    let producer = log.producer(&format!("group-{name}")).unwrap();
    (Joined { log, group, producer }, first)
}

#[test]
fn a_partition_is_handed_over_only_after_its_release() {
    let (cluster, _) = cluster();
    let (mut a, first) = join(&cluster, "a");
    assert_eq!(
        (first, a.log.assignment()),
        (
            Some(Assigned(vec![Partition(0), Partition(1), Partition(2), Partition(3)])),
            1
        )
    );
    let (mut b, first) = join(&cluster, "b");
    assert_eq!((first, b.log.assignment()), (None, 0), "a has everything still");
    assert_eq!(
        (change(&mut a), a.log.assignment()),
        (Some(Revoked(vec![Partition(2), Partition(3)])), 2),
        "and keeps what it may"
    );
    assert_eq!((change(&mut a), change(&mut b)), (None, None));
    a.group.released(&[Partition(2)]).unwrap();
    assert_eq!(change(&mut b), Some(Assigned(vec![Partition(2)])));
    a.group.released(&[Partition(3)]).unwrap();
    assert_eq!(change(&mut b), Some(Assigned(vec![Partition(3)])));
    // A member that leaves gives its partitions back at once. The others keep theirs.
    b.group.leave();
    assert_eq!(change(&mut a), Some(Assigned(vec![Partition(2), Partition(3)])));
    assert_eq!(b.group.poll(NOW), Ok(None));
    assert!(matches!(b.submit("x", 1), Some(Outcome::Aborted(_))));
}

#[test]
fn each_generation_must_be_heard_of_before_a_commit() {
    let (cluster, _) = cluster();
    let mut a = joined(&cluster, "a");
    let (b, _) = join(&cluster, "b");
    assert!(matches!(a.submit("x", 1), Some(Outcome::Aborted(why)) if why.contains("illegal generation")));
    assert!(matches!(change(&mut a), Some(Revoked(_))));
    // Until it is released, a revoked partition may still be committed by an epoch that began after the change.
    assert!(matches!(a.submit("x", 1), Some(Outcome::Committed(_))));
    drop(b);
}

#[test]
fn the_gate_refuses_an_epoch_from_before_a_change() {
    let (cluster, _) = cluster();
    let mut a = joined(&cluster, "a");
    let begun = a.transaction("x", 1);
    let (_b, _) = join(&cluster, "b");
    assert!(matches!(change(&mut a), Some(Revoked(_))));
    a.producer.submit(begun);
    assert!(matches!(a.outcome(), Some(Outcome::Aborted(why)) if why.contains("assignment has changed")));
}

#[test]
fn the_fence_is_by_member_not_by_partition() {
    let (cluster, _) = cluster();
    let mut a = joined(&cluster, "a");
    let (mut b, _) = join(&cluster, "b");
    let Some(Revoked(partitions)) = change(&mut a) else {
        panic!("nothing was revoked")
    };
    a.group.released(&partitions).unwrap();
    assert!(change(&mut b).is_some() && change(&mut a).is_none());
    let mut stale = a.transaction("x", 1);
    stale.offsets = vec![InputOffset {
        topic: IN,
        partition: partitions[0],
        offset: Offset(9),
    }];
    a.producer.submit(stale);
    assert!(
        matches!(a.outcome(), Some(Outcome::Committed(_))),
        "as Kafka: a living member may commit what is not its own"
    );
}

#[test]
fn an_evicted_member_is_fenced_loses_all_and_joins_again() {
    let (cluster, _) = cluster();
    let mut a = joined(&cluster, "a");
    let (mut b, _) = join(&cluster, "b");
    cluster.evict("a");
    assert_eq!(
        change(&mut b),
        Some(Assigned(vec![Partition(0), Partition(1), Partition(2), Partition(3)])),
        "nobody asks the dead"
    );
    assert!(matches!(a.submit("x", 1), Some(Outcome::Aborted(why)) if why.contains("unknown member")));
    let counter = a.log.assignment();
    assert_eq!(
        (change(&mut a), a.log.assignment()),
        (
            Some(Lost(vec![Partition(0), Partition(1), Partition(2), Partition(3)])),
            counter + 1
        )
    );
    assert_eq!(change(&mut a), None, "it joins again only when everything is closed");
    a.group
        .released(&[Partition(0), Partition(1), Partition(2), Partition(3)])
        .unwrap();
    assert_eq!(change(&mut a), None);
    assert_eq!(change(&mut b), Some(Revoked(vec![Partition(2), Partition(3)])));
    b.group.released(&[Partition(2), Partition(3)]).unwrap();
    assert_eq!(change(&mut a), Some(Assigned(vec![Partition(2), Partition(3)])));
    assert!(matches!(a.submit("x", 1), Some(Outcome::Committed(_))));
}

#[test]
fn silence_beyond_the_session_timeout_evicts() {
    let (cluster, clock) = cluster();
    let mut a = joined(&cluster, "a");
    let (mut b, _) = join(&cluster, "b");
    clock.advance(crate::log::embedded::members::SESSION_TIMEOUT / 2);
    assert_eq!(change(&mut b), None);
    clock.advance(crate::log::embedded::members::SESSION_TIMEOUT / 2);
    assert_eq!(
        change(&mut b),
        Some(Assigned(vec![Partition(0), Partition(1), Partition(2), Partition(3)]))
    );
    assert!(matches!(change(&mut a), Some(Lost(_))));
}

#[test]
fn a_static_member_that_comes_back_keeps_its_partitions_and_fences_itself() {
    let (cluster, _) = cluster();
    let mut old = joined(&cluster, "a");
    let mut b = joined(&cluster, "b");
    let Some(Revoked(partitions)) = change(&mut old) else {
        panic!("nothing was revoked")
    };
    old.group.released(&partitions).unwrap();
    assert_eq!(change(&mut b), Some(Assigned(vec![Partition(2), Partition(3)])));
    cluster.kill("a");
    let (mut new, first) = join(&cluster, "a");
    assert_eq!(first, Some(Assigned(vec![Partition(0), Partition(1)])));
    assert_eq!(change(&mut b), None, "no rebalance");
    assert!(matches!(new.submit("x", 1), Some(Outcome::Committed(_))));
    // Two living processes with the same name: the older one is fenced for good.
    let (_newer, _) = join(&cluster, "a");
    assert!(matches!(
        new.submit("y", 1),
        Some(Outcome::Ambiguous(_) | Outcome::Aborted(_))
    ));
    assert!(matches!(new.group.poll(NOW), Err(Failure::Fenced(_))));
}

#[test]
fn an_accepted_offset_outlives_the_eviction_and_the_new_owner_waits_for_it() {
    let (cluster, _) = cluster();
    let mut a = joined(&cluster, "a");
    let (mut b, _) = join(&cluster, "b");
    assert!(change(&mut a).is_some());
    cluster.set_fates(Some(Box::new(|_| Fate {
        polls: 1,
        gate_early: true,
        ..Fate::GOOD
    })));
    assert_eq!(a.submit("x", 5), None);
    cluster.evict("a");
    assert!(change(&mut b).is_some());
    assert!(matches!(b.offset(), Err(Failure::Retry(_))));
    assert!(matches!(a.outcome(), Some(Outcome::Committed(_))));
    assert_eq!(b.offset(), Ok(Some(5)));
    // An offset that is sent after the eviction is refused.
    cluster.set_fates(None);
    assert!(matches!(a.submit("y", 6), Some(Outcome::Aborted(_))));
}

#[test]
fn nobody_has_more_than_one_above_another_and_the_rest_stays() {
    let (cluster, _) = cluster();
    cluster.delete_topic("in");
    cluster.create_topic("in", 16, &[]).unwrap();
    let mut members = Vec::new();
    let mut held: Vec<Vec<Partition>> = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        let (member, first) = join(&cluster, name);
        let first = match first {
            Some(Assigned(partitions)) => partitions,
            _ => Vec::new(),
        };
        members.push(member);
        held.push(first);
        let mut moved = 0;
        for _ in 0..4 {
            for (member, held) in members.iter_mut().zip(&mut held) {
                while let Some(change) = change(member) {
                    match change {
                        Assigned(partitions) => held.extend(partitions),
                        Revoked(partitions) | Lost(partitions) => {
                            moved += partitions.len();
                            held.retain(|partition| !partitions.contains(partition));
                            member.group.released(&partitions).unwrap();
                        }
                    }
                }
            }
        }
        let mut all: Vec<Partition> = held.iter().flatten().copied().collect();
        all.sort_unstable();
        assert_eq!(all, Partition::all(16).collect::<Vec<_>>(), "each has one holder");
        let (least, most) = (
            held.iter().map(Vec::len).min().unwrap(),
            held.iter().map(Vec::len).max().unwrap(),
        );
        assert!(most - least <= 1, "{held:?}");
        assert_eq!(
            moved,
            if members.len() == 1 { 0 } else { 16 / members.len() },
            "only the newcomer's share moves"
        );
    }
}

#[test]
fn one_instance_joins_once() {
    let (cluster, _) = cluster();
    let a = joined(&cluster, "a");
    assert!(matches!(a.log.join(), Err(Failure::Fatal(_))));
}
