//! Money and its session: known at once, waited for, or looked up.

use super::*;

#[test]
fn session_known_at_once_until_its_ttl() {
    let mut case = Case::new();
    case.session("u", 100, "s", "CA")
        .money(100, "a", Some("s"))
        .money(86_499, "b", Some("s"));
    case.money(86_500, "c", Some("s"))
        .money_of("v", 200, "d", Some("s"), "bet", false)
        .end();
    // A session of another user is a different one. "d" comes late, and asks.
    assert_eq!(
        case.outputs(),
        [out("a", Some("CA"), 100), out("b", Some("CA"), 86_499)]
    );
    let expected = case.audit();
    let users = &expected.users;
    assert_eq!((users[&b"u"[..]].asked.len(), users[&b"v"[..]].asked.len()), (1, 1));
    let asked = users[&b"u"[..]].asked.keys().next().unwrap();
    assert_eq!(asked.time, (86_500 + 3_600) * 1000, "after an hour of waiting");
}

#[test]
fn money_without_session_leaves_at_once_also_late_or_old() {
    let mut case = Case::new();
    case.money(100, "a", None)
        .money(50, "b", None)
        .money_of("u", 101, "c", None, "bet", true)
        .end();
    // "b" is late, so its place is at the partition's watermark.
    assert_eq!(
        case.outputs(),
        [out("b", None, 80), out("a", None, 100), out("c", None, 101)]
    );
}

#[test]
fn late_and_old_money_is_asked_and_holds_nothing_back() {
    let mut case = Case::new();
    case.session("u", 90, "s", "CA")
        .money(100, "a", Some("s"))
        .money(79, "b", Some("s"));
    case.money_of("u", 101, "c", Some("s"), "bet", true)
        .money(102, "d", Some("s"))
        .end();
    assert_eq!(case.outputs(), [out("a", Some("CA"), 100), out("d", Some("CA"), 102)]);
    let (late, old, anchor) = (Case::step(80, 1), Case::step(101, 2), Case::step(102, 3));
    assert_eq!(
        case.audit().users[&b"u"[..]].asked.keys().collect::<Vec<_>>(),
        [&late, &old]
    );
    // A reply comes right after its anchor. It is dropped if nothing waits for it.
    case.reply(anchor.clone(), old.clone(), Answer::Absent)
        .reply(anchor.clone(), late.clone(), ca());
    case.reply(anchor.clone(), late.clone(), ca());
    assert_eq!(case.outputs()[2..], [out("c", None, 102), out("b", Some("CA"), 102)]);
    let expected = case.audit();
    assert!(expected.outputs[2].looked_up && !expected.outputs[1].looked_up);
    assert_eq!(expected.counters.sessions_unanswered, 0);
}

#[test]
fn no_answer_and_an_unreadable_one_are_counted() {
    let mut case = Case::new();
    case.money_of("u", 100, "a", Some("s"), "bet", true)
        .money_of("u", 101, "b", Some("s"), "bet", true)
        .end();
    let (a, b) = (Case::step(100, 0), Case::step(101, 1));
    case.reply(b.clone(), a, Answer::Unavailable)
        .reply(b.clone(), b, Answer::Body(b"{}".to_vec()));
    assert_eq!(case.outputs(), [out("a", None, 101), out("b", None, 101)]);
    assert_eq!(case.audit().counters.sessions_unanswered, 2);
}

#[test]
fn a_session_releases_all_that_wait_in_their_order() {
    let mut case = Case::new();
    case.money(102, "a", Some("s"))
        .money(101, "b", Some("s"))
        .money(102, "c", Some("t"));
    case.session("u", 110, "s", "CA").end();
    assert_eq!(case.outputs(), [out("b", Some("CA"), 110), out("a", Some("CA"), 110)]);
    let expected = case.audit();
    assert_eq!(
        expected.users[&b"u"[..]].asked.len(),
        1,
        "the other one has waited for an hour"
    );
    case.parameters.pending_ttl = Millis::MAX;
    assert_eq!(case.audit().users[&b"u"[..]].pending.len(), 1);
}

#[test]
fn pending_money_is_asked_after_its_ttl_and_a_session_at_that_time_comes_first() {
    for (session, known) in [(3_700, true), (3_701, false)] {
        let mut case = Case::new();
        case.money(100, "a", Some("s")).session("u", session, "s", "CA").end();
        let timer = StepKey {
            time: 3_700_000,
            what: StepWhat::SessionMissing {
                key: b"u".to_vec(),
                session: "s".to_owned(),
                place: Place {
                    time: 100_000,
                    rank: 2,
                    offset: 0,
                },
            },
        };
        case.reply(timer.clone(), timer.clone(), Answer::Absent);
        let country = known.then_some("CA");
        assert_eq!(
            case.outputs(),
            [out("a", country, 3_700)],
            "records come before timers of the same time"
        );
        assert_eq!(case.audit().steps.contains(&timer), !known);
    }
}

#[test]
fn a_duplicate_and_a_timer_close_together_keep_their_order() {
    let mut case = Case::new();
    case.parameters.pending_ttl = 30_000;
    case.money(100, "a", Some("s"))
        .money(130, "a", Some("s"))
        .money(131, "a", Some("s"))
        .end();
    let expected = case.audit();
    assert_eq!(
        (expected.counters.duplicates, expected.users[&b"u"[..]].asked.len()),
        (2, 1)
    );
    let times: Vec<_> = expected.steps.iter().map(|step| step.time / 1000).collect();
    assert_eq!(times, [100, 130, 130, 131]);
    assert!(matches!(expected.steps[2].what, StepWhat::SessionMissing { .. }));
}
