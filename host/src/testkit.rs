//! A pipeline that a test drives by hand: the real worker and the real component on the log in memory, with a clock
//! that the test moves.
//!
//! Rule: it has one thread, never sleeps, and takes chance only from a seed. Only the clock, the log and the external
//! services are replaced. A scenario must have the same results in every [`Way`] to run it.
//!
//! [`Stage`] is a pipeline that speaks bytes. [`Scenario`] speaks JSON and times since the start, with the schemas of
//! the rules. [`file`](mod@file) reads scenarios from files, and [`play`] runs them in every way. The crate
//! `pelton-testkit` offers scenarios to tests in Rust.

mod compiler;
mod diff;
mod error;
pub mod file;
mod json;
mod life;
mod look;
pub mod play;
mod run;
mod scenario;
mod schemas;
mod script;
mod setup;
mod shadow;
mod stage;
mod time;

pub use crate::state::DumpedEntry;
pub use compiler::Compiler;
pub use diff::{differences, words};
pub use error::ScenarioError;
pub use life::PreparedRules;
pub use look::{DeadLetter, RunOutcome, Sent, Timer};
pub use scenario::{Scenario, WaitingLookup};
pub use script::{Script, Which};
pub use setup::{Dice, MakeServices, Setup, Way};
pub use stage::Stage;
pub use time::{parse_time, show_time};
