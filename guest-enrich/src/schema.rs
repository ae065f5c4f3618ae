//! The types for `schemas/`, which `build.rs` generates.

pelton_sdk::include_schemas!();
