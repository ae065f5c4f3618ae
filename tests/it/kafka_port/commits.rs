//! Transactions: all or nothing, and behind the gate.

use super::*;
use pelton::log::End;
use pelton::record::Partition;
use pelton_tests::rig::{Ending, Record};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset as At, TopicPartitionList};

#[test]
fn a_transaction_is_in_the_log_with_all_its_bytes_and_offsets() {
    const OTHER: TopicIx = TopicIx(1);
    const OUT: TopicIx = TopicIx(2);
    let rig = Rig::shared();
    let (lead, other, out) = (
        rig.topic("lead", 2).unwrap(),
        rig.topic("other", 2).unwrap(),
        rig.topic("out", 2).unwrap(),
    );
    let kafka = kafka(rig, &[&lead, &other, &out], &Rig::unique("group"), "a");
    let (_group, assigned) = joined(&kafka);
    assert_eq!(assigned, [Partition(0), Partition(1)]);
    let mut producer = kafka.producer(&Rig::unique("id")).unwrap();

    // The offsets of `other`, which no member subscribes to, are committed too.
    let mut first = transaction(
        &kafka,
        &[
            (OUT, Partition(0), "k", "v"),
            (OUT, Partition(1), "k1", ""),
            (OUT, Partition(0), "k2", "v2"),
        ],
        &[(LEAD, Partition(1), Offset(7)), (OTHER, Partition(0), Offset(3))],
    );
    let name = Span::append(&mut first.bytes, b"origin");
    let value = Span::append(&mut first.bytes, &[0, 255]);
    first.headers.push((name, value));
    first.records[0].headers = 0..1;
    first.records[2].value = None;
    first.records[2].timestamp = 0;
    let done = commit(&mut *producer, first);
    assert_eq!(
        done,
        ends(&[(OUT, Partition(0), Offset(2)), (OUT, Partition(1), Offset(1))])
    );

    let read = rig.read(&out).unwrap();
    let found: Vec<_> = read
        .iter()
        .map(|record| (record.partition, record.key.clone(), record.value.clone()))
        .collect();
    let bytes = |text: &str| Some(text.as_bytes().to_vec());
    assert_eq!(
        found,
        [
            (0, bytes("k"), bytes("v")),
            (0, bytes("k2"), None),
            (1, bytes("k1"), bytes("")),
        ]
    );
    assert_eq!(read[0].headers, [("origin".to_string(), vec![0, 255])]);
    // To librdkafka, 0 would mean "now".
    assert_eq!((read[0].timestamp, read[1].timestamp), (1_000, 1));
    let [first, second] = [Partition(0), Partition(1)];
    let of = [(LEAD, first), (LEAD, second), (OTHER, first), (OTHER, second)];
    assert_eq!(
        kafka.committed(&of).unwrap(),
        [None, Some(Offset(7)), Some(Offset(3)), None]
    );
}

#[test]
fn the_gate_refuses_an_old_assignment_counter_and_the_producer_goes_on() {
    let rig = Rig::shared();
    let (lead, out) = (rig.topic("lead", 1).unwrap(), rig.topic("out", 1).unwrap());
    let kafka = kafka(rig, &[&lead, &out], &Rig::unique("group"), "a");
    let mut old = transaction(
        &kafka,
        &[(OUT, Partition(0), "k", "old")],
        &[(LEAD, Partition(0), Offset(1))],
    );
    let (_group, _) = joined(&kafka);
    assert_ne!(old.assignment, kafka.assignment(), "an assignment raises the counter");
    let mut producer = kafka.producer(&Rig::unique("id")).unwrap();
    let refused = commit(&mut *producer, old);
    assert!(
        matches!(&refused, Outcome::Aborted(why) if why.contains("assignment has changed")),
        "{refused:?}"
    );
    assert_eq!(kafka.committed(&[(LEAD, Partition(0))]).unwrap(), [None]);
    old = transaction(
        &kafka,
        &[(OUT, Partition(0), "k", "new")],
        &[(LEAD, Partition(0), Offset(2))],
    );
    // After the aborted record and its marker.
    assert_eq!(commit(&mut *producer, old), ends(&[(OUT, Partition(0), Offset(3))]));
    let values: Vec<_> = rig.read(&out).unwrap().iter().map(|record| record.text()).collect();
    assert_eq!(values, ["new"]);
    assert_eq!(kafka.committed(&[(LEAD, Partition(0))]).unwrap(), [Some(Offset(2))]);
}

