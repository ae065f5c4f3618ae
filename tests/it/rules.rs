//! The interface to the rules, tested with rules that misbehave. Each fault is contained and named.

mod refused;
mod support;
mod wasi;

use pelton::rules::{Action, Sandbox, SandboxLimits, TrapKind, Wrong, verify};
use std::time::{Duration, Instant};
use support::{Memory, batch, odd, odd_with, patient, rules_lines};

/// For endless loops. A test that uses this must not depend on how soon a call ends.
const SHORT: SandboxLimits = SandboxLimits {
    memory: 64 << 20,
    time: Duration::from_millis(200),
    time_per_input: Duration::from_millis(1),
};

/// The kind of trap of one call, and its text.
fn trap(what: &str, limits: SandboxLimits) -> (TrapKind, String) {
    let rules = odd_with(what, limits);
    let mut sandbox = Sandbox::new(&rules).expect("a sandbox");
    let mut state = Memory::default();
    let trap = sandbox.process(&batch(&["a", "b"]), &mut state, 1).expect_err("a trap");
    // The trap has destroyed this instance, and no other one.
    let again = sandbox.process(&batch(&["a"]), &mut state, 1).expect_err("dead");
    assert_eq!(again.kind, TrapKind::Dead);
    assert!(Sandbox::<Memory>::new(&rules).is_ok(), "a fresh one starts");
    (trap.kind, trap.text)
}

/// What is wrong with the effects of a batch of three inputs.
fn wrong(what: &str) -> Wrong {
    let rules = odd(what);
    let mut sandbox = Sandbox::new(&rules).expect("a sandbox");
    let effects = sandbox
        .process(&batch(&["a", "b", "c"]), &mut Memory::default(), 1)
        .expect("effects");
    verify(&effects, 3, rules.description()).expect_err("wrong effects")
}

#[test]
fn a_batch_goes_in_and_effects_come_out() {
    let rules = odd("echo");
    let mut sandbox = Sandbox::new(&rules).unwrap();
    let mut state = Memory::with(&[(0, "stored")]);
    for _ in 0..2 {
        let effects = sandbox.process(&batch(&["first", "second"]), &mut state, 1).unwrap();
        verify(&effects, 2, rules.description()).unwrap();
        let said: Vec<_> = effects
            .effects
            .iter()
            .map(|effect| (effect.what, effect.of, effect.value.of(&effects.bytes)))
            .collect();
        assert_eq!(
            said,
            [
                (Action::Put, 0, &b"first"[..]),
                (Action::Send, 0, &b"stored"[..]),
                (Action::Put, 1, &b"second"[..]),
                (Action::Send, 1, &b"first"[..]),
            ]
        );
    }
    assert_eq!(
        state.calls, 2,
        "one call to state a batch; the state is given back with what it has counted"
    );
}

#[test]
fn an_empty_batch_has_no_effects() {
    let rules = odd("echo");
    let effects = Sandbox::new(&rules)
        .unwrap()
        .process(&batch(&[]), &mut Memory::default(), 1)
        .unwrap();
    assert!(effects.effects.is_empty());
    verify(&effects, 0, rules.description()).unwrap();
}

#[test]
fn a_panic_says_its_message() {
    let (kind, text) = trap("panic", patient());
    assert_eq!(kind, TrapKind::Panic);
    assert!(text.contains("no reason at all"), "{text}");
}

#[test]
fn only_the_poisoned_batch_traps() {
    let rules = odd("panic-on-poison");
    let mut state = Memory::default();
    let mut sandbox = Sandbox::new(&rules).unwrap();
    sandbox.process(&batch(&["a", "b"]), &mut state, 1).unwrap();
    let trap = sandbox.process(&batch(&["a", "poison"]), &mut state, 1).unwrap_err();
    assert_eq!(trap.kind, TrapKind::Panic);
    let mut fresh = Sandbox::new(&rules).unwrap();
    fresh.process(&batch(&["a"]), &mut state, 1).unwrap();
}

#[test]
fn a_loop_ends_at_the_time_limit_and_patience_multiplies_it() {
    let started = Instant::now();
    assert_eq!(trap("loop", SHORT).0, TrapKind::Time);
    assert!(started.elapsed() >= SHORT.time, "not before");
    let rules = odd_with("loop", SHORT);
    let started = Instant::now();
    let trap = Sandbox::new(&rules)
        .unwrap()
        .process(&batch(&["a"]), &mut Memory::default(), 3)
        .unwrap_err();
    assert_eq!(trap.kind, TrapKind::Time);
    assert!(started.elapsed() >= SHORT.time * 3, "{:?}", started.elapsed());
}

