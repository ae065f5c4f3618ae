//! Tests the protocol under every order of records that authors, tasks and instances can produce.

use super::*;
use crate::record::{Millis, NEVER, Number, Partition, VersionId};
use proptest::prelude::*;

const TASKS: usize = 3;

fn deploy(number: Number, nonce: u8, at: Option<Millis>) -> Deploy {
    Deploy {
        number,
        nonce: [nonce; 16],
        version: [nonce; 32],
        component: [nonce; 32],
        bytes: 1,
        settings: "{}".into(),
        at,
        one_way: false,
        drop_timers: false,
        author: "test".into(),
        written: 0,
        declared: Default::default(),
    }
}

fn answer(number: Number, task: Partition, position: Millis) -> ControlRecord {
    ControlRecord::Answer { number, task, position }
}

fn cancel(number: Number) -> ControlRecord {
    let decision = Decision::Cancel("no".into());
    ControlRecord::Decision { number, decision }
}

#[test]
fn records_come_back() {
    let report = DeployProgress {
        stage: DeployStage::Ready,
        tasks: vec![Partition(0), Partition(2)],
    };
    for record in [
        ControlRecord::Deploy(deploy(7, 1, Some(-5))),
        cancel(7),
        ControlRecord::Decision {
            number: 7,
            decision: Decision::Commit(12),
        },
        answer(7, Partition(2), i64::MIN),
        ControlRecord::Report {
            number: 7,
            instance: "a".into(),
            report,
        },
        ControlRecord::Taken {
            task: Partition(1),
            number: 7,
        },
        ControlRecord::Pruned { number: 3 },
    ] {
        assert_eq!(ControlRecord::decode(&record.value()), Ok(record.clone()));
        assert_eq!(Key::decode(&record.key(&[1; 16])), Key::Other);
    }
    let newer = ControlRecord::decode(&[9, 9])
        .expect_err("an unknown version")
        .to_string();
    assert!(
        newer.starts_with("a record of the control topic has format version 9"),
        "{newer}"
    );
    assert_eq!(Key::decode(&Key::chunk(&[3; 32], 260)), Key::Chunk([3; 32], 260));
}

#[test]
fn a_record_of_a_negative_partition_is_refused() {
    let taken = |task| ControlRecord::decode(&ControlRecord::Taken { task, number: 7 }.value());
    assert!(taken(Partition(0)).is_ok());
    assert!(taken(Partition(-1)).is_err());
}

/// Compaction keeps the last record with a key, so a decision must never replace another one.
#[test]
fn orders_have_keys_of_their_own() {
    let (one, other) = (nonce(&[b"a", b"bc"]), nonce(&[b"ab", b"c"]));
    assert_ne!(one, other);
    assert_ne!(cancel(2).key(&one), cancel(2).key(&other));
    assert_ne!(
        ControlRecord::Deploy(deploy(2, 1, None)).key(&one),
        ControlRecord::Deploy(deploy(2, 2, None)).key(&one)
    );
    assert_eq!(
        answer(2, Partition(1), 5).key(&one),
        answer(2, Partition(1), 9).key(&other)
    );
}

#[test]
fn the_first_holds_from_the_beginning() {
    let mut control = Control::new(TASKS);
    assert!(matches!(
        control.apply(ControlRecord::Deploy(deploy(2, 1, None))),
        Applied::Refused(_)
    ));
    assert_eq!(
        control.apply(ControlRecord::Deploy(deploy(1, 1, None))),
        Applied::Changed
    );
    assert!(matches!(
        control.apply(ControlRecord::Deploy(deploy(1, 2, None))),
        Applied::Refused(_)
    ));
    assert_eq!(control.committed().len(), 1);
    assert_eq!(
        (control.committed()[0].at, control.last(), control.open()),
        (NEVER, 1, None)
    );
}

