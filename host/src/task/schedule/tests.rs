use super::*;
use crate::deploy::protocol::Withdrawn;
use crate::record::journal::JournalEntry;
use crate::record::{NEVER, Offset};

const V1: VersionId = [1; 32];
const V2: VersionId = [2; 32];

fn deploy(number: Number, version: VersionId, at: Millis) -> Committed {
    Committed { number, version, at }
}

/// A schedule with the first deploy and these committed.
fn rules(later: &[Committed]) -> RulesSchedule {
    let mut rules = RulesSchedule::default();
    rules.committed.push(deploy(1, V1, NEVER));
    rules.committed.extend(later);
    rules.decided = rules.committed.len() as Number;
    rules
}

fn asking(number: Number, at: Option<Millis>) -> RulesSchedule {
    let prepare = Prepare {
        number,
        version: V2,
        at,
        drop_timers: false,
    };
    RulesSchedule {
        prepare: Some(prepare),
        ..rules(&[])
    }
}

fn meta() -> Meta {
    Meta {
        fingerprint: 0,
        inputs: vec![],
        last: StepKey::Start,
        sequence: 0,
        version: V1,
        deployed: 1,
        prepared: None,
        sweep: vec![],
        follows: None,
        round: Offset(0),
    }
}

/// A task that has just opened and was told these rules.
fn opened(rules: RulesSchedule, journal: Vec<JournalEntry>) -> Schedule {
    let rules = Arc::new(rules);
    let mut schedule = Schedule::open(rules.clone(), Replay::new(journal, Offset(9), 1).1);
    schedule.start_over(&meta());
    update(&mut schedule, rules);
    schedule
}

fn update(schedule: &mut Schedule, rules: Arc<RulesSchedule>) {
    assert!(schedule.update(&rules), "it is news");
    schedule.settle();
    assert!(!schedule.update(&rules), "it is known");
}

fn timer(time: Millis) -> StepKey {
    StepKey::Timer {
        time,
        key: (*b"k").into(),
        kind: 0,
        tag: (*b"").into(),
    }
}

fn after(anchor: StepKey, sequence: u64, what: JournalInput) -> JournalEntry {
    JournalEntry::After { anchor, sequence, what }
}

fn reply(id: &[u8]) -> JournalInput {
    let (id, answer) = (id.into(), LookupEnding::Absent);
    JournalInput::Reply { id, answer }
}

fn takes_over(version: VersionId, number: Number) -> JournalInput {
    JournalInput::Rules { version, number }
}

/// The position that the task answers to a deploy without a time. The speed is unknown here, so the task holds where it
/// is.
fn hold(schedule: &mut Schedule, last: Millis) -> Millis {
    let prepare = schedule.question().expect("it is asked");
    schedule.may_hold(&prepare, last).map(|_| ()).expect("it may");
    let position = schedule.hold(&prepare, &Moment::default(), last);
    schedule.settle();
    position
}

#[test]
fn no_step_before_the_schedule_is_known() {
    let mut schedule = opened(rules(&[]), vec![]);
    assert!(schedule.may_step() && schedule.bound() == FOREVER);
    schedule.start_over(&meta());
    assert!(!schedule.may_step() && schedule.bound() == NEVER);
    // What it was told before may be out of date.
    let known = schedule.rules.clone();
    update(&mut schedule, known);
    assert!(schedule.may_step());
}

#[test]
fn a_promise_bounds_the_steps_until_the_deploy_is_decided() {
    let mut schedule = opened(asking(2, None), vec![]);
    assert_eq!(hold(&mut schedule, 70), 70);
    assert_eq!(schedule.bound(), 71, "the last step stays possible");
    assert_eq!(schedule.held_from(), Some(71));
    assert_eq!(schedule.question(), None, "it has answered");
    assert!(!schedule.drop_promise(), "nothing is decided");

    let mut committed = opened(asking(2, Some(100)), vec![]);
    assert_eq!(hold(&mut committed, 70), 70);
    assert_eq!(committed.bound(), 100);
    let rules = Arc::new(rules(&[deploy(2, V2, 100)]));
    assert!(committed.update(&rules) && committed.drop_promise());
    committed.settle();
    assert_eq!((committed.bound(), committed.prepared()), (100, None));
    assert_eq!(committed.approaching().map(|next| next.number), Some(2));
    assert_eq!(committed.wants(), Some(V2), "it is not compiled");
}

#[test]
fn a_refusal_is_told_once_a_deploy() {
    let mut schedule = opened(asking(2, Some(50)), vec![]);
    let prepare = schedule.question().expect("it is asked");
    let why = schedule.may_hold(&prepare, 50).map(|_| ()).expect_err("it is past");
    assert_eq!(why, CantHold::Passed { last: 50, at: 50 });
    schedule.refuse(2);
    assert_eq!(schedule.question(), None);
    update(&mut schedule, Arc::new(asking(3, Some(60))));
    assert_eq!(schedule.question().map(|prepare| prepare.number), Some(3));
    // The answer may be lost, because the epoch was dropped.
    schedule.start_over(&meta());
    update(&mut schedule, Arc::new(asking(2, Some(50))));
    assert_eq!(schedule.question().map(|prepare| prepare.number), Some(2));
}

#[test]
fn a_task_that_follows_its_journal_promises_nothing() {
    let schedule = opened(asking(2, None), vec![after(timer(5), 0, reply(b"a"))]);
    let prepare = schedule.question().expect("it is asked");
    let why = schedule.may_hold(&prepare, NEVER).map(|_| ()).expect_err("it follows");
    assert_eq!(why, CantHold::FollowsJournal);
}

