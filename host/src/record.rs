//! The types that every module uses: times, positions, and the total order of steps. Also the entries of the journal,
//! and the versions of all stored formats.

mod address;
pub mod encoding;
pub mod journal;
pub mod murmur2;
mod position;
pub mod watermark;

pub use address::{Offset, Partition, Rank, TopicIx};
pub use position::{FOREVER, Millis, NEVER, Number, Span, Stay, StepKey, StoreEntry, VersionId};
