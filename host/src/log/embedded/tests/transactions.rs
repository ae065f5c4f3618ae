//! Tests of transactions: visibility, fencing, time-outs, fates.

use super::*;
use crate::log::End;

fn fate(cluster: &Embedded, fate: Fate) {
    let mut once = Some(fate);
    cluster.set_fates(Some(Box::new(move |call| match call.what {
        CallKind::Submit => once.take().unwrap_or(Fate::GOOD),
        CallKind::Init => Fate::GOOD,
    })));
}

#[test]
fn a_commit_shows_records_and_offsets_together() {
    let (cluster, _) = cluster();
    let mut a = joined(&cluster, "a");
    assert_eq!(a.offset(), Ok(None));
    assert_eq!(
        a.submit("x", 5),
        Some(Outcome::Committed(vec![End {
            topic: OUT,
            partition: Partition(0),
            offset: Offset(1)
        }]))
    );
    assert_eq!((values(&cluster), a.offset()), (vec!["x".to_owned()], Ok(Some(5))));
    // The marker of the transaction has offset 1.
    assert_eq!(append(&cluster, "y"), 2);
    assert_eq!(
        cluster.group_offsets("group")[&("in".to_owned(), Partition(0))],
        Offset(5)
    );
}

#[test]
fn an_abort_shows_nothing_but_takes_offsets() {
    let (cluster, _) = cluster();
    let mut a = joined(&cluster, "a");
    fate(
        &cluster,
        Fate {
            truth: Truth::Abort,
            ..Fate::GOOD
        },
    );
    assert!(matches!(a.submit("x", 5), Some(Outcome::Aborted(_))));
    assert_eq!((values(&cluster), a.offset()), (vec![], Ok(None)));
    assert_eq!(
        cluster
            .read_all("out", Partition(0), Isolation::Uncommitted)
            .unwrap()
            .len(),
        1
    );
    assert_eq!(offsets(&cluster), (0, 2, 2));
    assert!(matches!(a.submit("x", 5), Some(Outcome::Committed(_))));
}

#[test]
fn doubt_with_either_truth_is_resolved_by_renew() {
    for (truth, seen) in [(Truth::Commit, 1), (Truth::Abort, 0), (Truth::Dangle, 0)] {
        let (cluster, _) = cluster();
        let mut a = joined(&cluster, "a");
        fate(
            &cluster,
            Fate {
                truth,
                doubt: true,
                ..Fate::GOOD
            },
        );
        assert!(matches!(a.submit("x", 5), Some(Outcome::Ambiguous(_))));
        assert!(
            matches!(a.submit("y", 5), Some(Outcome::Ambiguous(_))),
            "only renew helps"
        );
        a.producer.renew().unwrap();
        assert_eq!(values(&cluster).len(), seen, "{truth:?}");
        assert_eq!(a.offset(), Ok((seen == 1).then_some(5)));
        assert!(matches!(a.submit("z", 6), Some(Outcome::Committed(_))));
    }
}

#[test]
fn an_abandoned_transaction_holds_readers_and_offsets_until_its_timeout() {
    let (cluster, clock) = cluster();
    let mut a = joined(&cluster, "a");
    fate(
        &cluster,
        Fate {
            truth: Truth::Dangle,
            gate_early: true,
            ..Fate::GOOD
        },
    );
    assert!(matches!(a.submit("x", 5), Some(Outcome::Ambiguous(_))));
    append(&cluster, "y");
    assert_eq!(
        offsets(&cluster),
        (0, 0, 2),
        "the high watermark counts what is uncommitted"
    );
    assert_eq!(a.log.bounds(OUT, Partition(0)), Ok((Offset(0), Offset(2))));
    assert!(values(&cluster).is_empty());
    assert!(matches!(a.offset(), Err(Failure::Retry(_))));
    clock.advance(Duration::from_millis(9_999));
    assert!(matches!(a.offset(), Err(Failure::Retry(_))));
    clock.advance(Duration::from_millis(1));
    assert_eq!((values(&cluster), a.offset()), (vec!["y".to_owned()], Ok(None)));
}

#[test]
fn taking_an_id_again_aborts_and_fences() {
    let (cluster, _) = cluster();
    let mut old = joined(&cluster, "a");
    fate(&cluster, Fate { polls: 1, ..Fate::GOOD });
    assert_eq!(old.submit("x", 5), None, "held by its fate");
    assert!(values(&cluster).is_empty());
    let mut new = instance(&cluster, "a").producer("group-a").unwrap();
    assert_eq!(offsets(&cluster), (0, 2, 2), "aborted at once");
    assert!(matches!(old.outcome(), Some(Outcome::Ambiguous(why)) if why.contains("fenced")));
    assert!(new.outcome(NOW).is_none());
    assert!(values(&cluster).is_empty());
    // The old producer may take the id back, as any process may.
    old.producer.renew().unwrap();
    assert!(matches!(old.submit("y", 5), Some(Outcome::Committed(_))));
}

