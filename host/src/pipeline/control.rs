//! The control topic: how versions and orders come to an instance, and what it says there.
//!
//! Rule: what is decided is what the topic says in its order ([`crate::control`]); here is only how it is read, written, and
//! turned into compiled rules.
//!
//! `follow` reads, `publish` writes, `compile` makes rules of what was read, `carrier` is an instance's part in a deploy,
//! `author` that of whoever deploys, `checks` says what a version may not change, `status` tells people.

pub mod author;
pub mod board;
pub mod carrier;
pub mod checks;
pub mod compile;
pub mod follow;
pub mod publish;
pub mod status;
