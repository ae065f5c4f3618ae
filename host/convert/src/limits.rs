//! What bounds a value, so that no bytes can take all of the memory or time.

/// Maximum nesting of records, arrays and maps. A level takes under 1 KiB of stack, 128 KiB of 2 MiB in all.
pub const MAX_DEPTH: u32 = 128;

/// Maximum size of a converted value in bytes: sixty times Kafka's default limit for a record. Positions fit into u32.
pub const MAX_OUT: usize = 64 << 20;

/// Maximum number of items without bytes (nulls, empty records) in a datum. Ten bytes could claim 2^63 of them.
pub const MAX_EMPTY_ITEMS: u32 = 1 << 16;
