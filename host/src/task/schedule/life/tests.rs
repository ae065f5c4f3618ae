use super::*;
use crate::deploy::protocol::Withdrawn;
use crate::record::Offset;
use crate::record::journal::{JournalEntry, JournalInput};
use std::panic::{AssertUnwindSafe, catch_unwind};

const V1: VersionId = [1; 32];
const V2: VersionId = [2; 32];
const V3: VersionId = [3; 32];

fn deploy(number: Number, version: VersionId, at: Millis) -> Committed {
    Committed { number, version, at }
}

/// What the control topic says with these deploys after the first one, which applies from the beginning.
fn rules(later: &[Committed]) -> RulesSchedule {
    let mut rules = RulesSchedule::default();
    rules.committed.push(deploy(1, V1, NEVER));
    rules.committed.extend(later);
    rules
}

fn promise(number: Number, until: Millis) -> Option<PreparedDeploy> {
    let version = V3;
    Some(PreparedDeploy { number, version, until })
}

fn withdrawn(number: Number, instead: Option<Committed>) -> RulesSchedule {
    let mut rules = rules(&[]);
    rules.withdrawn.push(Withdrawn {
        number,
        version: V2,
        replacement: instead,
    });
    rules
}

/// A journal in which a version takes over before the first step.
fn journal() -> Replay {
    let what = JournalInput::Rules { version: V2, number: 2 };
    let entry = JournalEntry::After {
        anchor: StepKey::Start,
        sequence: 0,
        what,
    };
    Replay::new(vec![entry], Offset(7), 1)
        .1
        .expect("a journal with an entry")
}

fn uninformed() -> Life {
    Life::open(None)
}

fn scheduled(course: Course) -> Life {
    let mut life = uninformed();
    life.inform(course);
    life
}

fn reader() -> Life {
    let mut life = Life::open(Some(journal()));
    life.inform(Course::Running);
    life
}

fn awaiting() -> Life {
    let mut life = reader();
    let Life::ControlReader { awaits, .. } = &mut life else {
        panic!("{life:?}")
    };
    *awaits = Some(V2);
    life
}

/// The end of its journal is reached, but not committed.
fn through() -> Life {
    let mut life = reader();
    life.end_journal(Course::Running);
    life
}

/// The name of the state in the diagram.
fn state(life: &Life) -> &'static str {
    match life {
        Life::Uninformed { .. } => "uninformed",
        Life::ControlReader { awaits: None, .. } => "following",
        Life::ControlReader { awaits: Some(_), .. } => "awaiting",
        Life::Scheduled { course, .. } => match course {
            Course::Running => "running",
            Course::Approaching { .. } => "approaching",
            Course::Holding { .. } => "holding",
            Course::Withdrawn { .. } => "withdrawn",
        },
    }
}

fn courses() -> [Course; 4] {
    let next = deploy(2, V2, 50);
    [
        Course::Running,
        Course::Approaching { next },
        Course::Holding { until: 40, next: None },
        Course::Withdrawn { replacement: None },
    ]
}

/// One of each state, with its name.
fn all() -> Vec<Life> {
    let mut all = vec![
        uninformed(),
        Life::open(Some(journal())),
        reader(),
        awaiting(),
        through(),
    ];
    all.extend(courses().map(scheduled));
    all
}

#[test]
fn the_schedule_says_which_course_a_task_takes() {
    let (sooner, later) = (deploy(2, V2, 50), deploy(2, V2, 100));
    let back = deploy(1, V1, NEVER);
    for (rules, deployed, prepared, course, bound) in [
        (rules(&[]), 1, None, Course::Running, FOREVER),
        (rules(&[sooner]), 1, None, Course::Approaching { next: sooner }, 50),
        (rules(&[sooner]), 2, None, Course::Running, FOREVER),
        (
            rules(&[]),
            1,
            promise(2, 70),
            Course::Holding { until: 70, next: None },
            70,
        ),
        (
            rules(&[later]),
            1,
            promise(3, 70),
            Course::Holding {
                until: 70,
                next: Some(later),
            },
            70,
        ),
        // A deploy that is committed for the time of the promise or earlier takes over first.
        (
            rules(&[sooner]),
            1,
            promise(3, 70),
            Course::Approaching { next: sooner },
            50,
        ),
        (
            rules(&[sooner]),
            1,
            promise(3, 50),
            Course::Approaching { next: sooner },
            50,
        ),
        // A withdrawal comes before everything else.
        (
            withdrawn(2, Some(back)),
            2,
            promise(3, 70),
            Course::Withdrawn {
                replacement: Some(back),
            },
            NEVER,
        ),
        (
            withdrawn(2, None),
            2,
            None,
            Course::Withdrawn { replacement: None },
            NEVER,
        ),
        // A withdrawal doesn't concern a task that never took the deploy over, or has gone back.
        (withdrawn(2, Some(back)), 1, None, Course::Running, FOREVER),
    ] {
        let found = Course::of(&rules, deployed, prepared);
        assert_eq!((found, found.bound()), (course, bound));
    }
}