#[test]
fn who_is_no_member_commits_nothing() {
    let rig = Rig::shared();
    let (lead, out) = (rig.topic("lead", 1).unwrap(), rig.topic("out", 1).unwrap());
    let kafka = kafka(rig, &[&lead, &out], &Rig::unique("group"), "a");
    let mut producer = kafka.producer(&Rig::unique("id")).unwrap();
    let early = transaction(
        &kafka,
        &[(OUT, Partition(0), "k", "v")],
        &[(LEAD, Partition(0), Offset(1))],
    );
    let refused = commit(&mut *producer, early);
    assert!(
        matches!(&refused, Outcome::Aborted(why) if why.contains("not a member")),
        "{refused:?}"
    );

    // Nor may a former member.
    let (mut group, _) = joined(&kafka);
    group.leave();
    let late = transaction(
        &kafka,
        &[(OUT, Partition(0), "k", "v")],
        &[(LEAD, Partition(0), Offset(1))],
    );
    let refused = commit(&mut *producer, late);
    assert!(
        matches!(&refused, Outcome::Aborted(why) if why.contains("not a member")),
        "{refused:?}"
    );
    assert!(rig.read(&out).unwrap().is_empty());
    assert_eq!(kafka.committed(&[(LEAD, Partition(0))]).unwrap(), [None]);
}

#[test]
fn a_new_producer_fences_the_older_one_with_its_id() {
    let rig = Rig::shared();
    let (lead, out) = (rig.topic("lead", 1).unwrap(), rig.topic("out", 1).unwrap());
    let kafka = kafka(rig, &[&lead, &out], &Rig::unique("group"), "a");
    let (_group, _) = joined(&kafka);
    let id = Rig::unique("id");
    let mut older = kafka.producer(&id).unwrap();
    let mut newer = kafka.producer(&id).unwrap();
    let of = |value| {
        transaction(
            &kafka,
            &[(OUT, Partition(0), "k", value)],
            &[(LEAD, Partition(0), Offset(1))],
        )
    };
    let fenced = commit(&mut *older, of("older"));
    assert!(matches!(fenced, Outcome::Ambiguous(_)), "{fenced:?}");
    assert!(matches!(commit(&mut *newer, of("newer")), Outcome::Committed(_)));
    // It stays unusable until it is renewed. Then it is the newer one.
    assert!(matches!(commit(&mut *older, of("older")), Outcome::Ambiguous(_)));
    older.renew().unwrap();
    assert!(matches!(commit(&mut *older, of("renewed")), Outcome::Committed(_)));
    assert!(matches!(commit(&mut *newer, of("newer again")), Outcome::Ambiguous(_)));
    let values: Vec<_> = rig.read(&out).unwrap().iter().map(|record| record.text()).collect();
    assert_eq!(values, ["newer", "renewed"]);
}

#[test]
fn a_record_that_the_broker_refuses_aborts_the_whole() {
    const COMPACTED: TopicIx = TopicIx(2);
    let rig = Rig::shared();
    let (lead, out) = (rig.topic("lead", 1).unwrap(), rig.topic("out", 1).unwrap());
    let compacted = Rig::unique("compacted");
    rig.create(&compacted, 1, &[("cleanup.policy", "compact")]).unwrap();
    let kafka = kafka(rig, &[&lead, &out, &compacted], &Rig::unique("group"), "a");
    let (_group, _) = joined(&kafka);
    let mut producer = kafka.producer(&Rig::unique("id")).unwrap();
    let mut bad = transaction(
        &kafka,
        &[(OUT, Partition(0), "k", "v"), (COMPACTED, Partition(0), "k", "v")],
        &[(LEAD, Partition(0), Offset(1))],
    );
    bad.records[1].key = None; // a compacted topic takes none without a key
    let refused = commit(&mut *producer, bad);
    assert!(
        matches!(&refused, Outcome::Aborted(why) if why.contains("not delivered")),
        "{refused:?}"
    );
    let elsewhere = transaction(
        &kafka,
        &[(OUT, Partition(5), "k", "v")],
        &[(LEAD, Partition(0), Offset(1))],
    );
    let refused = commit(&mut *producer, elsewhere);
    assert!(
        matches!(&refused, Outcome::Aborted(why) if why.contains("no partition 5")),
        "{refused:?}"
    );
    let good = transaction(
        &kafka,
        &[(OUT, Partition(0), "k", "good")],
        &[(LEAD, Partition(0), Offset(1))],
    );
    assert!(matches!(commit(&mut *producer, good), Outcome::Committed(_)));
    assert_eq!(rig.read(&out).unwrap().len(), 1);
}

