//! How a command ends.

/// Success.
pub const OK: u8 = 0;
/// Something must be fixed first.
pub const FINDINGS: u8 = 1;
/// Wrong usage.
pub const USAGE: u8 = 2;
/// A failure while it ran.
pub const FAILED: u8 = 3;

/// Why a command failed, and its exit code.
#[derive(Debug)]
pub struct Trouble(pub u8, pub String);
