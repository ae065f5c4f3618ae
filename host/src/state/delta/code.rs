//! The first byte of a change: its kind, whether it has the key of the change before it, and how its time is written.

pub const META: u8 = 0;
pub const NAMES: u8 = 1;
pub const PUT: u8 = 2;
pub const DELETE: u8 = 3;
pub const SET_TIMER: u8 = 4;
pub const CANCEL_TIMER: u8 = 5;
pub const ASK: u8 = 6;
pub const ANSWERED: u8 = 7;
pub const KIND: u8 = 0b111;
pub const SAME_KEY: u8 = 1 << 3;
pub const TIME_SHORT: u8 = 0 << 4;
pub const TIME_FOREVER: u8 = 1 << 4;
pub const TIME_LONG: u8 = 2 << 4;
pub const TIME: u8 = 0b11 << 4;

/// Times within 2^47 ms of 1970 (some 4,400 years) take six bytes.
pub const SHORT_TIME: i64 = 1 << 47;
