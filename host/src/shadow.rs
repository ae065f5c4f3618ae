//! Shadow runs: another version of the rules takes a task's steps beside the live one, and the effects are compared.
//!
//! Rules:
//! - A shadow has no effect outside. It has its own rows, timers and lookups, and writes nothing. From the live task it
//!   only gets [`Tape`]s of committed epochs, and it never reads the live state.
//! - It begins at P, the end of a committed epoch, with the state as of P (see [`tape`] for the rows). From then on it
//!   takes the same records in the same order. It has its own timers, which follow the same rule. If the live rules
//!   have asked the same question at the same step, it gets the live answer at its place. Its other questions are
//!   unavailable.
//! - The live task never waits for it. Tapes wait in a queue of limited size, and if that is exceeded, the shadow is
//!   dropped. It is also dropped if its state exceeds a limit, if the task starts over after an ambiguous commit, and
//!   if the task is closed. Its report says why.
//! - Without a shadow, all this costs a task one branch for each batch, and one for each commit.

mod bounds;
mod compare;
mod feed;
mod fields;
mod key_set;
mod link;
mod playback;
mod player;
mod report;
mod run;
pub mod tape;
mod trial;

pub use bounds::ShadowLimits;
pub use feed::{Begin, Feed};
pub use link::Link;
pub use player::Player;
pub use report::{Counts, Difference, EffectKind, FieldDifference, Origin, Seen, ShadowReport, ShadowState, Trapped};
pub use run::TaskShadow;
pub use tape::Tape;
pub use trial::{Plan, Trial};
