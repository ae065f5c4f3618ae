//! Why a file can't be used as rules.
//!
//! Rule: each text names what does not fit and says what to change; a refused file has no effect on what runs.

use super::Trap;
use thiserror::Error;

/// Why a file can't be used as rules.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refused {
    /// Neither a component nor a core module.
    #[error("this is not WebAssembly: {0}; give the .wasm file that the build of the rules has made")]
    NotWasm(String),
    /// A core module that says nothing of its WIT world.
    #[error(
        "this core module carries no WIT types (no `component-type` section): build it with wit-bindgen or pelton-sdk \
         as a cdylib for wasm32-unknown-unknown, and keep its custom sections"
    )]
    NoTypes,
    /// A core module that can't be made a component.
    #[error("this core module can't be made a component: {0}; build it for wasm32-unknown-unknown, or as a component")]
    Module(String),
    /// Wasmtime does not take it.
    #[error("this component can't be compiled: {0}")]
    Component(String),
    /// Something is imported that no host of this version has.
    #[error(
        "the rules import `{0}`, which Pelton doesn't have: rules get `pelton:rules/host` and nothing else (imports of \
         `wasi:` are linked, for languages that name them); remove what needs it"
    )]
    Import(String),
    /// An import is there, but of another type.
    #[error("the imports of the rules are not those of pelton:rules@{served}: {0}; build them with this host's rules.wit", served = super::load::PACKAGE)]
    ImportType(String),
    /// Another version of the WIT package.
    #[error(
        "the rules are built with pelton:rules@{found}, this host serves pelton:rules@{served}: build them with this host's \
         rules.wit", served = super::load::PACKAGE
    )]
    Package {
        /// The version that they name.
        found: String,
    },
    /// An export is missing.
    #[error("the rules don't export `{0}`: they must implement the world `rules` of pelton:rules@{served}", served = super::load::PACKAGE)]
    Export(String),
    /// An export is there, but of another type.
    #[error("the exports of the rules are not those of pelton:rules@{served}: {0}; build them with this host's rules.wit", served = super::load::PACKAGE)]
    ExportType(String),
    /// `describe` has trapped, or the rules can't be started within the limits.
    #[error("the rules can't be started: {0}")]
    Start(Trap),
    /// `describe` says that it can't use the settings.
    #[error("the rules don't accept their settings: {0}")]
    Settings(String),
    /// A name of the description is empty, or there twice.
    #[error("{list} of the rules: {what}")]
    Names {
        /// Which list of the description.
        list: &'static str,
        /// What is wrong.
        what: String,
    },
    /// A schema of the description is not Avro.
    #[error("{what} `{name}` of the rules has a schema that can't be used: {why}")]
    Schema {
        /// Input, output, store, request or reply of lookup.
        what: &'static str,
        /// Its name.
        name: String,
        /// What is wrong.
        why: String,
    },
}
