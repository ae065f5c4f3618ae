//! Tests of readers: order, ends, limits, pauses, retention, waiting.

use super::*;

fn reader(cluster: &Embedded, from: i64) -> Box<dyn Reader> {
    let mut reader = instance(cluster, "r").reader(Duration::from_millis(100)).unwrap();
    reader.assign(OUT, Partition(0), Offset(from)).unwrap();
    reader
}

#[test]
fn everything_of_a_record_arrives() {
    let (cluster, _) = cluster();
    let empty_value = NewRecord {
        value: Some(b""),
        timestamp: -1,
        ..NewRecord::default()
    };
    cluster.append("out", Partition(0), empty_value).unwrap();
    let empty_key = NewRecord {
        key: Some(b""),
        timestamp: 5,
        headers: &[(b"reason", b"late"), (b"empty", b"")],
        ..NewRecord::default()
    };
    cluster.append("out", Partition(0), empty_key).unwrap();
    let batch = ["x", "yy"].map(|value| NewRecord {
        value: Some(value.as_bytes()),
        ..NewRecord::default()
    });
    assert_eq!(
        cluster.append_batch("out", Partition(0), batch),
        Ok(Offset(2)..Offset(4))
    );
    let records = cluster.read_all("out", Partition(0), Isolation::Committed).unwrap();
    let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let record = |offset, timestamp, key: Option<&str>, value: Option<&str>, headers| Owned {
        offset: Offset(offset),
        timestamp,
        key: key.map(|key| key.as_bytes().to_vec()),
        value: value.map(|value| value.as_bytes().to_vec()),
        headers,
    };
    assert_eq!(
        records,
        [
            record(0, -1, None, Some(""), vec![]),
            record(
                1,
                5,
                Some(""),
                None,
                vec![header("reason", "late"), header("empty", "")]
            ),
            record(2, 0, None, Some("x"), vec![]),
            record(3, 0, None, Some("yy"), vec![]),
        ]
    );
}

#[test]
fn the_end_is_proved_at_once_and_again_at_the_interval() {
    let (cluster, clock) = cluster();
    let mut reader = reader(&cluster, 0);
    assert_eq!(poll(&mut *reader), (vec![], Some(0)));
    assert_eq!(poll(&mut *reader), (vec![], None));
    clock.advance(Duration::from_millis(100));
    assert_eq!(poll(&mut *reader), (vec![], Some(0)));
    append(&cluster, "x");
    assert_eq!(poll(&mut *reader), (vec![(0, "x".to_owned())], Some(1)));
    let open = cluster.transaction("t", Duration::from_secs(60)).unwrap();
    open.append("out", Partition(0), NewRecord::default()).unwrap();
    append(&cluster, "z");
    assert_eq!(
        poll(&mut *reader),
        (vec![], None),
        "the last stable offset has not moved"
    );
    open.abort().unwrap();
    assert_eq!(
        poll(&mut *reader),
        (vec![(2, "z".to_owned())], Some(4)),
        "behind the marker"
    );
}

#[test]
fn limits_cut_what_a_poll_brings_and_hide_the_end() {
    let (cluster, _) = cluster();
    for value in ["a", "b", "c"] {
        append(&cluster, value);
    }
    let mut limits = [2, 0, 1, 1].into_iter();
    cluster.set_limits(Some(Box::new(move |_| limits.next().unwrap())));
    let mut reader = reader(&cluster, 0);
    assert_eq!(
        poll(&mut *reader),
        (vec![(0, "a".to_owned()), (1, "b".to_owned())], None)
    );
    assert_eq!(poll(&mut *reader), (vec![], None), "a slow fetch is not silence");
    assert_eq!(poll(&mut *reader), (vec![(2, "c".to_owned())], Some(3)));
}

#[test]
fn paused_and_unassigned_partitions_are_silent() {
    let (cluster, _) = cluster();
    let mut reader = reader(&cluster, 0);
    append(&cluster, "a");
    reader.pause(OUT, Partition(0), true).unwrap();
    assert_eq!(poll(&mut *reader), (vec![], None));
    reader.pause(OUT, Partition(0), false).unwrap();
    assert_eq!(poll(&mut *reader).0.len(), 1);
    reader.unassign(OUT, Partition(0)).unwrap();
    append(&cluster, "b");
    assert_eq!(poll(&mut *reader), (vec![], None));
    assert!(reader.pause(OUT, Partition(0), true).is_err() && reader.assign(OUT, Partition(4), Offset(0)).is_err());
}

