//! The types that every module uses: times, positions, and the total order of steps. Also the entries of the journal,
//! and the versions of all stored formats.

pub mod encoding;
pub mod journal;
pub mod murmur2;
mod position;
pub mod watermark;

pub use position::{
    Cell, FOREVER, Millis, NEVER, Number, Offset, Partition, Rank, Span, Stay, StepKey, TopicIx, VersionId,
};
