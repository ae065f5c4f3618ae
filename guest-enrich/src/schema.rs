//! The types of `schemas/`, made by `build.rs`.

pelton_sdk::include_schemas!();
