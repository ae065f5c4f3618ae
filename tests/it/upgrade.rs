//! People upgrade Pelton under a running pipeline: what an earlier version has written is opened, and goes on with the right results.
//!
//! Rule: the right results are those that the earlier version itself made of the same continuation. They are kept beside its
//! files (tests/fixtures, see the README there), and the auditor agrees with them at every rest.

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

/// Compares line by line, so that a failure shows the first line that differs and not two files.
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

/// A deploy that nobody has decided, one task that holds for it and one that has not heard of it, records and questions that
/// wait: all from the topics.
#[test]
fn it_goes_on_from_its_topics_alone() {
    let pipeline = Pipeline::load("waiting.topics");
    same(&after_waiting(&pipeline), &text("waiting.expected"));
}

/// A shadow was under way, through in one task and running in the other.
#[test]
fn it_goes_on_from_the_middle_of_a_shadow() {
    let pipeline = Pipeline::load("shadowed.topics");
    same(&after_shadowed(&pipeline), &text("shadowed.expected"));
}

/// Makes the fixture: see the README beside it. It is run with the code of the version that the fixture is of, and never again.
#[test]
#[ignore = "it writes the fixture of this version"]
fn make() {
    history::make();
}
