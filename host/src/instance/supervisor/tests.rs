//! Tests the supervisor from its driver's view: which requests follow which events.

use super::membership::RIVAL;
use super::*;
use crate::config::Config;
use crate::instance::member::{GroupReport, MemberEvent};
use crate::instance::tasks::Tasks;
use crate::log::Membership;
use crate::metrics::Metrics;
use crate::record::Partition;
use crate::record::Stay;
use std::path::Path;
use std::sync::Arc;

/// A supervisor of two workers, driven by hand.
struct Driven {
    supervisor: Supervisor,
    now: Duration,
}

fn driven() -> Driven {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/money-json/pelton.toml");
    let mut config = Config::load(&file, &[]).unwrap();
    config.workers = 2;
    let metrics = Arc::new(Metrics::of(&config));
    Driven {
        supervisor: Supervisor::new(Arc::new(config), Arc::default(), Tasks::default(), metrics, 1),
        now: Duration::ZERO,
    }
}

impl Driven {
    fn step_with(&mut self, events: impl IntoIterator<Item = SupervisorEvent>) -> Vec<String> {
        let step = self.supervisor.step(self.now, &mut events.into_iter());
        step.requests.iter().map(show).collect()
    }

    /// Time passes without events, and the driver runs all the time.
    fn runs_for(&mut self, time: Duration) -> Option<Result<()>> {
        let until = self.now + time;
        loop {
            let step = self.supervisor.step(self.now, &mut std::iter::empty());
            if step.ended.is_some() || self.now >= until {
                return step.ended;
            }
            self.now = (self.now + step.next.max(Duration::from_millis(1))).min(until);
        }
    }

    /// These tasks run already.
    fn runs(&mut self, partitions: &[Partition]) {
        for partition in partitions {
            let stay = self.supervisor.next_stay();
            self.supervisor.partitions.insert(*partition, Holding::Open(stay));
        }
    }

    fn ended(&mut self) -> Option<Result<()>> {
        self.supervisor.step(self.now, &mut std::iter::empty()).ended
    }
}

fn show(request: &SupervisorRequest) -> String {
    let claims = |claims: &[Claim]| {
        let shown = claims
            .iter()
            .map(|claim| format!("{}@{}", claim.partition, claim.stay.0));
        shown.collect::<Vec<_>>().join(" ")
    };
    match request {
        SupervisorRequest::Worker(worker, Command::Open(_, stay, at)) => {
            format!("{worker} open @{} under {at}", stay.0)
        }
        SupervisorRequest::Worker(worker, Command::Reassigned(at)) => format!("{worker} reassigned under {at}"),
        SupervisorRequest::Worker(worker, Command::Close(which, at)) => {
            format!("{worker} close {} under {at}", claims(which))
        }
        SupervisorRequest::Worker(worker, Command::Lose(which, at)) => {
            format!("{worker} lose {} under {at}", claims(which))
        }
        SupervisorRequest::Worker(worker, Command::SetSchedule(_)) => format!("{worker} order"),
        SupervisorRequest::Restore(claim) => format!("restore {}", claims(&[*claim])),
        SupervisorRequest::Abandon(claim) => format!("abandon {}", claims(&[*claim])),
        SupervisorRequest::Member(request) => format!("{request:?}"),
        SupervisorRequest::Truncate(partition, before) => format!("cut {partition} before {before}"),
    }
}

fn heard(membership: u64, assignment: u64, event: MemberEvent) -> SupervisorEvent {
    SupervisorEvent::Group(GroupReport {
        membership,
        assignment,
        event,
    })
}

fn assigned(assignment: u64, partitions: &[Partition]) -> SupervisorEvent {
    heard(
        0,
        assignment,
        MemberEvent::Changed(Membership::Assigned(partitions.to_vec())),
    )
}

fn revoked(assignment: u64, partitions: &[Partition]) -> SupervisorEvent {
    heard(
        0,
        assignment,
        MemberEvent::Changed(Membership::Revoked(partitions.to_vec())),
    )
}

