use super::*;
use crate::wit::{Channel, Lookup};
use proptest::prelude::*;

const NONE: Span = Span { start: 0, len: 0 };

/// Two of everything. Store 0 is a map, and store 1 has one value.
fn description() -> Description {
    let channel = |name: &str| Channel {
        name: name.into(),
        schema: String::new(),
    };
    let store = |name: &str, shape| Store {
        name: name.into(),
        shape,
        schema: String::new(),
    };
    let lookup = |name: &str| Lookup {
        name: name.into(),
        request: String::new(),
        reply: String::new(),
    };
    let names = || vec!["a".to_string(), "b".to_string()];
    Description {
        inputs: vec![channel("a"), channel("b")],
        outputs: vec![channel("a"), channel("b")],
        stores: vec![store("map", Shape::Map), store("value", Shape::Value)],
        lookups: vec![lookup("a"), lookup("b")],
        timers: names(),
        counters: names(),
    }
}

fn effect(what: Action, of: u32) -> Effect {
    Effect {
        what,
        on: 0,
        of,
        at: 0,
        name: NONE,
        value: NONE,
    }
}

/// The verdict on these effects of four inputs, with `bytes` zero bytes.
fn verdict(list: Vec<Effect>, headers: Vec<Header>, bytes: usize) -> Result<(), Wrong> {
    let effects = Effects {
        effects: list.into(),
        headers: headers.into(),
        bytes: vec![0; bytes],
    };
    verify(&effects, 4, &description())
}

fn span(len: usize) -> Span {
    Span {
        start: 0,
        len: len as u32,
    }
}

#[test]
fn sizes_are_bounded_to_the_byte() {
    type Make = fn(usize) -> Effect;
    let cases: [(Make, usize); 7] = [
        (
            |len| Effect {
                name: span(len),
                ..effect(Action::Put, 0)
            },
            MAX_ENTRY,
        ),
        (
            |len| Effect {
                value: span(len),
                ..effect(Action::Put, 0)
            },
            MAX_CELL,
        ),
        (
            |len| Effect {
                value: span(len),
                ..effect(Action::Send, 0)
            },
            MAX_OUTPUT,
        ),
        (
            |len| Effect {
                name: span(len),
                ..effect(Action::TombstoneKeyed, 0)
            },
            MAX_OUTPUT,
        ),
        (
            |len| Effect {
                name: span(len),
                ..effect(Action::SetTimer, 0)
            },
            MAX_TAG,
        ),
        (
            |len| Effect {
                value: span(len),
                ..effect(Action::Ask, 0)
            },
            MAX_CELL,
        ),
        (
            |len| Effect {
                value: span(len),
                ..effect(Action::Reject, 0)
            },
            MAX_REASON,
        ),
    ];
    for (make, max) in cases {
        let what = make(0).what;
        assert_eq!(verdict(vec![make(max)], vec![], max + 1), Ok(()), "{what:?}");
        assert!(verdict(vec![make(max + 1)], vec![], max + 1).is_err(), "{what:?}");
    }
}

#[test]
fn the_number_is_bounded_by_input_not_by_batch() {
    let mut list: Vec<_> = (0..4)
        .flat_map(|of| vec![effect(Action::Count, of); MAX_EFFECTS])
        .collect();
    assert_eq!(verdict(list.clone(), vec![], 0), Ok(()));
    list.insert(MAX_EFFECTS, effect(Action::Count, 0));
    assert_eq!(verdict(list, vec![], 0).unwrap_err().input, 0);
}

#[test]
fn a_rejection_stands_alone_before_and_behind() {
    let (reject, count) = (|of| effect(Action::Reject, of), |of| effect(Action::Count, of));
    assert_eq!(
        verdict(vec![count(0), reject(1), count(2), reject(3)], vec![], 0),
        Ok(())
    );
    assert_eq!(
        verdict(vec![count(0), reject(1), count(1)], vec![], 0)
            .unwrap_err()
            .input,
        1
    );
    assert_eq!(verdict(vec![count(1), reject(1)], vec![], 0).unwrap_err().input, 1);
    assert_eq!(verdict(vec![reject(0), reject(0)], vec![], 0).unwrap_err().input, 0);
}

#[test]
fn headers_belong_to_outputs_in_their_order() {
    let header = |of| Header {
        of,
        name: NONE,
        value: NONE,
    };
    let list = || {
        vec![
            effect(Action::Send, 0),
            effect(Action::Put, 1),
            effect(Action::Tombstone, 2),
        ]
    };
    assert_eq!(verdict(list(), vec![header(0), header(0), header(2)], 0), Ok(()));
    for (headers, input) in [
        (vec![header(1)], 1),
        (vec![header(2), header(0)], 0),
        (vec![header(3)], 2),
    ] {
        assert_eq!(verdict(list(), headers, 0).unwrap_err().input, input);
    }
    // Headers count towards the size of their output, including their framing.
    let many = vec![header(0); MAX_OUTPUT / HEADER + 1];
    assert!(verdict(list(), many, 0).unwrap_err().what.contains("at most"));
}

