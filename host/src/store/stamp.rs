//! What a stored state is good for.

use crate::record::Offset;

/// What the stored state of a task is good for: a replay of the changelog from `offset` rebuilds the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Id of the cluster.
    pub cluster: String,
    /// Id (not name) of the changelog topic.
    pub topic: String,
    /// The changelog position at the start of the flush.
    pub offset: Offset,
}
