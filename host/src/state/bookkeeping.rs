//! What an epoch changes besides rows, timers and lookups.

use super::meta::Names;
use super::sweep::Sweep;

/// What an epoch changes besides rows, timers and lookups.
#[derive(Clone, Debug, Default)]
pub(super) struct Bookkeeping {
    pub names: Names,
    pub sweep: Sweep,
}
