//! Derives of `pelton-sdk`: they read an enum or a struct, and say at the right place what is wrong with it.

mod names;
mod settings;
mod steps;

use proc_macro::TokenStream;
use syn::{DeriveInput, Error, parse_macro_input};

/// The input streams: one variant a stream, named as in the pipeline's file (`UserSession` is `user_session`;
/// `#[name = "user-sessions"]` names another), with the event's type. With `Option` of it, a record without a value comes
/// as `None`; else it is refused.
#[proc_macro_derive(Event, attributes(name))]
pub fn event(input: TokenStream) -> TokenStream {
    run(parse_macro_input!(input), steps::event)
}

/// The timers: one variant a kind; its fields are the tag.
#[proc_macro_derive(Due, attributes(name))]
pub fn due(input: TokenStream) -> TokenStream {
    run(parse_macro_input!(input), steps::due)
}

/// The lookups: one variant each, with the tag's fields and a last one of `Result<Answer, NoAnswer>`.
#[proc_macro_derive(Reply, attributes(name))]
pub fn reply(input: TokenStream) -> TokenStream {
    run(parse_macro_input!(input), steps::reply)
}

/// Settings: a struct with named fields. `#[setting(default = "1m")]` is used when the file does not say;
/// `#[setting(default)]` is the type's own default. An `Option` may be missing.
#[proc_macro_derive(Settings, attributes(setting))]
pub fn settings(input: TokenStream) -> TokenStream {
    run(parse_macro_input!(input), settings::derive)
}

fn run(input: DeriveInput, derive: fn(&DeriveInput) -> Result<proc_macro2::TokenStream, Error>) -> TokenStream {
    derive(&input).unwrap_or_else(Error::into_compile_error).into()
}
