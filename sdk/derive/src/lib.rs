//! The derive macros of `pelton-sdk`. They read an enum or a struct, and report mistakes at the right place.

mod names;
mod settings;
mod steps;

use proc_macro::TokenStream;
use syn::{DeriveInput, Error, parse_macro_input};

/// The input streams. Each variant is a stream, with the name in the pipeline's file in snake case (`UserSession` is
/// `user_session`) or in `#[name = "user-sessions"]`, and has the type of its events. If that is an `Option`, a record
/// without a value is `None`; otherwise such a record is refused.
#[proc_macro_derive(Event, attributes(name))]
pub fn event(input: TokenStream) -> TokenStream {
    run(parse_macro_input!(input), steps::event)
}

/// The timers. Each variant is a kind of timer, and its fields are the tag.
#[proc_macro_derive(Due, attributes(name))]
pub fn due(input: TokenStream) -> TokenStream {
    run(parse_macro_input!(input), steps::due)
}

/// The lookups. Each variant is a lookup. Its fields are the tag, and a last field of type `Result<Answer, NoAnswer>`.
#[proc_macro_derive(Reply, attributes(name))]
pub fn reply(input: TokenStream) -> TokenStream {
    run(parse_macro_input!(input), steps::reply)
}

/// The settings, as a struct with named fields. `#[setting(default = "1m")]` is used if the file does not set it, and
/// `#[setting(default)]` is the type's own default. An `Option` may be missing.
#[proc_macro_derive(Settings, attributes(setting))]
pub fn settings(input: TokenStream) -> TokenStream {
    run(parse_macro_input!(input), settings::derive)
}

fn run(input: DeriveInput, derive: fn(&DeriveInput) -> Result<proc_macro2::TokenStream, Error>) -> TokenStream {
    derive(&input).unwrap_or_else(Error::into_compile_error).into()
}
