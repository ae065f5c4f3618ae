//! Tests how records about shadows change the state.

use super::super::{Control, ControlRecord, Decision, DeployState};
use super::*;
use crate::shadow::Seen;

fn deploy(number: Number, nonce: u8) -> Deploy {
    Deploy {
        number,
        nonce: [nonce; 16],
        version: [nonce; 32],
        component: [nonce; 32],
        bytes: 1,
        settings: "{}".into(),
        at: None,
        one_way: false,
        drop_timers: false,
        author: "test".into(),
        written: 0,
        declared: Default::default(),
    }
}

fn begin(number: Number, nonce: u8) -> ControlRecord {
    ControlRecord::Shadow(ShadowRecord::Begin(ShadowDeploy {
        deploy: deploy(number, nonce),
        duration: 1000,
    }))
}

fn over(number: Number) -> ControlRecord {
    ControlRecord::Shadow(ShadowRecord::Over(number, "enough".into()))
}

fn seen(number: Number, task: Partition, steps: u64) -> ControlRecord {
    let report = ShadowReport {
        seen: Seen {
            steps,
            ..Seen::default()
        },
        ..ShadowReport::default()
    };
    let json = serde_json::to_vec(&report).expect("plain data");
    ControlRecord::Shadow(ShadowRecord::Seen(number, task, json))
}

fn ready(number: Number, instance: &str, tasks: &[Partition]) -> ControlRecord {
    let progress = DeployProgress {
        stage: DeployStage::Ready,
        tasks: tasks.to_vec(),
    };
    ControlRecord::Shadow(ShadowRecord::Progress(number, instance.into(), progress))
}

fn commit(number: Number) -> ControlRecord {
    let decision = Decision::Commit(5);
    ControlRecord::Decision { number, decision }
}

fn read(records: Vec<ControlRecord>) -> (Control, Vec<Applied>) {
    let mut control = Control::new(2);
    let effects = records.into_iter().map(|record| control.apply(record)).collect();
    (control, effects)
}

fn refused(effect: &Applied) -> &str {
    match effect {
        Applied::Refused(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn records_come_back_with_keys_that_replace_what_they_may() {
    for record in [
        begin(1, 7),
        over(1),
        seen(1, Partition(0), 3),
        ready(1, "a", &[Partition(0), Partition(1)]),
    ] {
        assert_eq!(ControlRecord::decode(&record.value()), Ok(record.clone()));
    }
    let key = |record: ControlRecord, nonce: u8| record.key(&[nonce; 16]);
    assert_ne!(key(begin(1, 1), 0), key(begin(1, 2), 0));
    assert_ne!(key(over(1), 1), key(over(1), 2));
    assert_eq!(key(seen(1, Partition(0), 1), 1), key(seen(2, Partition(0), 5), 2));
    assert_ne!(key(seen(1, Partition(0), 1), 1), key(seen(1, Partition(1), 1), 1));
    assert_ne!(key(ready(1, "a", &[]), 1), key(ready(1, "b", &[]), 1));
}

/// No task and no deploy waits for a shadow.
#[test]
fn a_shadow_decides_nothing() {
    let first = ControlRecord::Deploy(deploy(1, 1));
    let (control, effects) = read(vec![
        first.clone(),
        begin(1, 9),
        ControlRecord::Deploy(deploy(2, 2)),
        ready(1, "a", &[Partition(0)]),
        ready(1, "b", &[Partition(1)]),
    ]);
    assert_eq!(effects, vec![Applied::Changed; 5]);
    assert_eq!(control.open().map(|open| open.deploy.number), Some(2));
    assert_eq!(control.committed().len(), 1);
    let known = control.shadows().under_way().expect("it is under way");
    assert!(known.covered(2) && !known.covered(3));
    assert_eq!(control.of_version(&[9; 32]), Some(&known.shadow.deploy));
}

#[test]
fn one_at_a_time_and_by_number() {
    let first = ControlRecord::Deploy(deploy(1, 1));
    let (_, effects) = read(vec![
        first.clone(),
        begin(1, 3),
        begin(1, 4),
        over(1),
        begin(1, 5),
        begin(2, 6),
        over(1),
    ]);
    assert!(refused(&effects[2]).contains("is under way"));
    assert!(refused(&effects[4]).contains("the next shadow is 2"));
    assert_eq!((&effects[5], &effects[6]), (&Applied::Changed, &Applied::None));
    let (_, effects) = read(vec![first, ControlRecord::Deploy(deploy(2, 2)), begin(1, 3)]);
    assert!(refused(&effects[2]).contains("deploy 2 is not decided"));
}

/// A cancelled deploy leaves the shadow as it was. A committed one ends it, and its results stay.
#[test]
fn other_rules_end_it() {
    let first = ControlRecord::Deploy(deploy(1, 1));
    let (mut control, _) = read(vec![
        first,
        begin(1, 9),
        seen(1, Partition(0), 3),
        ControlRecord::Deploy(deploy(2, 2)),
    ]);
    let cancel = ControlRecord::Decision {
        number: 2,
        decision: Decision::Cancel("no".into()),
    };
    control.apply(cancel);
    assert!(control.shadows().under_way().is_some());
    control.apply(ControlRecord::Deploy(deploy(3, 9)));
    control.apply(commit(3));
    assert!(control.shadows().under_way().is_none());
    assert_eq!(
        control.known(3).map(|known| &known.state),
        Some(&DeployState::Committed(5))
    );
    control.apply(seen(1, Partition(1), 4));
    let last = control.shadows().last().expect("it is known");
    assert_eq!(last.over.as_deref(), Some("deploy 3 was committed"));
    let steps: Vec<u64> = last.tasks.values().map(|report| report.seen.steps).collect();
    assert_eq!(steps, [3, 4]);
    // Records about another shadow are ignored.
    assert_eq!(control.apply(seen(2, Partition(0), 9)), Applied::None);
}

/// During an upgrade, instances of two versions of Pelton may share a pipeline.
#[test]
fn a_report_of_another_version_is_refused_in_words() {
    let said = |json: &str| ControlRecord::Shadow(ShadowRecord::Seen(1, Partition(0), json.into()));
    let begun = vec![ControlRecord::Deploy(deploy(1, 1)), begin(1, 9)];
    let last = |json| {
        let (control, mut effects) = read([begun.clone(), vec![said(json)]].concat());
        let told = control.shadows().last().expect("it has begun").tasks.len();
        (told, effects.pop().expect("three records"))
    };
    let (told, effect) = last(r#"{"format":1,"standing":"upside-down"}"#);
    assert_eq!(told, 0);
    let why = refused(&effect);
    for part in [
        "what task 0 says of shadow 1",
        "format version 1",
        "upgrade this instance",
    ] {
        assert!(why.contains(part), "{why}");
    }
    assert!(refused(&last("{").1).contains("can't be read"));
    // New fields are ignored.
    assert_eq!(last(r#"{"instance":"a","mood":"good"}"#), (1, Applied::Changed));
    let plain = serde_json::to_string(&ShadowReport::default()).expect("plain data");
    assert!(!plain.contains("format"), "{plain}");
}
