//! The port to the local cache of state on disk. The changelog is the truth, and the cache only makes restarts shorter.
//!
//! Rule: data first, then the stamp. Whatever part of the writes survives a crash, its stamp names a changelog position
//! from which a replay over the stored data rebuilds the state. Deltas are absolute, so the store may contain more than
//! its stamp says.
//!
//! A flush is fuzzy: [`begin`](LocalStore::begin) gets everything that is not a row, then come slices of rows, and
//! [`finish`](LocalStore::finish) gets the changelog position at which the flush began. There are two implementations:
//! `rocks` (RocksDB), and `memory` for tests and the simulator, which can lose its unflushed writes.
//!
//! [`scratch`] is a file for waiting records that do not fit into memory. It disappears with the process.

mod cache;
mod directory;
mod layout;
mod lease;
pub mod memory;
#[cfg(feature = "rocks")]
pub mod rocks;
pub mod scratch;
mod stamp;
#[cfg(test)]
mod tests;

pub use cache::LocalStore;
pub use directory::Directory;
#[cfg(feature = "rocks")]
pub use rocks::Rocks;
pub use stamp::Stamp;
