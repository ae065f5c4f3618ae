//! What tasks and deploys are bound to: the pipeline, and a version of the rules in it.
//!
//! Rule: this is made once, at the start or when a version is compiled. Nothing in it changes while records are
//! processed.

mod layout;
mod sources;
mod status;
mod wiring;

pub use layout::{InputLayout, Layout};
pub use sources::{NoSchemaId, NoTime, ReadError, Readers, Sources};
pub use status::{BudgetExceeded, DeployedRules, StateStatus, Status, Uncommitted};
pub use wiring::{Form, LookupWire, Misfit, Misfits, OutputWire, ReplyForm, Wiring};
