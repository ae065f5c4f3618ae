//! What the demo is made of, apart from the pipeline itself: traffic, the session service, the screen. Tests and the
//! benchmark use the first two.

pub mod session_service;
pub mod show;
pub mod traffic;