#[test]
fn times_and_text() {
    for what in [Action::Send, Action::Tombstone, Action::Count] {
        assert!(
            verdict(
                vec![Effect {
                    at: -1,
                    ..effect(what, 0)
                }],
                vec![],
                0
            )
            .is_err(),
            "{what:?}"
        );
    }
    for what in [Action::Put, Action::SetTimer] {
        assert_eq!(
            verdict(
                vec![Effect {
                    at: i64::MIN,
                    ..effect(what, 0)
                }],
                vec![],
                0
            ),
            Ok(()),
            "{what:?}"
        );
    }
    let mut effects = Effects {
        effects: vec![Effect {
            value: span(1),
            ..effect(Action::Reject, 0)
        }]
        .into(),
        headers: vec![].into(),
        bytes: vec![0xff],
    };
    assert!(verify(&effects, 1, &description()).unwrap_err().what.contains("UTF-8"));
    effects.effects = vec![effect(Action::Send, 0)].into();
    effects.headers = vec![Header {
        of: 0,
        name: span(1),
        value: NONE,
    }]
    .into();
    assert!(verify(&effects, 1, &description()).unwrap_err().what.contains("UTF-8"));
    effects.headers[0] = Header {
        of: 0,
        name: NONE,
        value: span(1),
    };
    assert_eq!(verify(&effects, 1, &description()), Ok(()), "any bytes are a value");
}

#[test]
fn without_inputs_there_are_no_effects() {
    assert_eq!(verify(&Effects::default(), 0, &description()), Ok(()));
    let effects = Effects {
        effects: vec![effect(Action::Count, 0)].into(),
        ..Effects::default()
    };
    assert!(verify(&effects, 0, &description()).is_err());
}

fn any_span() -> impl Strategy<Value = Span> {
    prop_oneof![
        9 => (0..8_u32, 0..4_u32).prop_map(|(start, len)| Span { start, len }),
        1 => any::<(u32, u32)>().prop_map(|(start, len)| Span { start, len }),
    ]
}

fn any_effect() -> impl Strategy<Value = Effect> {
    use Action::*;
    let what = prop::sample::select(vec![
        Put,
        Delete,
        Clear,
        Send,
        SendKeyed,
        Tombstone,
        TombstoneKeyed,
        SetTimer,
        CancelTimer,
        Ask,
        Count,
        Reject,
    ]);
    (what, 0..3_u16, 0..5_u32, any_span(), any_span()).prop_map(|(what, on, of, name, value)| Effect {
        what,
        on,
        of,
        at: 0,
        name,
        value,
    })
}

proptest! {
    /// The task applies without checks what passes here.
    #[test]
    fn what_passes_can_be_applied(mut list in prop::collection::vec(any_effect(), 0..6), sorted: bool) {
        if sorted {
            list.sort_by_key(|effect| effect.of);
        }
        let effects = Effects { effects: list.into(), headers: vec![].into(), bytes: vec![b'x'; 10] };
        let rules = description();
        let verdict = verify(&effects, 4, &rules);
        if let Err(wrong) = verdict {
            prop_assert!(wrong.input < 4);
            return Ok(());
        }
        let mut last = 0;
        for effect in effects.effects.iter() {
            prop_assert!(effect.of >= last && effect.of < 4);
            last = effect.of;
            let on = usize::from(effect.on);
            // These panic if they are out of range.
            let name = || effect.name.of(&effects.bytes);
            let value = || effect.value.of(&effects.bytes);
            match effect.what {
                Action::Put | Action::Delete | Action::Clear => {
                    let value_store = rules.stores[on].shape == Shape::Value;
                    prop_assert!(!value_store || (name().is_empty() && effect.what != Action::Clear));
                    prop_assert!(effect.what != Action::Put || value().len() <= 10);
                }
                Action::Send => prop_assert!(on < rules.outputs.len() && value().len() <= 10),
                Action::SendKeyed => {
                    prop_assert!(on < rules.outputs.len() && name().len() <= 10 && value().len() <= 10);
                }
                Action::Tombstone => prop_assert!(on < rules.outputs.len()),
                Action::TombstoneKeyed => prop_assert!(on < rules.outputs.len() && name().len() <= 10),
                Action::SetTimer | Action::CancelTimer => prop_assert!(on < rules.timers.len() && name().len() <= 10),
                Action::Ask => prop_assert!(on < rules.lookups.len() && name().len() <= 10 && value().len() <= 10),
                Action::Count => prop_assert!(on < rules.counters.len()),
                Action::Reject => {
                    prop_assert!(value().len() <= 10);
                    prop_assert_eq!(effects.effects.iter().filter(|other| other.of == effect.of).count(), 1);
                }
            }
        }
    }
}