fn lost(assignment: u64, partitions: &[Partition]) -> SupervisorEvent {
    heard(
        0,
        assignment,
        MemberEvent::Changed(Membership::Lost(partitions.to_vec())),
    )
}

fn fenced() -> SupervisorEvent {
    heard(0, 9, MemberEvent::Fenced("somebody".into()))
}

fn closed(partition: Partition, stay: u64) -> SupervisorEvent {
    let stay = Stay(stay);
    SupervisorEvent::Closed(vec![Claim { partition, stay }])
}

fn failed(partition: Partition, stay: u64) -> SupervisorEvent {
    let stay = Stay(stay);
    SupervisorEvent::Restored(Claim { partition, stay }, Err(Failure::Fatal("no task".into())))
}

#[test]
fn workers_hear_of_an_assignment_before_its_tasks_are_restored() {
    let mut driven = driven();
    let wants = driven.step_with([assigned(7, &[Partition(0), Partition(1)])]);
    assert_eq!(
        wants,
        [
            "0 reassigned under 7",
            "1 reassigned under 7",
            "restore 0@1",
            "restore 1@2"
        ]
    );
}

#[test]
fn a_revoked_partition_is_released_when_its_task_is_closed_and_no_sooner() {
    let mut driven = driven();
    driven.runs(&[Partition(0), Partition(1), Partition(2)]);
    let wants = driven.step_with([revoked(8, &[Partition(0), Partition(1)])]);
    assert_eq!(wants, ["0 close 0@1 under 8", "1 close 1@2 under 8"]);
    assert_eq!(driven.step_with([closed(Partition(0), 1)]), [""; 0]);
    // Reports about another stay are not an answer.
    assert_eq!(
        driven.step_with([closed(Partition(1), 1), closed(Partition(1), 3)]),
        [""; 0]
    );
    assert_eq!(driven.step_with([closed(Partition(1), 2)]), ["Release([0, 1])"]);
    assert_eq!(driven.step_with([closed(Partition(1), 2)]), [""; 0]);
    assert!(driven.supervisor.is_settled());
}

#[test]
fn a_partition_that_is_restored_is_given_back_at_once() {
    let mut driven = driven();
    driven.step_with([assigned(7, &[Partition(0)])]);
    let wants = driven.step_with([revoked(8, &[Partition(0)])]);
    assert_eq!(
        wants,
        [
            "abandon 0@1",
            "0 reassigned under 8",
            "1 reassigned under 8",
            "Release([0])"
        ]
    );
    assert_eq!(driven.step_with([failed(Partition(0), 1)]), [""; 0]);
    assert_eq!(driven.ended(), None, "nobody waits for that restore any more");
}

#[test]
fn a_restore_that_fails_ends_the_instance() {
    let mut driven = driven();
    driven.step_with([assigned(7, &[Partition(0)])]);
    driven.step_with([failed(Partition(0), 1)]);
    assert_eq!(driven.ended(), Some(Err(Failure::Fatal("no task".into()))));
}

#[test]
fn what_is_lost_while_it_closes_is_dropped_and_released_once_for_each_word() {
    let mut driven = driven();
    driven.runs(&[Partition(0)]);
    driven.step_with([revoked(8, &[Partition(0)])]);
    let wants = driven.step_with([lost(9, &[Partition(0)])]);
    assert_eq!(wants, ["0 lose 0@1 under 9", "1 reassigned under 9"]);
    assert_eq!(
        driven.step_with([closed(Partition(0), 1)]),
        ["Release([0])", "Release([0])"]
    );
}

#[test]
fn what_is_assigned_again_while_it_closes_is_restored_after_that() {
    let mut driven = driven();
    driven.runs(&[Partition(0)]);
    driven.step_with([revoked(8, &[Partition(0)])]);
    let wants = driven.step_with([assigned(9, &[Partition(0)])]);
    assert_eq!(wants, ["0 reassigned under 9", "1 reassigned under 9"]);
    assert_eq!(
        driven.step_with([closed(Partition(0), 1)]),
        ["restore 0@2", "Release([0])"]
    );
}