#[test]
fn now_is_the_latest_position() {
    let mut control = Control::new(TASKS);
    control.apply(ControlRecord::Deploy(deploy(1, 1, None)));
    control.apply(ControlRecord::Deploy(deploy(2, 2, None)));
    for (task, position) in [(0, 10), (2, NEVER)] {
        control.apply(answer(2, Partition(task), position));
        assert_eq!(control.due(), None);
    }
    assert_eq!(control.missing(), [Partition(1)]);
    control.apply(answer(2, Partition(1), 30));
    let decision = Decision::Commit(31);
    assert_eq!(control.due(), Some(ControlRecord::Decision { number: 2, decision }));
}

/// While a deploy is undecided, no other is accepted, and a late decision has no effect.
#[test]
fn one_after_the_other() {
    let mut control = Control::new(TASKS);
    control.apply(ControlRecord::Deploy(deploy(1, 1, None)));
    control.apply(ControlRecord::Deploy(deploy(2, 2, Some(100))));
    assert!(matches!(
        control.apply(ControlRecord::Deploy(deploy(3, 3, None))),
        Applied::Refused(_)
    ));
    assert_eq!(control.apply(cancel(2)), Applied::Changed);
    let decision = Decision::Commit(100);
    assert_eq!(
        control.apply(ControlRecord::Decision { number: 2, decision }),
        Applied::None
    );
    assert_eq!(control.committed().len(), 1);
    assert_eq!(
        control.apply(ControlRecord::Deploy(deploy(3, 3, None))),
        Applied::Changed
    );
}

/// A later deploy with an earlier time replaces one that no task has come to yet.
#[test]
fn a_higher_number_wins() {
    let at = |number, at| Committed {
        number,
        version: [number as u8; 32],
        at,
    };
    let committed = [at(1, NEVER), at(2, 100), at(3, 50), at(5, 200)];
    let mut taken = 0;
    let mut seen = vec![];
    while let Some(next) = next(&committed, taken) {
        taken = next.number;
        seen.push((next.number, next.at));
    }
    assert_eq!(seen, [(1, NEVER), (3, 50), (5, 200)]);
}

#[test]
fn ready_instances_cover_the_tasks() {
    let mut control = Control::new(TASKS);
    control.apply(ControlRecord::Deploy(deploy(1, 1, None)));
    control.apply(ControlRecord::Deploy(deploy(2, 2, None)));
    let mut report = |instance: &str, stage, tasks: &[Partition]| {
        let tasks = tasks.to_vec();
        control.apply(ControlRecord::Report {
            number: 2,
            instance: instance.into(),
            report: DeployProgress { stage, tasks },
        });
        control.open().expect("open").covered
    };
    assert!(!report("a", DeployStage::Ready, &[Partition(0), Partition(1)]));
    assert!(!report("b", DeployStage::Fetched, &[Partition(2)]));
    assert!(report("b", DeployStage::Ready, &[Partition(2)]));
    // Once the tasks are covered, they stay covered, because tasks may hold already.
    assert!(report("b", DeployStage::Ready, &[]));
}

/// An action in the model below.
#[derive(Clone, Debug)]
enum Move {
    /// An author that has read this much of the log deploys.
    Deploy(usize, Option<Millis>),
    /// The instance of a task has read this much. The task answers if it can, or else takes steps.
    Task(usize, usize),
    /// Someone who has read this much writes the commit, if it is due.
    Decide(usize),
    /// Someone who has read this much writes a cancel.
    GiveUp(usize),
    /// A task moves to an instance that has read everything.
    Moves(usize),
}

/// A task of the model, with what its meta says.
#[derive(Clone, Debug, Default)]
struct Task {
    /// How many records of the log its instance has read.
    read: usize,
    /// The steps that it has taken: their times, and the version of each.
    steps: Vec<(Millis, VersionId)>,
    taken: Number,
    /// (number, bound): it takes no step at or after this time.
    holds: Option<(Number, Millis)>,
}

fn read(log: &[ControlRecord], to: usize) -> Control {
    let mut control = Control::new(TASKS);
    for record in &log[..to.min(log.len())] {
        control.apply(record.clone());
    }
    control
}

