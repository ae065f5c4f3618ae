//! The broker goes away while everything runs, and comes back.

use super::*;
use pelton::record::Partition;
use pelton_tests::rig::Record;

#[test]
fn a_broker_that_is_away_is_told_and_everything_goes_on_when_it_is_back() {
    let rig = Rig::kafka().unwrap();
    let (lead, out) = (rig.topic("lead", 1).unwrap(), rig.topic("out", 1).unwrap());
    let kafka = kafka(&rig, &[&lead, &out], &Rig::unique("group"), "a");
    let (mut group, _) = joined(&kafka);
    let mut producer = kafka.producer(&Rig::unique("id")).unwrap();
    let mut reader = kafka.reader(Duration::from_millis(50)).unwrap();
    reader.assign(LEAD, Partition(0), Offset(0)).unwrap();
    rig.produce(&lead, &[Record::new("k", "0"), Record::new("k", "1")])
        .unwrap();
    arrivals(&mut *reader, |got| offsets(got, Partition(0)) == [0, 1]).unwrap();
    let before = transaction(
        &kafka,
        &[(OUT, Partition(0), "k", "before")],
        &[(LEAD, Partition(0), Offset(1))],
    );
    assert!(matches!(commit(&mut *producer, before), Outcome::Committed(_)));

    // An orderly stop: a broker that is killed right after a commit does not always keep it (docs/operations.md).
    rig.stop();
    let broker = rig.brokers();
    let mut got = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    let why = loop {
        assert!(Instant::now() < deadline, "nobody said that the broker is away");
        match reader.poll(Duration::from_millis(50), &mut got) {
            Err(Failure::Retry(why)) => break why,
            Err(other) => panic!("{other}"),
            Ok(()) => {}
        }
    };
    assert!(why.contains(&broker), "{why}");
    assert!(matches!(kafka.bounds(LEAD, Partition(0)), Err(Failure::Retry(why)) if why.contains(&broker)));
    let during = transaction(
        &kafka,
        &[(OUT, Partition(0), "k", "during")],
        &[(LEAD, Partition(0), Offset(2))],
    );
    let doubt = commit(&mut *producer, during);
    assert!(matches!(doubt, Outcome::Ambiguous(_)), "{doubt:?}");
    got.retain(|arrival| matches!(arrival, Arrival::Records(_)));
    assert!(got.is_empty(), "{got:?}");

    rig.start().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while let Err(failure) = producer.renew() {
        assert!(
            matches!(failure, Failure::Retry(_)) && Instant::now() < deadline,
            "{failure}"
        );
    }
    rig.produce(&lead, &[Record::new("k", "2")]).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut got = Vec::new();
    while offsets(&got, Partition(0)).is_empty() {
        assert!(Instant::now() < deadline, "the reader does not go on");
        match reader.poll(Duration::from_millis(50), &mut got) {
            Ok(()) | Err(Failure::Retry(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(offsets(&got, Partition(0)), [2]);
    // The membership comes back, with or without its partitions. Until then the gate is closed.
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "the member does not come back");
        match group.poll(Duration::from_millis(50)) {
            Ok(Some(Membership::Revoked(gone) | Membership::Lost(gone))) => group.released(&gone).unwrap(),
            Ok(_) | Err(Failure::Retry(_)) => {}
            // The restarted broker may take the member that joins again for a second one. Then it is fenced, and joins
            // once more.
            Err(Failure::Fenced(_)) => {
                drop(group);
                group = kafka.join().unwrap();
            }
            Err(other) => panic!("{other}"),
        }
        let after = transaction(
            &kafka,
            &[(OUT, Partition(0), "k", "after")],
            &[(LEAD, Partition(0), Offset(3))],
        );
        match commit(&mut *producer, after) {
            Outcome::Committed(_) => break,
            Outcome::Aborted(_) => {}
            Outcome::Ambiguous(_) => producer.renew().unwrap(),
        }
    }
    let values: Vec<_> = rig.read(&out).unwrap().iter().map(|record| record.text()).collect();
    assert_eq!(values, ["before", "after"]);
    assert_eq!(kafka.committed(&[(LEAD, Partition(0))]).unwrap(), [Some(Offset(3))]);
}
