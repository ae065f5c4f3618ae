//! What a task and a deploy are both bound to: the pipeline, and a version of the rules in it.
//!
//! Rule: made once, at the start or when a version is compiled; nothing here changes while records pass.

mod layout;
mod sources;
mod status;
mod wiring;

pub use layout::{InputLayout, Layout};
pub use sources::{NoTime, Readers, Sources};
pub use status::Status;
pub use wiring::{Form, LookupWire, Misfit, OutputWire, ReplyForm, Wiring};
