//! The parser of Avro schemas.
//!
//! The host compiles its converters from a [`Schema`], and pelton-avro generates Rust code from one. Nothing else in Pelton
//! parses schemas, so that both agree on what a schema means.
//!
//! A [`Schema`] is a graph of nodes, with names resolved and logical types recognised. It is well formed and its values are
//! finite: a record contains itself only through a union, an array or a map. Logical types that are unknown, or not valid for
//! their type, are ignored, as Avro demands.
//!
//! Parsing is bounded, whatever the text is: a schema has at most [`MAX_NODES`] types, no value must have more than
//! [`MAX_PARTS`] parts, and serde_json limits the nesting of the JSON to 128.
#![warn(missing_docs)]

mod default;
mod invalid;
mod json;
mod logical;
mod name;
mod parser;
mod parts;
mod schema;

pub use default::{Datum, unscaled};
pub use invalid::Invalid;
pub use logical::Logical;
pub use name::{is_name, short};
pub use parser::{MAX_NODES, Parser};
pub use parts::MAX_PARTS;
pub use schema::{Field, Ix, Kind, Name, Node, Object, Schema};
