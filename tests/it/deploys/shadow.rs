//! Shadows over several instances: they start on all instances, can be seen from each, are promoted or cancelled, and
//! end with their tasks.

use super::fleet::{Fleet, PARTITIONS, eventually, long, short};
use super::{deploy, has_tasks, request, two, version};
use pelton::deploy::DeployRefused;
use pelton::deploy::api::{Cancelled, DeployRequest, Shadowing};
use pelton::deploy::status::shadow_here;
use pelton::instance::RunningInstance;
use pelton::record::Partition;
use pelton::shadow::ShadowState;
use pelton_tests::stage::{MINUTE, SECOND};

/// What an instance reports.
fn seen(running: &RunningInstance) -> Shadowing {
    let view = running.view();
    let seen = shadow_here(&view.control(), PARTITIONS as usize, view.shadow().as_deref());
    seen.unwrap_or_default()
}

fn begin(running: &RunningInstance, request: DeployRequest) -> Result<u64, String> {
    let request = DeployRequest {
        shadow: Some(60 * MINUTE),
        ..request
    };
    Ok(deploy(running, request)?.number)
}

/// Waits until every task has begun. What is written from now on is seen.
fn begun(running: &RunningInstance) {
    eventually("all tasks begin", || seen(running).tasks.len() == PARTITIONS as usize);
}

/// The shadow has one more output for each double, because it remembers money for a shorter time.
#[test]
fn it_is_seen_everywhere_and_promoted() {
    let mut fleet = Fleet::new();
    let (a, b) = two(&fleet);
    let live = version(&a);
    fleet.put(0);
    fleet.flow_to(5 * SECOND);
    fleet.through();
    assert_eq!(begin(&b, request(short())), Ok(1));
    let why = begin(&a, request(short())).expect_err("one at a time");
    assert!(why.contains("shadow 1 is still running"), "{why}");
    begun(&a);
    for second in 10..20 {
        fleet.put(second * SECOND);
    }
    fleet.flow_to(200 * SECOND);
    fleet.check(|_| false);
    let all = |shadowing: &Shadowing| shadowing.total.outputs.extra == 10 * PARTITIONS as u64;
    for running in [&a, &b] {
        eventually("what differs is seen", || all(&seen(running)));
    }
    let client = fleet.client("somebody");
    eventually("and by who knows the brokers only", || {
        all(&client.diff().expect("it is read").expect("it is there"))
    });
    let shadowing = seen(&a);
    assert_eq!(shadowing.total.outputs.same, 10 * PARTITIONS as u64, "{shadowing:#?}");
    assert!(
        shadowing
            .tasks
            .values()
            .all(|report| report.standing == ShadowState::Running)
    );
    assert_eq!((version(&a), version(&b)), (live.clone(), live));
    let promoted = deploy(
        &a,
        DeployRequest {
            promote: true,
            ..DeployRequest::default()
        },
    );
    let promoted = promoted.expect("it takes over");
    assert_eq!((promoted.number, &promoted.version), (2, &shadowing.version));
    let at = promoted.at.expect("it is decided") - pelton_tests::stage::START;
    for second in 250..260 {
        fleet.put(second * SECOND);
    }
    fleet.flow_to(400 * SECOND);
    fleet.check(|time| time >= at);
    eventually("it is over", || {
        seen(&b).over.as_deref() == Some("deploy 2 was committed")
    });
    a.stop().expect("it stops");
    b.stop().expect("it stops");
}

#[test]
fn it_is_cancelled() {
    let mut fleet = Fleet::new();
    let a = fleet.start("a");
    has_tasks(&a, 4);
    let none = a.client().cancel().expect_err("nothing to cancel");
    assert!(matches!(none, DeployRefused::Request(_)), "{none}");
    let none = none.to_string();
    assert!(none.contains("no deploy and no shadow is under way"), "{none}");
    assert_eq!(begin(&a, request(short())), Ok(1));
    begun(&a);
    assert_eq!(a.client().cancel(), Ok(Cancelled::Shadow(1)));
    eventually("it is over", || seen(&a).over.is_some());
    let why = deploy(
        &a,
        DeployRequest {
            promote: true,
            ..DeployRequest::default()
        },
    );
    assert!(why.expect_err("there is none").contains("no shadow is running"));
    // The next shadow has the rules of the live task, and finds nothing.
    assert_eq!(begin(&a, request(long())), Ok(2));
    begun(&a);
    for second in 10..20 {
        fleet.put(second * SECOND);
    }
    fleet.flow_to(200 * SECOND);
    fleet.check(|_| false);
    let outputs = 10 * PARTITIONS as u64;
    eventually("all is compared", || seen(&a).total.outputs.same == outputs);
    assert_eq!(seen(&a).total.differ(), 0);
    a.stop().expect("it stops");
}

/// The tasks of an instance that dies go on elsewhere without the shadow, and report that. The other tasks keep it.
#[test]
fn it_ends_where_its_instance_dies() {
    let mut fleet = Fleet::new();
    let (a, b) = two(&fleet);
    fleet.put(0);
    fleet.flow_to(5 * SECOND);
    fleet.through();
    assert_eq!(begin(&a, request(short())), Ok(1));
    begun(&a);
    begun(&b);
    let of_a: Vec<Partition> = a.statuses().iter().map(|status| status.partition).collect();
    fleet.cluster.kill("a");
    drop(a);
    has_tasks(&b, 4);
    eventually("they have ended", || {
        let tasks = seen(&b).tasks;
        of_a.iter().all(|task| tasks[task].standing == ShadowState::Ended)
    });
    for (task, report) in seen(&b).tasks {
        match of_a.contains(&task) {
            true => assert_eq!(report.why.as_deref(), Some("its task has left instance 'a'")),
            false => assert_eq!(report.standing, ShadowState::Running),
        }
    }
    fleet.put(10 * SECOND);
    fleet.flow_to(100 * SECOND);
    fleet.check(|_| false);
    eventually("those that stay see it", || {
        seen(&b).total.outputs.extra == (PARTITIONS as usize - of_a.len()) as u64
    });
    b.stop().expect("it stops");
}
