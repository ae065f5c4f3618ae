//! The WIT package as Rust types: what crosses the boundary, and nothing else. Made by `wit-bindgen`.
//!
//! The types are the same natively, so that everything above this module is tested without a sandbox; only the two
//! imports exist in a sandbox alone.
#![allow(missing_docs, reason = "documented in wit/rules.wit")]

wit_bindgen::generate!({
    path: "../wit",
    world: "rules",
    pub_export_macro: true,
    default_bindings_module: "pelton_sdk::wire",
    runtime_path: "::pelton_sdk::wit_bindgen::rt",
    generate_unused_types: true,
});

pub use pelton::rules::host::{self, Cell, Found, Level, Question, Read};
pub use pelton::rules::types::*;

impl Span {
    pub(crate) fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.start as usize..self.start as usize + self.len as usize]
    }

    /// Appends to an arena.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn append(arena: &mut Vec<u8>, piece: &[u8]) -> Span {
        let start = arena.len();
        arena.extend_from_slice(piece);
        Span::since(arena, start)
    }

    /// What was appended to `arena` since it was `start` long.
    pub(crate) fn since(arena: &[u8], start: usize) -> Span {
        Span {
            start: start as u32,
            len: (arena.len() - start) as u32,
        }
    }

    pub(crate) const EMPTY: Span = Span { start: 0, len: 0 };
}
