//! Upgrades Pelton under a running pipeline: what an earlier version has written is opened, and continues with the
//! right results.
//!
//! Rule: the right results are those that the earlier version itself had for the same continuation. They are kept with
//! its files (tests/fixtures, see the README there), and the auditor agrees with them at every rest.

mod audit;
mod continuation;
mod formats;
mod history;
mod outcome;
mod pipeline;
mod refused;
mod state;
mod topics;

use continuation::{after_shadowed, after_waiting};
use pipeline::{Pipeline, fixture};

/// The text of a file of the fixture.
fn text(name: &str) -> String {
    let path = fixture().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// Compares line by line, so that a failure shows the first line that differs and not two whole files.
#[track_caller]
fn same(is: &str, must: &str) {
    let (mut left, mut right) = (is.lines(), must.lines());
    for number in 1.. {
        match (left.next(), right.next()) {
            (None, None) => return,
            (is, must) => assert_eq!(
                is, must,
                "line {number} (left: this version, right: the one that wrote the fixture)"
            ),
        }
    }
}

/// An undecided deploy, one task that holds for it and one that has not heard of it, waiting records and questions: all
/// of this comes from the topics.
#[test]
fn it_goes_on_from_its_topics_alone() {
    let pipeline = Pipeline::load("waiting.topics");
    same(&after_waiting(&pipeline), &text("waiting.expected"));
}

/// A shadow was running. It is complete in one task, and continues in the other.
#[test]
fn it_goes_on_from_the_middle_of_a_shadow() {
    let pipeline = Pipeline::load("shadowed.topics");
    same(&after_shadowed(&pipeline), &text("shadowed.expected"));
}

/// Makes the fixture: see the README next to it. It runs with the code of the fixture's version, and never again.
#[test]
#[ignore = "it writes the fixture of this version"]
fn make() {
    history::make();
}