#[test]
fn the_time_limit_grows_with_the_batch() {
    let limits = SandboxLimits {
        time: Duration::from_millis(1),
        time_per_input: Duration::from_millis(100),
        ..SHORT
    };
    let rules = odd_with("loop", limits);
    let started = Instant::now();
    let four = batch(&["a", "b", "c", "d"]);
    let trap = Sandbox::new(&rules)
        .unwrap()
        .process(&four, &mut Memory::default(), 1)
        .unwrap_err();
    assert_eq!(trap.kind, TrapKind::Time);
    assert!(
        started.elapsed() >= Duration::from_millis(400),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn rules_tick_on_when_the_engine_is_gone() {
    let rules = odd_with("loop", SHORT); // its engine is dropped in there
    let trap = Sandbox::new(&rules)
        .unwrap()
        .process(&batch(&["a"]), &mut Memory::default(), 1)
        .unwrap_err();
    assert_eq!(trap.kind, TrapKind::Time);
    let mut sandbox = Sandbox::new(&rules).unwrap();
    drop(rules);
    let trap = sandbox.process(&batch(&["a"]), &mut Memory::default(), 1).unwrap_err();
    assert_eq!(trap.kind, TrapKind::Time);
}

#[test]
fn memory_is_bounded() {
    let (kind, text) = trap("eat", patient());
    assert_eq!(kind, TrapKind::Memory);
    assert!(text.contains("memory_limit"), "{text}");
}

#[test]
fn ten_million_effects_end_at_the_memory_limit() {
    assert_eq!(trap("flood", patient()).0, TrapKind::Memory);
}

#[test]
fn endless_recursion_ends() {
    assert_eq!(trap("recurse", patient()).0, TrapKind::Stack);
    let (kind, text) = trap("recurse-wide", patient());
    assert_eq!(kind, TrapKind::Other);
    assert!(text.contains("nested too deep"), "{text}");
}

#[test]
fn unreadable_state_is_a_trap_and_the_state_comes_back() {
    let rules = odd("echo");
    let mut state = Memory::with(&[(0, "kept")]);
    state.broken = true;
    let trap = Sandbox::new(&rules)
        .unwrap()
        .process(&batch(&["a"]), &mut state, 1)
        .unwrap_err();
    assert_eq!(trap.kind, TrapKind::Host);
    assert!(trap.text.contains("disk on fire"), "{trap}");
    state.broken = false;
    let effects = Sandbox::new(&rules)
        .unwrap()
        .process(&batch(&["a"]), &mut state, 1)
        .unwrap();
    assert_eq!(effects.effects.len(), 2, "the state is as it was");
}

#[test]
fn reads_are_checked_before_state_sees_them() {
    for (what, text) in [
        ("read-store-unknown", "names store 99 of 2"),
        ("read-input-beyond", "names input 2 of 2"),
        ("read-span-beyond", "span outside"),
        ("read-page-of-value", "store `values`, which has one value"),
    ] {
        let (kind, said) = trap(what, patient());
        assert_eq!(kind, TrapKind::Host, "{what}");
        assert!(said.contains(text), "{what}: {said}");
    }
}

#[test]
fn wrong_effects_are_refused_and_blamed() {
    for (what, input, text) in [
        ("span-beyond", 2, "outside"),
        ("span-overflow", 2, "outside"),
        ("input-beyond", 2, "names input 3 of 3"),
        ("input-back", 2, "never go back"),
        ("store-unknown", 2, "`on` is 99, the rules have 2 stores"),
        ("entry-in-value-store", 2, "store `values` has one value"),
        ("reject-not-alone", 2, "only effect"),
        ("header-of-put", 2, "a header names effect 5"),
        ("too-large", 2, "262144 at most"),
        ("flood-a-little", 2, "more than 4096"),
    ] {
        let wrong = wrong(what);
        assert_eq!(wrong.input, input, "{what}: {wrong}");
        assert!(wrong.what.contains(text), "{what}: {wrong}");
    }
}

#[test]
fn a_chatterer_is_cut_short() {
    let rules = odd("chatter");
    let lines = rules_lines(|| {
        Sandbox::new(&rules)
            .unwrap()
            .process(&batch(&["a"]), &mut Memory::default(), 1)
            .unwrap();
    });
    assert_eq!(lines.len(), 101, "a hundred, and one that says so");
    assert!(
        lines[0].contains("chatter 0") && lines[0].contains(&rules.version().to_string()),
        "{}",
        lines[0]
    );
    assert!(lines[100].contains("the rest is not logged"), "{}", lines[100]);
}

#[test]
fn sandboxes_move_between_threads() {
    let rules = odd("echo");
    let mut sandbox = Sandbox::new(&rules).unwrap();
    let thread = std::thread::spawn(move || sandbox.process(&batch(&["a"]), &mut Memory::default(), 1));
    assert!(thread.join().unwrap().is_ok());
}
