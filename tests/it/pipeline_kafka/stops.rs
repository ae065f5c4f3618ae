//! SIGTERM: the open epoch is finished, the process leaves the group, and a restart continues where it was.

use super::*;

#[test]
fn a_stopped_instance_has_committed_what_it_did_and_goes_on_later() {
    let mut stage = Stage::new(Rig::shared(), Source::None);
    let sets = ["state.dir=data", "workers=2"];
    let mut tail = stage.tail();
    let mut process = None;
    let mut halves = 0;
    let mut stops = vec![];
    let (rig, group, topics) = (stage.rig, stage.name.clone(), stage.inputs.clone());
    let mut parts = stage.parts(varied(Format::Json, 30_000), 3);
    while let Some(expected) = parts.next(&mut stage) {
        halves += 1;
        let running: &mut Process = process.get_or_insert_with(|| stage.run(&sets));
        if halves == 2 {
            // In the middle of the work.
            tail.until(tail.records.len() + 100, PATIENCE, || {});
            stops.push(process.take().expect("it runs").stop());
            continue;
        }
        tail.until(expected.count(), PATIENCE, || running.lives());
        // Everything final is done. The group's offsets say so before and after the stop.
        let at = |rank: usize| rig.committed(&group, &topics[rank]).unwrap();
        let wanted: Vec<Vec<_>> = expected
            .positions
            .iter()
            .map(|rank| rank.iter().map(|at| Some(*at)).collect())
            .collect();
        eventually("the group's offsets", || (0..3).map(at).collect::<Vec<_>>() == wanted);
        stops.push(process.take().expect("it runs").stop());
        assert_eq!((0..3).map(at).collect::<Vec<_>>(), wanted);
        tail.follow(Duration::from_millis(200));
        expected.check(&tail.records);
    }
    println!("stops took {stops:?}");
    assert!(stops.iter().all(|stop| *stop < Duration::from_secs(20)), "{stops:?}");
}

#[test]
fn a_stopped_instance_leaves_the_group_so_that_another_one_starts_at_once() {
    let mut stage = Stage::new(Rig::shared(), Source::None);
    // A member that is not told of the leave would wait for the session to end.
    let sets = ["kafka.session.timeout.ms=60000"];
    let mut tail = stage.tail();
    let mut parts = stage.parts(varied(Format::Json, 4_000), 2);
    let first = parts.next(&mut stage).expect("two parts");
    let process = stage.run(&sets);
    tail.until(first.count(), PATIENCE, || {});
    process.stop();
    let all = parts.next(&mut stage).expect("two parts");
    let begun = Instant::now();
    let process = stage.run(&[&sets[..], &["instance=other"]].concat());
    tail.until(first.count() + 1, PATIENCE, || {});
    let took = begun.elapsed();
    tail.until(all.count(), PATIENCE, || {});
    process.stop();
    all.check(&tail.records);
    assert!(took < Duration::from_secs(30), "{took:?}");
}

#[test]
fn told_to_stop_while_the_broker_does_not_answer_it_gives_up_in_time_and_the_next_start_goes_on() {
    let rig: &'static Rig = Box::leak(Box::new(Rig::kafka().unwrap()));
    let mut stage = Stage::new(rig, Source::None);
    // The epoch with what is written below is still open when the broker falls silent.
    let sets = ["workers=1", "epoch.interval=3s"];
    let mut tail = stage.tail();
    let mut parts = stage.parts(varied(Format::Json, 8_000), 2);
    parts.put(&mut stage);
    let mut process = stage.run(&sets);
    tail.until(500, PATIENCE, || process.lives());
    parts.put(&mut stage);
    rig.freeze(true);
    let begun = Instant::now();
    process.terminate();
    // The epoch is in doubt, or is certainly aborted if the broker fell silent before anything of it was sent.
    let code = process.code(PATIENCE);
    assert!(matches!(code, 0 | 3), "{code}: {}", process.said());
    let took = begun.elapsed();
    println!("it gave up after {took:?}");
    assert!(took < Duration::from_secs(40), "{took:?}");
    assert!(
        process.said().to_lowercase().contains("nothing is lost"),
        "{}",
        process.said()
    );
    rig.freeze(false);
    let expected = stage.expected();
    let mut process = stage.run(&sets);
    tail.until(expected.count(), PATIENCE, || process.lives());
    process.stop();
    tail.follow(Duration::from_millis(300));
    expected.check(&tail.records);
    rig.stop();
}