#[test]
fn a_timed_out_producer_is_fenced() {
    let (cluster, clock) = cluster();
    let transaction = cluster.transaction("t", Duration::from_secs(1)).unwrap();
    transaction.append("out", Partition(0), NewRecord::default()).unwrap();
    clock.advance(Duration::from_secs(1));
    assert!(matches!(
        transaction.append("out", Partition(0), NewRecord::default()),
        Err(Failure::Fenced(_))
    ));
    assert!(matches!(transaction.commit(), Err(Failure::Fenced(_))));
    assert_eq!(offsets(&cluster), (0, 2, 2));
}

#[test]
fn late_markers_hold_each_place_on_its_own() {
    let (cluster, _) = cluster();
    let mut a = joined(&cluster, "a");
    fate(
        &cluster,
        Fate {
            markers_late: true,
            ..Fate::GOOD
        },
    );
    assert!(matches!(a.submit("x", 5), Some(Outcome::Committed(_))));
    assert!(matches!(a.offset(), Err(Failure::Retry(_))));
    cluster.settle(0);
    assert_eq!(
        a.offset(),
        Ok(Some(5)),
        "the offsets are there before the records can be read"
    );
    assert_eq!(offsets(&cluster), (0, 0, 1));
    assert_eq!(cluster.unsettled(), 1);
    // The next transaction of the id waits for the markers of the last one.
    assert!(matches!(a.submit("y", 6), Some(Outcome::Committed(_))));
    assert_eq!(values(&cluster), ["x", "y"]);
}

#[test]
fn the_dead_fail_and_what_they_have_open_dangles() {
    let (cluster, clock) = cluster();
    let mut a = joined(&cluster, "a");
    let mut reader = a.log.reader(Duration::MAX).unwrap();
    fate(&cluster, Fate { polls: 1, ..Fate::GOOD });
    assert_eq!(a.submit("x", 5), None);
    cluster.kill("a");
    assert!(matches!(a.outcome(), Some(Outcome::Ambiguous(_))));
    assert!(reader.poll(NOW, &mut Vec::new()).is_err() && a.group.poll(NOW).is_err() && a.producer.renew().is_err());
    assert!(a.log.bounds(IN, Partition(0)).is_err() && a.log.cluster().is_err());
    assert_eq!(offsets(&cluster).1, 0);
    clock.advance(producer::TRANSACTION_TIMEOUT);
    assert_eq!(offsets(&cluster), (0, 2, 2));
}

#[test]
fn a_refused_record_aborts_all_of_its_transaction() {
    let (cluster, _) = cluster();
    cluster.delete_topic("out");
    cluster.create_topic("out", 1, &[("max.message.bytes", "10")]).unwrap();
    let mut a = joined(&cluster, "a");
    let mut transaction = a.transaction("small", 5);
    let value = Some(Span::append(&mut transaction.bytes, b"much too large"));
    transaction.records.push(Outgoing {
        topic: OUT,
        partition: Partition(0),
        timestamp: 0,
        key: None,
        value,
        headers: 0..0,
    });
    a.producer.submit(transaction);
    assert!(matches!(a.outcome(), Some(Outcome::Aborted(why)) if why.contains("max.message.bytes")));
    assert!(values(&cluster).is_empty());
    assert_eq!(a.offset(), Ok(None));
}

#[test]
#[should_panic(expected = "fenced")]
fn a_transaction_without_offsets_is_a_bug() {
    let (cluster, _) = cluster();
    joined(&cluster, "a").producer.submit(Transaction::default());
}

#[test]
fn an_init_may_fail_with_either_truth() {
    let (cluster, _) = cluster();
    let open = cluster.transaction("group-a", Duration::from_secs(60)).unwrap();
    let log = instance(&cluster, "a");
    for (truth, open_still) in [(Truth::Abort, true), (Truth::Commit, false)] {
        cluster.set_fates(Some(Box::new(move |_| Fate {
            truth,
            doubt: true,
            ..Fate::GOOD
        })));
        assert!(matches!(log.producer("group-a"), Err(Failure::Retry(_))));
        assert_eq!(
            open.append("out", Partition(0), NewRecord::default()).is_ok(),
            open_still,
            "{truth:?}"
        );
    }
}
