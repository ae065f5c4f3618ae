//! State in memory: one row a key, overlay of the open epochs.
