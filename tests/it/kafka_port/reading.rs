//! Readers: every committed record once and in order, with proofs of the end. Also topics and their bounds.

use super::*;
use pelton::record::Partition;
use pelton_tests::rig::{Ending, Record};

fn numbered(count: usize) -> Vec<Record> {
    (0..count)
        .map(|number| Record::new(format!("k{number}"), number.to_string()).at(0))
        .collect()
}

#[test]
fn a_reader_passes_what_was_aborted_and_proves_the_end_again_and_again() {
    let rig = Rig::shared();
    let lead = rig.topic("lead", 1).unwrap();
    let kafka = kafka(rig, &[&lead], &Rig::unique("group"), "a");
    let (id, dying) = (Rig::unique("id"), Rig::unique("id"));
    rig.transaction(&id, &lead, &numbered(5), Ending::Commit).unwrap(); // 0-4, marker 5
    rig.transaction(&id, &lead, &numbered(3), Ending::Abort).unwrap(); // 6-8, marker 9
    let proofs = Duration::from_millis(50);
    let mut reader = kafka.reader(proofs).unwrap();
    reader.assign(LEAD, Partition(0), Offset(0)).unwrap();
    let ends = |arrivals: &[Arrival]| {
        arrivals
            .iter()
            .filter(|arrival| matches!(arrival, Arrival::End { .. }))
            .count()
    };
    let begun = Instant::now();
    let got = arrivals(&mut *reader, |got| ends(got) >= 6).unwrap();
    assert_eq!(offsets(&got, Partition(0)), [0, 1, 2, 3, 4]);
    assert_eq!(end(&got), Some(10), "markers and aborted records lie behind the end");
    assert!(begun.elapsed() >= proofs * 3, "proofs come at their interval");

    // An open transaction. The end is before it, the high watermark after it.
    rig.transaction(&dying, &lead, &numbered(2), Ending::Death).unwrap(); // 10-11
    assert_eq!(kafka.bounds(LEAD, Partition(0)).unwrap(), (Offset(0), Offset(12)));
    let got = arrivals(&mut *reader, |got| ends(got) >= 3).unwrap();
    assert_eq!((offsets(&got, Partition(0)).len(), end(&got)), (0, Some(10)));
    // Records after it are also held back, until a new producer with its id ends it (marker 13).
    rig.produce(&lead, &numbered(1)).unwrap(); // 12
    let got = arrivals(&mut *reader, |got| ends(got) >= 3).unwrap();
    assert_eq!((offsets(&got, Partition(0)).len(), end(&got)), (0, Some(10)));
    let _heir = kafka.producer(&dying).unwrap();
    let got = arrivals(&mut *reader, |got| end(got) == Some(14)).unwrap();
    assert_eq!(offsets(&got, Partition(0)), [12]);
    assert_eq!(kafka.bounds(LEAD, Partition(0)).unwrap(), (Offset(0), Offset(14)));
}

#[test]
fn records_come_as_they_were_written() {
    const STAMPED: TopicIx = TopicIx(1);
    let rig = Rig::shared();
    let lead = rig.topic("lead", 1).unwrap();
    let stamped = Rig::unique("stamped");
    rig.create(&stamped, 1, &[("message.timestamp.type", "LogAppendTime")])
        .unwrap();
    let kafka = kafka(rig, &[&lead, &stamped], &Rig::unique("group"), "a");
    let mut bare = Record::new("", "").at(0).time(77);
    bare.key = None;
    let mut null = Record::new("k", "")
        .at(0)
        .time(78)
        .header("a", "b")
        .header("c", vec![1, 0, 2]);
    null.value = None;
    rig.produce(&lead, &[bare, null]).unwrap();
    rig.produce(&stamped, &[Record::new("k", "v").at(0).time(5)]).unwrap();
    let mut reader = kafka.reader(Duration::from_secs(5)).unwrap();
    reader.assign(LEAD, Partition(0), Offset(0)).unwrap();
    reader.assign(STAMPED, Partition(0), Offset(0)).unwrap();
    let got = arrivals(&mut *reader, |got| offsets(got, Partition(0)).len() == 3).unwrap();
    for arrival in got {
        let Arrival::Records(chunk) = arrival else { continue };
        for record in &chunk.records {
            let text = |span: &Option<Span>| span.map(|span| span.of(&chunk.bytes).to_vec());
            let seen = (
                chunk.topic,
                record.offset.0,
                text(&record.key),
                text(&record.value),
                record.append_time,
            );
            match (chunk.topic, record.offset.0) {
                (LEAD, 0) => assert_eq!((seen, record.timestamp), ((LEAD, 0, None, Some(vec![]), false), 77)),
                (LEAD, 1) => {
                    assert_eq!(
                        (seen, record.timestamp),
                        ((LEAD, 1, Some(b"k".to_vec()), None, false), 78)
                    );
                    let headers = &chunk.headers[record.headers.start as usize..record.headers.end as usize];
                    let pairs: Vec<_> = headers
                        .iter()
                        .map(|(n, v)| (n.of(&chunk.bytes), v.of(&chunk.bytes)))
                        .collect();
                    assert_eq!(pairs, [(&b"a"[..], &b"b"[..]), (b"c", &[1, 0, 2])]);
                }
                _ => {
                    assert!(record.append_time && record.timestamp > 1_600_000_000_000);
                    assert_eq!(seen, (STAMPED, 0, Some(b"k".to_vec()), Some(b"v".to_vec()), true));
                }
            }
        }
    }
}

