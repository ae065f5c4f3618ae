//! The demo: the pipeline on a log in memory, and what it is fed with. Tests and the benchmark use the traffic and the session
//! service.

mod live;
pub mod run;
pub mod session_service;
pub mod show;
pub mod traffic;