#[test]
fn a_schedule_informs_a_task() {
    for course in courses() {
        let known = state(&scheduled(course));
        for mut life in all() {
            let before = state(&life);
            let (journal, kept) = (life.journal().is_some(), life.keeps_journal());
            life.inform(course);
            assert_eq!(life.keeps_journal(), kept, "from {before}");
            let expected = match before {
                "uninformed" if journal => "following",
                // While a journal is followed, the journal decides.
                "following" | "awaiting" => before,
                _ => known,
            };
            assert_eq!(state(&life), expected, "from {before}");
        }
    }
}

#[test]
fn a_take_over_changes_the_course_and_never_comes_before_the_schedule() {
    for mut life in all() {
        let before = state(&life);
        let taken = catch_unwind(AssertUnwindSafe(|| life.take_over(Course::Running)));
        assert_eq!(taken.is_err(), before == "uninformed", "from {before}");
        if taken.is_ok() {
            let follows = matches!(before, "following" | "awaiting");
            assert_eq!(state(&life), if follows { before } else { "running" });
        }
    }
}

#[test]
fn only_a_journal_that_is_followed_ends() {
    for course in courses() {
        for mut life in all() {
            let before = state(&life);
            let ended = catch_unwind(AssertUnwindSafe(|| life.end_journal(course)));
            assert_eq!(ended.is_ok(), before == "following", "from {before}");
            if ended.is_ok() {
                assert_eq!(state(&life), state(&scheduled(course)));
                assert!(life.journal().is_none() && life.keeps_journal());
            }
        }
    }
}

#[test]
fn the_end_of_a_journal_counts_once_it_is_committed() {
    let mut dropped = through();
    dropped.start_over(&StepKey::Start, 0);
    assert_eq!(state(&dropped), "uninformed");
    dropped.inform(Course::Running);
    assert_eq!(state(&dropped), "following", "the journal is followed again");

    let mut committed = through();
    assert!(committed.commit_end());
    assert!(!committed.commit_end(), "once");
    committed.start_over(&StepKey::Start, 0);
    committed.inform(Course::Running);
    assert_eq!(state(&committed), "running");

    for mut life in [uninformed(), reader(), awaiting(), scheduled(Course::Running)] {
        assert!(!life.commit_end(), "{life:?}");
    }
}

#[test]
fn every_life_starts_over_with_the_journal_that_it_had() {
    for mut life in all() {
        let before = state(&life);
        let kept = life.keeps_journal();
        life.start_over(&StepKey::Start, 0);
        assert_eq!(state(&life), "uninformed", "from {before}");
        assert_eq!(life.journal().is_some(), kept, "from {before}");
    }
}

#[test]
fn a_journal_is_rewound_to_the_place_that_is_committed() {
    let mut life = reader();
    life.kept_journal().expect("it follows one").advance();
    assert_eq!(life.journal().and_then(Replay::bound), None);
    life.start_over(&StepKey::Start, 0);
    assert_eq!(life.journal().and_then(Replay::bound), Some(&StepKey::Start));
    life.start_over(&StepKey::Start, 1);
    assert_eq!(life.journal().and_then(Replay::bound), None);
}

#[test]
fn who_may_step_and_how_far() {
    for life in all() {
        let (may, bound) = match state(&life) {
            "uninformed" | "withdrawn" => (false, NEVER),
            "awaiting" => (false, FOREVER),
            "following" | "running" => (true, FOREVER),
            "approaching" => (true, 50),
            "holding" => (true, 40),
            other => panic!("{other}"),
        };
        assert_eq!((life.may_step(), life.bound()), (may, bound), "{life:?}");
    }
}

#[test]
fn a_version_is_wanted_wherever_it_takes_over() {
    let next = deploy(2, V2, 50);
    for (life, wanted) in [
        (uninformed(), None),
        (reader(), None),
        (awaiting(), Some(V2)),
        (scheduled(Course::Running), None),
        (scheduled(Course::Approaching { next }), Some(V2)),
        (scheduled(Course::Holding { until: 40, next: None }), None),
        (
            scheduled(Course::Holding {
                until: 40,
                next: Some(next),
            }),
            Some(V2),
        ),
        (scheduled(Course::Withdrawn { replacement: None }), None),
        (
            scheduled(Course::Withdrawn {
                replacement: Some(next),
            }),
            Some(V2),
        ),
    ] {
        assert_eq!(life.next_version(), wanted, "{life:?}");
    }
}
