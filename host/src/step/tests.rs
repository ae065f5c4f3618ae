//! Tests of those parts of the stepper that need no rules to run.

use super::*;
use crate::record::journal::LookupEnding;
use crate::record::{Span, StepKey};
use crate::rules::{Effect, Header};
use crate::state::TaskState;
use crate::state::lookups::LookupName;

fn sends(of: &[u32]) -> Effects {
    let none = Span::default();
    let send = |of: &u32| Effect {
        what: Action::Send,
        on: 0,
        of: *of,
        at: 0,
        name: none,
        value: none,
    };
    Effects {
        effects: of.iter().map(send).collect::<Vec<_>>().into(),
        headers: vec![].into(),
        bytes: vec![],
    }
}

#[test]
fn each_input_has_its_own_effects() {
    let effects = sends(&[0, 0, 2, 3]);
    let mut next = 0;
    let ranges: Vec<Range<usize>> = (0..5)
        .map(|input| {
            let range = range_of(&effects, next, input);
            next = range.end;
            range
        })
        .collect();
    assert_eq!(ranges, [0..2, 2..2, 2..3, 3..4, 4..4]);
}

#[test]
fn each_record_has_its_own_headers() {
    let mut effects = sends(&[0, 1, 2, 3]);
    for (number, of) in [1, 1, 3].into_iter().enumerate() {
        let name = Span {
            start: number as u32,
            len: 0,
        };
        effects.headers.push(Header { of, name, value: name });
    }
    let headers = |index| {
        let effect = &effects.effects[index];
        let output = OutputRecord {
            effect,
            index,
            effects: &effects,
            key: b"",
        };
        output.headers().map(|header| header.name.start).collect::<Vec<_>>()
    };
    assert_eq!([0, 1, 2, 3].map(headers), [vec![], vec![0, 1], vec![], vec![2]]);
}

#[test]
fn a_step_is_next_until_a_timer_comes_before_it() {
    let timer = |time| StepKey::Timer {
        time,
        key: (*b"k").into(),
        kind: 0,
        tag: [].into(),
    };
    let state = |timers: &[i64]| {
        let timers: Vec<StepKey> = timers.iter().map(|time| timer(*time)).collect();
        TaskState::copied(Default::default(), &timers, vec![])
    };
    let is_next = |what: StepInput<()>, time, timers: &[i64]| PlannedStep::new(what, (), time).is_next(&state(timers));
    // A record comes before a timer of the same time, and after an earlier one.
    assert!(is_next(StepInput::Record(()), 5, &[]) && is_next(StepInput::Record(()), 5, &[5]));
    assert!(!is_next(StepInput::Record(()), 5, &[4]));
    // A timer is next only if it is still the first.
    assert!(is_next(StepInput::Timer(timer(5)), 5, &[5]));
    assert!(!is_next(StepInput::Timer(timer(5)), 5, &[6]) && !is_next(StepInput::Timer(timer(5)), 5, &[]));
    // What happens elsewhere comes after every timer up to it.
    assert!(is_next(StepInput::Elsewhere(None), 5, &[1]));
    assert!(is_next(StepInput::Elsewhere(Some(timer(5))), 5, &[6]));
    assert!(!is_next(StepInput::Elsewhere(Some(timer(5))), 5, &[5]));
    let (name, id, ending) = (LookupName::new(b"", 0, b""), [].into(), LookupEnding::Absent);
    assert!(!is_next(StepInput::Reply { name, id, ending }, 5, &[]), "nobody asks");
}
