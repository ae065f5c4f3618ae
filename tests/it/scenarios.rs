//! Scenarios of the money pipeline: one for each of its rules, and one for each promise of the worker that runs them.
//!
//! Rule: a scenario says what happens and what must come of it, in event times. It runs in every way (see
//! `stage::always`): in one burst, one input at a time, cut at random with aborted epochs and crashes, in Avro and in
//! JSON.

mod backlog;
mod dedup;
mod deploy;
mod faults;
mod first;
mod lookup;
mod restart;
mod session;
mod shadow;
mod stored;
mod time;
mod unreadable;
mod user;
mod wire;