impl Task {
    /// The task's instance reads on. The task answers, and takes one step unless it holds.
    fn turn(&mut self, log: &mut Vec<ControlRecord>, task: usize, to: usize) {
        self.read = self.read.max(to.min(log.len()));
        let control = read(log, self.read);
        let position = self.steps.last().map_or(NEVER, |(time, _)| *time);
        if let Some((number, _)) = self.holds
            && control
                .known(number)
                .is_some_and(|known| known.state != DeployState::Open)
        {
            self.holds = None;
        }
        if let Some(open) = control.open()
            && self.holds.is_none()
        {
            let number = open.deploy.number;
            match open.deploy.at {
                Some(at) if position >= at => log.push(cancel(number)),
                at => {
                    self.holds = Some((number, at.unwrap_or(position.saturating_add(1))));
                    log.push(answer(number, Partition::at(task), position));
                }
            }
        }
        let time = position.max(0) + 7;
        if self.holds.is_some_and(|(_, bound)| time >= bound) {
            return;
        }
        let committed = control.committed();
        while let Some(next) = next(&committed, self.taken)
            && next.at <= time
        {
            self.taken = next.number;
        }
        let version = committed.iter().find(|known| known.number == self.taken);
        if let Some(version) = version {
            self.steps.push((time, version.version));
        }
    }
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let lag = 0..4_usize;
    let at = prop::option::of(0..300_i64);
    let one = prop_oneof![
        2 => (lag.clone(), at).prop_map(|(lag, at)| Move::Deploy(lag, at)),
        12 => (0..TASKS, lag.clone()).prop_map(|(task, lag)| Move::Task(task, lag)),
        3 => lag.clone().prop_map(Move::Decide),
        1 => lag.prop_map(Move::GiveUp),
        1 => (0..TASKS).prop_map(Move::Moves),
    ];
    prop::collection::vec(one, 1..200)
}

proptest! {
    /// With two concurrent authors, and with instances and tasks that lag and move: all who have read the same agree,
    /// and every step was taken by the version that the whole log says.
    #[test]
    fn every_step_has_the_version_of_its_time(moves in moves()) {
        let mut log = vec![ControlRecord::Deploy(deploy(1, 1, None))];
        let mut tasks: Vec<Task> = vec![Task::default(); TASKS];
        let mut nonces = 1;
        for one in moves {
            let seen = |lag: usize| log.len().saturating_sub(lag).max(1);
            match one {
                Move::Deploy(lag, at) => {
                    let control = read(&log, seen(lag));
                    nonces += 1;
                    if control.open().is_none() {
                        log.push(ControlRecord::Deploy(deploy(control.last() + 1, nonces, at)));
                    }
                }
                Move::Task(task, lag) => {
                    let to = seen(lag);
                    tasks[task].turn(&mut log, task, to);
                }
                Move::Decide(lag) => log.extend(read(&log, seen(lag)).due()),
                Move::GiveUp(lag) => {
                    let number = read(&log, seen(lag)).open().map(|open| open.deploy.number);
                    log.extend(number.map(cancel));
                }
                Move::Moves(task) => {
                    let to = log.len();
                    tasks[task].turn(&mut log, task, to);
                }
            }
        }
        let end = read(&log, log.len());
        let committed = end.committed();
        for (number, task) in tasks.iter().enumerate() {
            for (time, version) in &task.steps {
                let holds = committed.iter().rev().find(|deploy| deploy.at <= *time);
                prop_assert_eq!(holds.map(|deploy| &deploy.version), Some(version), "task {} at {}", number, time);
            }
        }
        // Reading further never changes what was decided.
        let mut before = Control::new(TASKS);
        for record in &log {
            let old = before.committed();
            before.apply(record.clone());
            prop_assert!(before.committed().starts_with(&old));
        }
        prop_assert_eq!(before, end);
    }
}