#[test]
fn a_position_that_is_not_in_the_log_is_told_with_the_bounds() {
    let rig = Rig::shared();
    let lead = rig.topic("lead", 2).unwrap();
    let kafka = kafka(rig, &[&lead], &Rig::unique("group"), "a");
    rig.produce(&lead, &numbered(10)).unwrap();
    kafka.truncate(LEAD, Partition(0), Offset(4)).unwrap();
    assert_eq!(kafka.bounds(LEAD, Partition(0)).unwrap(), (Offset(4), Offset(10)));
    let mut reader = kafka.reader(Duration::from_secs(5)).unwrap();
    let out = |got: &[Arrival]| {
        got.iter().find_map(|arrival| match arrival {
            Arrival::OutOfRange {
                partition, start, end, ..
            } => Some((*partition, start.0, end.0)),
            _ => None,
        })
    };
    for position in [2, 11] {
        reader.assign(LEAD, Partition(0), Offset(position)).unwrap();
        let got = arrivals(&mut *reader, |got| out(got).is_some()).unwrap();
        assert_eq!(
            (out(&got), offsets(&got, Partition(0)).len()),
            (Some((Partition(0), 4, 10)), 0)
        );
    }
    reader.assign(LEAD, Partition(0), Offset(4)).unwrap();
    let got = arrivals(&mut *reader, |got| offsets(got, Partition(0)).len() == 6).unwrap();
    assert_eq!(out(&got), None);
    assert!(matches!(
        kafka.truncate(LEAD, Partition(0), Offset(99)),
        Err(Failure::Fatal(_))
    ));
}

/// Random pauses, resumptions, removals and moves to other offsets, over a log with gaps. What arrives for a partition
/// is exactly what follows the offset that it was assigned at.
#[test]
fn whatever_is_paused_and_moved_nothing_is_lost_or_doubled() {
    const COUNT: usize = 30_000;
    let rig = Rig::shared();
    let lead = rig.topic("lead", 3).unwrap();
    let kafka = kafka(rig, &[&lead], &Rig::unique("group"), "a");
    let records: Vec<_> = (0..COUNT)
        .map(|number| Record::new("key", vec![b'v'; 200]).at((number % 3) as i32))
        .collect();
    rig.transaction(&Rig::unique("id"), &lead, &records[..300], Ending::Commit)
        .unwrap(); // a marker at 100 of each
    rig.produce(&lead, &records[300..]).unwrap();
    let last = (COUNT / 3) as i64; // one more than records: the marker
    let mut reader = kafka.reader(Duration::from_millis(20)).unwrap();
    let mut seed = 7u64;
    let mut random = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    // Where each partition continues, and whether it is paused. `None` if it is not assigned.
    let mut state: [Option<(i64, bool)>; 3] = [None; 3];
    let mut seen = 0;
    for _ in 0..600 {
        let partition = random(3) as usize;
        let of = Partition::at(partition);
        match (random(6), &mut state[partition]) {
            (0, slot) => {
                let from = random(last as u64) as i64;
                reader.assign(LEAD, of, Offset(from)).unwrap();
                *slot = Some((from, false));
            }
            (1, slot @ Some(_)) => {
                reader.unassign(LEAD, of).unwrap();
                *slot = None;
            }
            (2 | 3, Some((_, paused))) => {
                *paused = !*paused;
                reader.pause(LEAD, of, *paused).unwrap();
            }
            _ => {}
        }
        let mut got = Vec::new();
        reader.poll(Duration::from_millis(random(8)), &mut got).unwrap();
        for arrival in &got {
            match arrival {
                Arrival::Records(chunk) => {
                    let (next, _) = state[chunk.partition.index()]
                        .as_mut()
                        .expect("of an assigned partition");
                    for record in &chunk.records {
                        let expected = if *next == 100 { 101 } else { *next }; // the marker
                        assert_eq!(record.offset.0, expected, "partition {}", chunk.partition);
                        *next = record.offset.next().0;
                        seen += 1;
                    }
                }
                Arrival::End { partition, offset, .. } => {
                    let (next, _) = state[partition.index()].expect("of an assigned partition");
                    assert_eq!(
                        (offset.0, next),
                        (last + 1, last + 1),
                        "an end only when all has arrived"
                    );
                }
                Arrival::OutOfRange { .. } => panic!("{arrival:?}"),
            }
        }
    }
    assert!(seen > COUNT, "{seen} records are no test");
    // Then everything is read to the end.
    for (partition, slot) in state.iter_mut().enumerate() {
        let (next, _) = slot.get_or_insert((0, false));
        reader.assign(LEAD, Partition::at(partition), Offset(*next)).unwrap();
    }
    let mut ended = [false; 3];
    arrivals(&mut *reader, |got| {
        for arrival in got {
            if let Arrival::End { partition, .. } = arrival {
                ended[partition.index()] = true;
            }
        }
        ended == [true; 3]
    })
    .unwrap();
}

