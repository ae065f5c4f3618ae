//! A version that exceeds its budget is withdrawn automatically.

use super::line::{Line, doing};
use crate::deploys::fleet::eventually;
use pelton::deploy::api::DeployRequest;
use pelton::deploy::protocol::DeployState;
use pelton::http::TaskCondition;
use pelton::record::Partition;
use serde_json::json;

/// The reason is visible. The version can be deployed again by hand, and is withdrawn again.
#[test]
fn it_says_why_and_may_be_deployed_again() {
    let mut line = Line::of(doing("echo"));
    let good = line.version();
    for number in [2, 3] {
        assert_eq!(line.set(doing("panic-on-poison")).expect("accepted").number, number);
        line.flow(10, "good");
        line.check("no fault yet");
        assert_ne!(line.version(), good);
        line.flow(10, "poison");
        eventually("back", || line.version() == good);
        line.check("the old ones have no poison");
        let health = line.health();
        let said = health.message.expect("it says so");
        assert!(
            health.ok && said.contains(&format!("deploy {number} was withdrawn: instance 'a', task")),
            "{said}"
        );
        assert!(
            said.contains("more than 5") && said.contains("rules.fault_budget") && said.contains("poison"),
            "{said}"
        );
        eventually("the metrics", || {
            line.metrics()
                .contains(&format!("pelton_deploys_withdrawn{{worker=\"0\"}} {}", number - 1))
        });
    }
    // A new instance reads the same from the control topic.
    line.restart();
    assert_eq!(line.version(), good);
    line.flow(10, "poison");
    line.check("a restart");
    let control = line.running().view().control();
    assert!(Partition::all(2).all(|task| control.taken(task) == 1));
    assert!(line.metrics().contains("pelton_rules_stopped{partition=\"0\"} 0"));
}

/// A task that is far behind goes back where it is, not where the other tasks are.
#[test]
fn a_task_far_behind_goes_back_where_it_is() {
    let mut line = Line::of(doing("echo"));
    line.flow(3, "good");
    line.set(doing("panic-on-poison")).expect("accepted");
    let behind = line.now;
    line.now += 1_000_000;
    line.put(Partition(0), "ahead");
    line.put(Partition(0), "ahead");
    line.through();
    line.now = behind;
    // Far before the time of the other task. There are two batches: one that is read when the task stops, and one that
    // comes later.
    for _ in 0..2 {
        (0..200).for_each(|_| line.put(Partition(1), "poison"));
        line.check("behind");
    }
    assert!(line.running().view().control().unreplaced_withdrawal().is_some());
    assert!(line.dead_letters().len() <= 6, "{:?}", line.dead_letters());
}

/// There is nothing before the first version. So it keeps running, and that is reported.
#[test]
fn the_first_version_goes_on() {
    let mut line = Line::of(doing("panic"));
    line.flow(20, "bad");
    line.check("all of them");
    assert_eq!(line.dead_letters().len(), 38);
    eventually("it says so", || {
        let health = line.health();
        let said = |task: &pelton::http::TaskHealth| task.message.clone().unwrap_or_default();
        health.ok
            && health
                .tasks
                .iter()
                .any(|task| said(task).contains("no version to go back to, so it keeps running"))
    });
    let good = line.set(doing("echo")).expect("accepted").version;
    line.flow(20, "good");
    line.check("others");
    assert_eq!(line.version(), good);
}

/// If the previous version also traps, the input is the cause. Going back does not go on forever.
#[test]
fn nobody_goes_back_twice() {
    let mut line = Line::of(doing("echo"));
    let poison = |with: &str| json!({ "do": "panic-on-poison", "with": with });
    let second = line.set(poison("second")).expect("accepted").version;
    line.flow(10, "good");
    line.set(poison("third")).expect("accepted");
    line.flow(30, "poison");
    eventually("back", || line.version() == second);
    line.check("in the second");
    assert!(line.dead_letters().len() >= 30, "{}", line.dead_letters().len());
    let control = line.running().view().control();
    assert!(matches!(
        control.known(2).expect("it is there").state,
        DeployState::Committed(_)
    ));
    assert_eq!(line.version(), second);
}

/// The previous version can't read what the new one wrote. So its tasks stop, and continue with the next deploy from
/// where they stopped.
#[test]
fn one_way_stops_until_there_are_others() {
    let mut line = Line::of(doing("echo"));
    line.flow(5, "good");
    let one_way = DeployRequest {
        settings: Some(doing("panic-on-poison")),
        one_way: true,
        ..DeployRequest::default()
    };
    line.deploy(one_way).expect("accepted");
    line.flow(20, "poison");
    eventually("its tasks stop", || {
        let health = line.health();
        let said = |task: &pelton::http::TaskHealth| task.message.clone().unwrap_or_default();
        let stopped =
            |task: &pelton::http::TaskHealth| task.state == TaskCondition::Stopped && said(task).contains("one-way");
        !health.ok && health.tasks.iter().all(stopped)
    });
    assert!(line.dead_letters().len() <= 6);
    let good = line
        .set(json!({ "do": "echo", "with": "care" }))
        .expect("accepted")
        .version;
    line.flow(5, "good");
    line.check("from where they stopped");
    assert!(line.dead_letters().len() <= 6, "{}", line.dead_letters().len());
    assert_eq!(line.version(), good);
    eventually("all is well", || line.health().ok);
}

/// What a version has set that the previous one doesn't know goes to the dead letters when the tasks go back.
#[test]
fn what_the_old_ones_do_not_know_is_not_lost() {
    let mut line = Line::of(doing("echo"));
    line.set(json!({ "do": "time", "with": "new" })).expect("accepted");
    line.flow(6, "good");
    line.through();
    line.set(json!({ "do": "panic", "with": "" }))
        .expect_err("timers of the new kind are pending");
    assert_eq!(line.dead_letters().len(), 0);
    let drop_timers = DeployRequest {
        settings: Some(doing("panic")),
        drop_timers: true,
        ..DeployRequest::default()
    };
    line.deploy(drop_timers).expect("accepted");
    line.flow(20, "bad");
    eventually("back", || {
        line.running().view().control().unreplaced_withdrawal().is_some()
    });
    line.check("back with the kind that they know");
    let dropped = line
        .dead_letters()
        .into_values()
        .filter(|why| why.contains("don't declare 'new'"))
        .count();
    assert_eq!(dropped, 6, "one of each key");
}