#[test]
fn a_worker_that_does_not_close_ends_the_instance_after_the_deadline() {
    let mut driven = driven();
    driven.runs(&[Partition(0)]);
    driven.step_with([revoked(8, &[Partition(0)])]);
    assert_eq!(driven.runs_for(CLOSE_DEADLINE - Duration::from_millis(1)), None);
    let ended = driven.runs_for(Duration::from_millis(1));
    assert!(matches!(ended, Some(Err(Failure::Fatal(why))) if why.contains("[0] were not closed within 60s")));
}

#[test]
fn a_process_that_stood_still_has_not_used_up_its_deadlines() {
    let mut driven = driven();
    driven.runs(&[Partition(0)]);
    driven.step_with([revoked(8, &[Partition(0)])]);
    driven.now += Duration::from_secs(3600);
    assert_eq!(driven.ended(), None);
    // The hour counts as one second.
    assert_eq!(
        driven.runs_for(CLOSE_DEADLINE - MAX_STEP - Duration::from_millis(1)),
        None
    );
    assert!(driven.runs_for(Duration::from_millis(1)).is_some());
}

#[test]
fn what_was_said_in_time_counts_before_a_deadline() {
    let mut driven = driven();
    driven.runs(&[Partition(0)]);
    driven.step_with([revoked(8, &[Partition(0)])]);
    driven.runs_for(CLOSE_DEADLINE - Duration::from_millis(1));
    driven.now += Duration::from_millis(1);
    assert_eq!(driven.step_with([closed(Partition(0), 1)]), ["Release([0])"]);
    assert_eq!(driven.ended(), None);
}

#[test]
fn told_to_stop_it_closes_everything_then_leaves_then_ends() {
    let mut driven = driven();
    driven.runs(&[Partition(0), Partition(1)]);
    driven.step_with([assigned(7, &[Partition(2)])]);
    let wants = driven.step_with([SupervisorEvent::Stop]);
    assert_eq!(wants, ["abandon 2@3", "0 close 0@1 under 7", "1 close 1@2 under 7"]);
    assert_eq!(
        driven.step_with([closed(Partition(0), 1), assigned(8, &[Partition(3)])]),
        [""; 0]
    );
    assert_eq!(driven.step_with([closed(Partition(1), 2)]), ["Leave"]);
    assert_eq!(driven.ended(), None);
    driven.step_with([heard(0, 9, MemberEvent::Left)]);
    assert_eq!(driven.ended(), Some(Ok(())));
}

#[test]
fn a_stop_that_takes_too_long_says_so() {
    let mut driven = driven();
    driven.runs(&[Partition(0)]);
    driven.step_with([SupervisorEvent::Stop]);
    assert_eq!(driven.runs_for(STOP_DEADLINE - Duration::from_millis(1)), None);
    let ended = driven.runs_for(Duration::from_millis(1));
    assert!(matches!(ended, Some(Err(Failure::Fatal(why))) if why.contains("told to stop")));
}

