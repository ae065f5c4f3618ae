//! Runs the program of `make soak` for a minute, so that it works when it is needed.

use super::*;
use pelton_tests::soak::{Options, Program, flat, run};

fn pelton() -> Program {
    Program {
        path: env!("CARGO_BIN_EXE_pelton-it").into(),
        words: vec![],
        logs: None,
    }
}

/// `make soak ARGS="--flat --swaps 1000"` does the same for longer.
#[test]
fn a_hundred_swaps_leave_nothing_behind_but_their_lines_in_the_history() {
    let seen = flat(100, &pelton(), Rig::shared(), |_| {}).unwrap_or_else(|why| panic!("{why:#}"));
    println!("{seen}");
}

#[test]
fn swaps_under_load_with_a_kill_in_a_swap_and_one_in_a_commit() {
    let options = Options {
        money: 80_000,
        swaps: 6,
        kills: 2,
        freezes: 0,
        seed: 1,
        pelton: pelton(),
        say: |_| {},
    };
    let report = run(&options, Rig::shared()).unwrap_or_else(|why| panic!("{why:#}"));
    println!("{report}");
    assert!(report.committed() >= options.swaps);
    assert_eq!((report.killed_in_swaps, report.killed_in_commits), (1, 1));
    assert!(report.by_code.len() > 1, "other components have made outputs, too");
}
