//! Shadow runs: another version of the rules takes a task's steps beside the live one, and what they make of them is compared.
//!
//! Rules:
//! - A shadow has no effect outside: it has rows, timers and lookups of its own, and writes nothing. Of the live task it gets
//!   [`Tape`]s, of committed epochs only; it never reads the live state.
//! - It begins at P, the end of an epoch that is committed, with the state as of P (see [`tape`] for the rows). From then on it
//!   takes the same records, in the same order; its timers are its own, due by the rule of all timers; and to its questions it
//!   gets the live answer, at its place, where the live rules have asked the same at the same step. Others are unavailable.
//! - The live task waits for nothing of it: tapes wait in a queue with a bound, and over that bound the shadow is dropped. So it
//!   is when its state is over its bound, when the task starts over in doubt, and when the task is closed. It says why.
//! - Where there is no shadow, all of this costs a task one branch a batch, and one a commit.

mod compare;
mod feed;
mod fields;
mod known;
mod link;
mod playback;
mod report;
mod run;
pub mod tape;
mod trial;

pub use feed::{Begin, Feed};
pub use link::Link;
pub use report::{Counts, Difference, Field, Kind, Origin, Report, Seen, Standing, Trapped};
pub use run::Shadow;
pub use tape::Tape;
pub use trial::{Bounds, Parts, Player, Trial};
