//! Two instances: they share the partitions, and one takes over when the other is killed.

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
