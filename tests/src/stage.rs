//! A stage for scenarios of the money pipeline: the testkit's stage, with the pipeline's events and assertions in its
//! terms.
//!
//! Rules: those of [`pelton::testkit`]. Times are in milliseconds since [`START`].
//!
//! ```no_run
//! use pelton_tests::stage::{SECOND, always, money};
//!
//! always(|stage| {
//!     stage.user("u1").session("s1", "DE", 0);
//!     stage.put(money("u1", "m1", SECOND).session("s1"));
//!     stage.flow_to(2 * SECOND);
//!     assert_eq!(stage.enriched(), ["m1 first session DE"]);
//! });
//! ```

mod event;
mod life;
mod look;
mod pipeline;
mod seen;
mod setup;
mod time;

pub use crate::auditor::Format;
pub use event::{
    Event, Money, Stream, address, birth_date, bytes, kind_of_wallet, long, money, nothing, other_user, session,
    session_closed,
};
pub use pelton::testkit::{DeadLetter, Dice, Way};
pub use pipeline::{Stage, User};
pub use seen::{Cell, Output};
pub use setup::{Setup, always, always_with, compiler};
pub use time::{DAY, HOUR, MINUTE, Millis, SECOND, START};
