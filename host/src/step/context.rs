//! What the stepper works with.
//!
//! Rule: the stepper owns none of it. A worker lends the rules to one task after another.

use super::Guest;
use crate::binding::Sources;
use crate::state::TaskState;

/// What the stepper works with.
pub struct Context<'a, P> {
    /// The state that the steps read and change.
    pub state: &'a mut TaskState,
    /// The rules.
    pub guest: &'a mut Guest,
    /// Decodes the values of records.
    pub sources: &'a mut Sources,
    /// Where inputs come from and effects go.
    pub port: &'a mut P,
}
