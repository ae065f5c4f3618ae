//! The control topic: how versions and orders reach an instance, and what the instance writes there.
//!
//! Rule: the records of the topic decide, in their order ([`crate::control`]). This module only reads and writes them, and compiles
//! the rules that they contain.
//!
//! `follow` reads, `publish` writes, `compile` compiles the rules, `carrier` is an instance's part in a deploy, `author` is the part
//! of the process that deploys, `checks` says what a version may not change, `status` reports to people.

pub mod author;
pub mod board;
pub mod carrier;
pub mod checks;
pub mod compile;
pub mod follow;
pub mod publish;
pub mod status;