#[test]
fn what_retention_or_deletion_has_taken_is_out_of_range() {
    let (cluster, _) = cluster();
    for value in ["a", "b", "c"] {
        append(&cluster, value);
    }
    cluster.truncate("out", Partition(0), Offset(2)).unwrap();
    assert_eq!(offsets(&cluster), (2, 3, 3));
    assert_eq!(values(&cluster), ["c"]);
    assert!(cluster.truncate("out", Partition(0), Offset(4)).is_err());
    for (from, start, end) in [(1, 2, 3), (4, 2, 3)] {
        let mut reader = reader(&cluster, from);
        let mut arrivals = Vec::new();
        reader.poll(NOW, &mut arrivals).unwrap();
        reader.poll(NOW, &mut arrivals).unwrap();
        let [Arrival::OutOfRange { start: s, end: e, .. }] = arrivals[..] else {
            panic!("{arrivals:?}")
        };
        assert_eq!((s.0, e.0), (start, end), "told once");
    }
    let info = |cluster: &Embedded| instance(cluster, "r").topic("out").unwrap().unwrap();
    let before = info(&cluster).id;
    cluster.delete_topic("out");
    assert_eq!(instance(&cluster, "r").topic("out"), Ok(None));
    cluster
        .create_topic("out", 1, &[("cleanup.policy", "compact")])
        .unwrap();
    assert_ne!(info(&cluster).id, before);
    assert_eq!(
        info(&cluster).config,
        [("cleanup.policy".to_owned(), "compact".to_owned())]
    );
    assert!(
        cluster.truncate("out", Partition(0), Offset(0)).is_err(),
        "a compacted topic takes no DeleteRecords"
    );
}

#[test]
fn retention_by_bytes_drops_the_oldest_segments() {
    let (cluster, _) = cluster();
    cluster
        .create_topic("small", 1, &[("retention.bytes", "3000000")])
        .unwrap();
    let value = vec![7; 100_000];
    for _ in 0..100 {
        let record = NewRecord {
            value: Some(&value),
            ..NewRecord::default()
        };
        cluster.append("small", Partition(0), record).unwrap();
    }
    let PartitionOffsets { start, end, .. } = cluster.offsets("small", Partition(0)).unwrap();
    assert!((30..=45).contains(&end.since(start)), "{start}..{end}");
    let kept = cluster.read_all("small", Partition(0), Isolation::Committed).unwrap();
    assert_eq!((kept[0].offset, kept.len() as i64), (start, end.since(start)));
}

#[test]
fn append_time_topics_set_the_timestamp() {
    let (cluster, clock) = cluster();
    cluster.delete_topic("out");
    cluster
        .create_topic("out", 1, &[("message.timestamp.type", "LogAppendTime")])
        .unwrap();
    clock.advance(Duration::from_millis(5));
    append(&cluster, "x");
    let mut arrivals = Vec::new();
    reader(&cluster, 0).poll(NOW, &mut arrivals).unwrap();
    let Arrival::Records(chunk) = &arrivals[0] else {
        panic!("{arrivals:?}")
    };
    assert_eq!(
        (chunk.records[0].timestamp, chunk.records[0].append_time),
        (1_000_005, true)
    );
}

#[test]
fn a_poll_sleeps_until_something_comes() {
    let cluster = Embedded::new("test", Clock::real());
    cluster.create_topic("in", 1, &[]).unwrap();
    cluster.create_topic("out", 1, &[]).unwrap();
    let mut reader = reader(&cluster, 0);
    assert_eq!(poll(&mut *reader), (vec![], Some(0)));
    std::thread::scope(|scope| {
        let waits = scope.spawn(move || {
            let mut arrivals = Vec::new();
            while !matches!(
                arrivals.last(),
                Some(Arrival::Records(_) | Arrival::End { offset: Offset(1), .. })
            ) {
                reader.poll(Duration::from_secs(60), &mut arrivals).unwrap();
            }
        });
        append(&cluster, "x");
        waits.join().unwrap();
    });
}