#[test]
fn replies_come_from_the_journal_one_by_one_where_they_came() {
    let journal = vec![after(timer(5), 0, reply(b"a")), after(timer(5), 1, reply(b"b"))];
    let mut schedule = opened(rules(&[]), journal);
    let (before, here) = (StepKey::Start, timer(5));
    assert_eq!(schedule.follows(), Some(Offset(9)));
    assert!(schedule.follow_journal(&before).is_none() && schedule.reply(0).is_none());
    assert!(!schedule.awaits_reply(&before) && schedule.journal_bound() == Some(&here));
    for id in [b"a", b"b"] {
        assert!(schedule.awaits_reply(&here));
        assert!(schedule.follow_journal(&here).is_none());
        assert_eq!(schedule.reply(0).map(|reply| &*reply.id), Some(id.as_slice()));
        assert!(schedule.reply(1).is_none(), "the next one comes when this one is taken");
        assert!(!schedule.end_journal(&here), "a reply is left");
        assert!(schedule.take_given(id), "it need not be journaled again");
        assert!(!schedule.take_given(id), "once");
        schedule.take_reply();
    }
    assert!(schedule.end_journal(&here));
    assert!(!schedule.follows_journal() && schedule.keeps_journal());
    // Committing an epoch that was sealed while the journal was followed is not the journal's end.
    schedule.commit(Some(Offset(9)));
    assert!(!schedule.take_may_ask());
    schedule.commit(None);
    assert!(schedule.take_may_ask() && !schedule.take_may_ask(), "once");
    assert!(!schedule.keeps_journal());
}

#[test]
fn a_version_of_the_journal_is_awaited_if_the_control_topic_knows_it() {
    let journal = vec![after(StepKey::Start, 0, takes_over(V2, 2))];
    let mut known = opened(rules(&[deploy(2, V2, 100)]), journal.clone());
    assert!(known.may_step() && known.wants().is_none());
    assert!(known.follow_journal(&StepKey::Start).is_none());
    assert!(!known.may_step());
    assert_eq!(known.wants(), Some(V2));
    assert!(!known.end_journal(&StepKey::Start), "not in front of a take-over");

    let mut withdrawn = rules(&[]);
    withdrawn.withdrawn.push(Withdrawn {
        number: 2,
        version: V2,
        replacement: None,
    });
    let mut withdrawn = opened(withdrawn, journal.clone());
    assert!(withdrawn.follow_journal(&StepKey::Start).is_none());
    assert_eq!(withdrawn.wants(), Some(V2), "it took steps here all the same");

    let mut unknown = opened(rules(&[]), journal);
    let says = unknown.follow_journal(&StepKey::Start).expect("it takes over");
    assert!(says.number == 2 && says.wiring.is_none());
    assert!(unknown.end_journal(&StepKey::Start));
}

#[test]
fn a_journal_knows_why_a_step_went_to_the_dead_letters() {
    let trapped = JournalEntry::Trapped {
        step: timer(5),
        sequence: None,
        version: V1,
        reason: "unreachable".into(),
    };
    let mut schedule = opened(rules(&[]), vec![trapped]);
    assert_eq!(schedule.trapped_before(|| Some((timer(4), None))), None);
    assert_eq!(schedule.trapped_before(|| Some((timer(5), None))), Some("unreachable"));
    assert!(
        !schedule.end_journal(&timer(5)),
        "a reply may have trapped right after it"
    );
    assert!(schedule.end_journal(&timer(6)));
    let asked = || panic!("nobody asks for the name of a step where no journal is followed");
    assert_eq!(schedule.trapped_before(asked), None);
}

#[test]
fn a_lookup_has_one_reply() {
    let mut schedule = opened(rules(&[]), vec![]);
    schedule.offer((*b"a").into(), LookupEnding::Absent);
    schedule.offer((*b"b").into(), LookupEnding::Absent);
    schedule.offer((*b"a").into(), LookupEnding::Unavailable);
    let ids = |schedule: &Schedule| {
        (0..)
            .map_while(|index| schedule.reply(index).map(|reply| reply.id.to_vec()))
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&schedule), [b"a", b"b"]);
    schedule.drop_reply(0);
    assert_eq!(ids(&schedule), [b"b"]);
    schedule.start_over(&meta());
    assert!(schedule.reply(0).is_none(), "it is asked again");
}

#[test]
fn a_deploy_takes_over_when_every_step_before_it_is_taken() {
    let schedule = opened(rules(&[deploy(2, V2, 100)]), vec![]);
    for (watermark, first_step, asks, reached) in [
        (100, None, false, false),
        (101, None, false, true),
        // A reply may still come before the deploy's time.
        (101, None, true, false),
        (200, Some(99), false, false),
        (200, Some(100), false, true),
        // The first step is of the deploy's time, so no reply can come before it.
        (200, Some(100), true, true),
        // A record that is not final is not a step yet.
        (200, Some(200), true, false),
        (200, Some(200), false, true),
    ] {
        let found = schedule.reached(watermark, || first_step, asks).is_some();
        assert_eq!(found, reached, "{watermark} {first_step:?} {asks}");
    }
    let held = opened(asking(2, Some(50)), vec![]);
    let nobody = || panic!("nobody asks for the first step where no deploy is committed");
    assert!(held.reached(200, nobody, false).is_none());
}