#[test]
fn fenced_it_leaves_drops_everything_and_joins_again() {
    for left_first in [true, false] {
        let mut driven = driven();
        driven.runs(&[Partition(0), Partition(1)]);
        driven.step_with([revoked(8, &[Partition(1)])]);
        let wants = driven.step_with([fenced()]);
        // The gate closes first.
        assert_eq!(wants, ["Leave", "0 lose 0@1 under 8", "1 lose 1@2 under 8"]);
        // Further reports of the old membership have no effect.
        assert_eq!(
            driven.step_with([assigned(9, &[Partition(5)]), lost(9, &[Partition(0)])]),
            [""; 0]
        );
        let left = heard(0, 10, MemberEvent::Left);
        let joins = match left_first {
            true => {
                assert_eq!(driven.step_with([left]), [""; 0]);
                driven.step_with([closed(Partition(0), 1), closed(Partition(1), 2)])
            }
            false => {
                assert_eq!(
                    driven.step_with([closed(Partition(0), 1), closed(Partition(1), 2)]),
                    [""; 0]
                );
                driven.step_with([left])
            }
        };
        assert_eq!(joins, ["Join"], "and nothing is released: it is nobody's");
        driven.step_with([heard(1, 11, MemberEvent::Joined)]);
        assert_eq!(
            driven.step_with([assigned(12, &[Partition(0)])]),
            [""; 0],
            "of the membership before"
        );
        let again = heard(1, 12, MemberEvent::Changed(Membership::Assigned(vec![Partition(0)])));
        let wants = driven.step_with([again]);
        assert_eq!(wants, ["0 reassigned under 12", "1 reassigned under 12", "restore 0@3"]);
    }
}

#[test]
fn fenced_twice_within_a_minute_it_ends() {
    for (after, ends) in [(RIVAL - Duration::from_millis(1), true), (RIVAL, false)] {
        let mut driven = driven();
        driven.step_with([fenced(), heard(0, 3, MemberEvent::Left)]);
        driven.step_with([heard(1, 4, MemberEvent::Joined)]);
        driven.now += after;
        driven.step_with([heard(1, 4, MemberEvent::Fenced("somebody".into()))]);
        let ended = driven.ended();
        assert_eq!(matches!(ended, Some(Err(Failure::Fenced(_)))), ends, "{ended:?}");
    }
}

#[test]
fn told_to_stop_while_it_is_fenced_it_does_not_join_again() {
    let mut driven = driven();
    driven.runs(&[Partition(0)]);
    driven.step_with([fenced(), SupervisorEvent::Stop]);
    assert_eq!(driven.step_with([heard(0, 9, MemberEvent::Left)]), [""; 0]);
    driven.step_with([closed(Partition(0), 1)]);
    assert_eq!(driven.ended(), Some(Ok(())));
}

#[test]
fn told_to_stop_while_it_joins_it_leaves_again() {
    let mut driven = driven();
    driven.step_with([fenced(), heard(0, 3, MemberEvent::Left), SupervisorEvent::Stop]);
    let mut driven_late = driven_after_join();
    assert_eq!(driven_late.step_with([SupervisorEvent::Stop]), [""; 0]);
    assert_eq!(driven_late.step_with([heard(1, 4, MemberEvent::Joined)]), ["Leave"]);
    driven_late.step_with([heard(1, 5, MemberEvent::Left)]);
    assert_eq!(driven_late.ended(), Some(Ok(())));
    assert_eq!(driven.ended(), Some(Ok(())), "it had left already");
}

fn driven_after_join() -> Driven {
    let mut driven = driven();
    assert_eq!(
        driven.step_with([fenced(), heard(0, 3, MemberEvent::Left)]),
        ["Leave", "0 reassigned under 1", "1 reassigned under 1", "Join"]
    );
    driven
}

#[test]
fn whoever_fails_ends_the_instance_and_the_first_reason_counts() {
    let mut driven = driven();
    let failure = |why: &str| SupervisorEvent::Failed(Failure::Fatal(why.into()));
    driven.step_with([failure("first"), failure("second")]);
    assert_eq!(driven.ended(), Some(Err(Failure::Fatal("first".into()))));
}

#[test]
fn the_driver_is_called_once_a_second_while_a_deadline_runs() {
    let mut driven = driven();
    driven.runs(&[Partition(0)]);
    let idle = driven.supervisor.step(driven.now, &mut std::iter::empty());
    assert_eq!(idle.next, LOG_EVERY);
    let step = driven
        .supervisor
        .step(driven.now, &mut [revoked(8, &[Partition(0)])].into_iter());
    assert_eq!(step.next, MAX_STEP);
}
