//! The demo: the money pipeline on a log in memory, with generated traffic. Tests and the benchmark use the traffic and
//! the session service too.

mod args;
mod live;
pub mod run;
pub mod session_service;
pub mod show;
pub mod traffic;
