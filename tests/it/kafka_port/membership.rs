//! The group: which member has which partition, and when it may go to another one.

use super::*;
use pelton::record::Partition;

#[test]
fn a_partition_changes_hands_only_when_it_is_released() {
    let rig = Rig::shared();
    let (lead, out) = (rig.topic("lead", 4).unwrap(), rig.topic("out", 1).unwrap());
    let group_id = Rig::unique("group");
    let first = kafka(rig, &[&lead, &out], &group_id, "first");
    let second = kafka(rig, &[&lead, &out], &group_id, "second");
    let (mut ours, assigned) = joined(&first);
    assert!(assigned.into_iter().eq(Partition::all(4)));
    let mut producer = first.producer(&Rig::unique("id")).unwrap();
    let open = transaction(
        &first,
        &[(OUT, Partition(0), "k", "too late")],
        &[(LEAD, Partition(0), Offset(1))],
    );

    let mut theirs = second.join().unwrap();
    let deadline = Instant::now() + PATIENCE;
    let revoked = loop {
        assert!(Instant::now() < deadline, "nothing was revoked");
        assert_eq!(theirs.poll(Duration::from_millis(20)).unwrap(), None);
        match ours.poll(Duration::from_millis(20)).unwrap() {
            Some(Membership::Revoked(revoked)) => break revoked,
            Some(other) => panic!("{other:?}"),
            None => {}
        }
    };
    assert_eq!(revoked.len(), 2);
    assert!(
        first.assignment() > open.assignment,
        "the counter comes before the word"
    );
    // It is not released, so the other one gets nothing, however long it polls.
    ours.released(&revoked[..1]).unwrap();
    let until = Instant::now() + Duration::from_millis(1500);
    while Instant::now() < until {
        assert_eq!(theirs.poll(Duration::from_millis(20)).unwrap(), None);
        assert_eq!(ours.poll(Duration::from_millis(20)).unwrap(), None);
    }
    // What began before is refused. What begins now is not, because this member is alive.
    assert!(matches!(commit(&mut *producer, open), Outcome::Aborted(_)));
    let now = transaction(
        &first,
        &[(OUT, Partition(0), "k", "in time")],
        &[(LEAD, Partition(0), Offset(1))],
    );
    assert!(matches!(commit(&mut *producer, now), Outcome::Committed(_)));

    ours.released(&revoked[1..]).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut handed = loop {
        assert!(Instant::now() < deadline, "nothing was handed over");
        assert_eq!(ours.poll(Duration::from_millis(20)).unwrap(), None);
        if let Some(membership) = theirs.poll(Duration::from_millis(20)).unwrap() {
            break membership;
        }
    };
    if let Membership::Assigned(partitions) = &mut handed {
        partitions.sort();
    }
    let mut expected = revoked.clone();
    expected.sort();
    assert_eq!(handed, Membership::Assigned(expected.clone()));

    // The group is told that it leaves, so no session has to time out (10 s).
    let left = Instant::now();
    drop(theirs);
    match told(&mut *ours) {
        Membership::Assigned(mut back) => {
            back.sort();
            assert_eq!(back, expected);
        }
        other => panic!("{other:?}"),
    }
    assert!(left.elapsed() < Duration::from_secs(8), "{:?}", left.elapsed());
}

#[test]
fn a_process_joins_once_and_can_join_again_after_it_left() {
    let rig = Rig::shared();
    let lead = rig.topic("lead", 1).unwrap();
    let kafka = kafka(rig, &[&lead], &Rig::unique("group"), "a");
    let (group, _) = joined(&kafka);
    assert!(matches!(kafka.join(), Err(Failure::Fatal(_))));
    let before = kafka.assignment();
    drop(group);
    assert!(kafka.assignment() > before, "leaving raises the counter");
    let (_group, assigned) = joined(&kafka);
    assert_eq!(assigned, [Partition(0)]);
}

#[test]
fn an_instance_that_is_started_twice_is_told() {
    let rig = Rig::shared();
    let lead = rig.topic("lead", 1).unwrap();
    let group_id = Rig::unique("group");
    let (one, two) = (
        kafka(rig, &[&lead], &group_id, "same"),
        kafka(rig, &[&lead], &group_id, "same"),
    );
    let (mut older, _) = joined(&one);
    let (_newer, assigned) = joined(&two);
    assert_eq!(assigned, [Partition(0)]);
    let deadline = Instant::now() + PATIENCE;
    let fenced = loop {
        assert!(Instant::now() < deadline, "the older one was not fenced");
        match older.poll(Duration::from_millis(50)) {
            Err(Failure::Fenced(why)) => break why,
            Err(Failure::Retry(_)) | Ok(_) => {}
            Err(other) => panic!("{other:?}"),
        }
    };
    assert!(fenced.contains("instance"), "{fenced}");
}
