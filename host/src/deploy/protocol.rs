//! The protocol of deploys: what the records of the control topic mean.
//!
//! Rules:
//! - Everything here is a function of the records in their order. All who have read the same records agree.
//! - Deploys are numbered. A deploy has the number after the last one that its author has seen. Of two with the same
//!   number, the first counts. While one is undecided, no other is accepted.
//! - The first commit or cancel after a deploy decides it, whoever wrote it. Only someone who has seen the answers of
//!   all tasks may write a commit. A cancel is always safe.
//! - The version for an input is that of the committed deploy with the highest number whose time is not after the
//!   input's time. The first deploy applies from the beginning of time.
//!
//! Life of a deploy:
//!
//! ```text
//! deploy -> instances fetch, compile, check, report -> tasks hold, answer -> commit: every task takes it over at T
//!                                                                       \-> cancel: every task goes on as it was
//! ```
//!
//! A committed deploy that turns out to be faulty is withdrawn by the first decision that says so. From then on, it is
//! as if it had never been committed, except for the steps that were taken with it. See `withdrawn`.

mod control;
mod deploy;
mod record;
pub mod shadow;
mod state;
#[cfg(test)]
mod tests;
mod withdrawn;

pub use control::{Control, next};
pub use deploy::{Declarations, DeclaredStore, Deploy, DeployProgress, DeployStage};
pub use record::{CHUNK_BYTES, ControlRecord, Decision, Key, nonce};
pub use state::{Applied, Committed, DeployState, KnownDeploy};
pub use withdrawn::{OverBudget, Withdrawn};
