//! Upgrades Pelton under a running pipeline: what an earlier version has written is opened, and continues with the
//! right results.
//!
//! Rule: the right results are those that the earlier version itself had for the same continuation. They are kept with
//! its files (tests/fixtures, see the README there), and the auditor agrees with them at every rest.

mod actions;
mod audit;
mod continuation;
#[cfg(feature = "rocks")]
mod disk;
mod fixture;
mod formats;
#[cfg(feature = "rocks")]
mod history;
mod outcome;
mod pipeline;
mod refused;
mod state;
#[cfg(feature = "rocks")]
mod stored;
mod topics;

use continuation::{after_shadowed, after_waiting};
use fixture::{same, text};
use pipeline::Pipeline;

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
#[cfg(feature = "rocks")]
#[test]
#[ignore = "it writes the fixture of this version"]
fn make() {
    history::make();
}
