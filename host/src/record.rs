//! The words that every module uses: times, places, the total order of steps; what is journaled, and the formats of what is kept.

pub mod encoding;
pub mod journal;
pub mod murmur2;
mod position;
pub mod watermark;

pub use position::{
    Cell, FOREVER, Millis, NEVER, Number, Offset, Partition, Rank, Span, Stay, StepKey, TopicIx, VersionId,
};
