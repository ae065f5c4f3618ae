//! Two instances share the partitions. When one is killed, the other takes over.

use super::*;

#[test]
fn two_instances_do_what_one_would_also_when_one_joins_later_and_is_killed() {
    let mut stage = Stage::new(Rig::shared(), Source::None);
    let sets = ["workers=1", "kafka.session.timeout.ms=6000"];
    let mut tail = stage.tail();
    let mut parts = stage.parts(varied(Format::Json, 60_000), 6);
    let mut first = stage.run(&[&sets[..], &["instance=a", "state.dir=a"]].concat());
    parts.put(&mut stage);
    tail.until(1_000, PATIENCE, || first.lives());
    // It joins in the middle of the work.
    parts.put(&mut stage);
    let mut second = stage.run_in("log-b", &[&sets[..], &["instance=b", "state.dir=b"]].concat());
    parts.put(&mut stage);
    let expected = stage.expected();
    tail.until(expected.count(), PATIENCE, || (first.lives(), second.lives()).0);
    expected.check(&tail.records);
    second.says("open", PATIENCE);
    assert!(
        first.said().contains("revoked"),
        "the second one has got partitions of the first:\n{}",
        first.said()
    );
    // It is killed in the middle of the work.
    parts.put(&mut stage);
    tail.until(tail.records.len() + 500, PATIENCE, || {});
    second.kill();
    parts.put(&mut stage);
    parts.put(&mut stage);
    let expected = stage.expected();
    tail.until(expected.count(), PATIENCE, || first.lives());
    first.stop();
    tail.follow(Duration::from_millis(300));
    expected.check(&tail.records);
}

#[test]
fn of_two_processes_that_run_as_the_same_instance_one_ends_and_nothing_is_doubled() {
    let mut stage = Stage::new(Rig::shared(), Source::None);
    let sets = [
        "workers=1",
        "kafka.heartbeat.interval.ms=500",
        // The two may fight for longer than a partition may be silent. What comes then would be late.
        "defaults.idle_after=10m",
    ];
    let mut tail = stage.tail();
    let mut parts = stage.parts(varied(Format::Json, 12_000), 3);
    parts.put(&mut stage);
    let mut both = [stage.run(&sets), stage.run_in("log-rival", &sets)];
    tail.until(1, PATIENCE, || {});
    parts.put(&mut stage);
    // The first fence may come from a broker's restart, so the fenced instance joins again. The second one can't.
    eventually("one of them ends", || {
        both.iter_mut().any(|process| process.ended().is_some())
    });
    both.sort_by_key(|process| process.said().contains("another process runs as instance"));
    let [mut stays, mut ended] = both;
    assert_eq!(ended.code(PATIENCE), 3, "{}", ended.said());
    assert!(ended.said().contains("joins again"), "{}", ended.said());
    parts.put(&mut stage);
    let expected = stage.expected();
    tail.until(expected.count(), PATIENCE, || stays.lives());
    stays.stop();
    tail.follow(Duration::from_millis(300));
    expected.check(&tail.records);
}