#[test]
fn a_paused_partition_is_silent_and_others_go_on() {
    let rig = Rig::shared();
    let lead = rig.topic("lead", 2).unwrap();
    let kafka = kafka(rig, &[&lead], &Rig::unique("group"), "a");
    let mut reader = kafka.reader(Duration::from_millis(50)).unwrap();
    reader.assign(LEAD, Partition(0), Offset(0)).unwrap();
    reader.assign(LEAD, Partition(1), Offset(0)).unwrap();
    arrivals(&mut *reader, |got| got.len() >= 2).unwrap();
    reader.pause(LEAD, Partition(0), true).unwrap();
    rig.produce(&lead, &[Record::new("k", "held").at(0), Record::new("k", "free").at(1)])
        .unwrap();
    let mut proofs = 0;
    let got = arrivals(&mut *reader, |got| {
        proofs = got
            .iter()
            .filter(|arrival| {
                matches!(
                    arrival,
                    Arrival::End {
                        partition: Partition(1),
                        ..
                    }
                )
            })
            .count();
        !offsets(got, Partition(1)).is_empty() && proofs >= 5
    })
    .unwrap();
    assert!(offsets(&got, Partition(0)).is_empty());
    reader.pause(LEAD, Partition(0), false).unwrap();
    let got = arrivals(&mut *reader, |got| !offsets(got, Partition(0)).is_empty()).unwrap();
    assert_eq!(offsets(&got, Partition(0)), [0]);
}

#[test]
fn topics_are_made_once_and_described() {
    let rig = Rig::shared();
    let lead = rig.topic("lead", 1).unwrap();
    let kafka = kafka(rig, &[&lead], &Rig::unique("group"), "a");
    let name = Rig::unique("made");
    assert_eq!(kafka.topic(&name).unwrap(), None);
    let settings = [("cleanup.policy", "delete"), ("retention.ms", "-1")];
    kafka.create(&name, 3, &settings).unwrap();
    kafka.create(&name, 3, &settings).unwrap();
    let made = kafka.topic(&name).unwrap().unwrap();
    assert_eq!(made.partitions, 3);
    for (key, value) in settings {
        assert!(made.config.contains(&(key.to_string(), value.to_string())), "{key}");
    }
    assert_ne!(made.id, kafka.topic(&lead).unwrap().unwrap().id);
    assert!(!kafka.cluster().unwrap().is_empty());
    assert!(matches!(
        kafka.create(&Rig::unique("bad"), 1, &[("retention.ms", "much")]),
        Err(Failure::Fatal(_))
    ));
}

#[test]
fn properties_that_break_exactly_once_are_refused_with_the_reason() {
    let refused = |key: &str, value: &str| {
        let properties = [
            ("bootstrap.servers".into(), "127.0.0.1:1".into()),
            (key.into(), value.into()),
        ];
        match Kafka::new(["lead".to_string()].into(), &properties, "g", "i") {
            Err(Failure::Fatal(why)) => why,
            other => panic!("{key}: {:?}", other.err()),
        }
    };
    assert!(refused("acks", "1").contains("acks: a commit could be lost"));
    assert!(refused("no.such.property", "1").contains("no.such.property"));
}