/// A producer dies with an open transaction. Its offsets are pending and hold back everyone who asks for stable ones,
/// until the next producer with its id ends the transaction.
#[test]
fn a_dangling_transaction_is_ended_by_its_heir_and_holds_offsets_back_until_then() {
    let rig = Rig::shared();
    let (lead, out) = (rig.topic("lead", 1).unwrap(), rig.topic("out", 1).unwrap());
    let (group, id) = (Rig::unique("group"), Rig::unique("id"));
    {
        let mut config = rig.client();
        let member: BaseConsumer = config
            .set("group.id", &group)
            .set("session.timeout.ms", "6000")
            .create()
            .unwrap();
        member.subscribe(&[&lead]).unwrap();
        while member.assignment().unwrap().count() == 0 {
            member.poll(Duration::from_millis(50));
        }
        let dying: BaseProducer = rig.client().set("transactional.id", &id).create().unwrap();
        dying.init_transactions(PATIENCE).unwrap();
        dying.begin_transaction().unwrap();
        dying
            .send(BaseRecord::<[u8], [u8]>::to(&out).key(b"k").payload(b"dead"))
            .unwrap();
        dying.flush(PATIENCE).unwrap();
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(&lead, 0, At::Offset(9)).unwrap();
        dying
            .send_offsets_to_transaction(&offsets, &member.group_metadata().unwrap(), PATIENCE)
            .unwrap();
    }
    let kafka = kafka(rig, &[&lead, &out], &group, "a");
    let held_back = std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            let offsets = kafka.committed(&[(LEAD, Partition(0))]).unwrap();
            (offsets, Instant::now())
        });
        // Not a synchronisation: this leaves time for the call to return too early if it doesn't wait.
        std::thread::sleep(Duration::from_millis(700));
        let before = Instant::now();
        let _heir = kafka.producer(&id).unwrap();
        let (offsets, answered) = asked.join().unwrap();
        assert_eq!(offsets, [None], "the transaction was aborted");
        answered > before
    });
    assert!(held_back, "committed() answered while a transaction was open");
    assert!(rig.read(&out).unwrap().is_empty());
    // The end that a reader reports also waits for such a transaction: see `reading`.
    rig.transaction(&id, &out, &[Record::new("k", "alive")], Ending::Commit)
        .unwrap();
    assert_eq!(rig.read(&out).unwrap().len(), 1);
}

#[test]
fn many_transactions_in_a_row_keep_the_order() {
    let rig = Rig::shared();
    let (lead, out) = (rig.topic("lead", 1).unwrap(), rig.topic("out", 3).unwrap());
    let kafka = kafka(rig, &[&lead, &out], &Rig::unique("group"), "a");
    let (_group, _) = joined(&kafka);
    let mut producer = kafka.producer(&Rig::unique("id")).unwrap();
    let mut next = 0;
    for _ in 0..30 {
        let values: Vec<String> = (next..next + 500).map(|number| number.to_string()).collect();
        let records: Vec<_> = values
            .iter()
            .map(|value| (OUT, Partition(next % 3), "k", value.as_str()))
            .collect();
        let done = commit(
            &mut *producer,
            transaction(&kafka, &records, &[(LEAD, Partition(0), Offset(next as i64))]),
        );
        assert!(matches!(done, Outcome::Committed(_)), "{done:?}");
        next += 500;
    }
    let read = rig.read(&out).unwrap();
    assert_eq!(read.len(), next as usize);
    for pair in read.windows(2).filter(|pair| pair[0].partition == pair[1].partition) {
        let number = |at: usize| pair[at].text().parse::<i32>().unwrap();
        assert!(number(0) < number(1));
    }
}

/// Committed, and ended at (topic, partition, offset).
fn ends(at: &[(TopicIx, Partition, Offset)]) -> Outcome {
    let end = |&(topic, partition, offset)| End {
        topic,
        partition,
        offset,
    };
    Outcome::Committed(at.iter().map(end).collect())
}
