//! What Pelton's rules are written with.

pub mod avro;
