//! The reasons why a file can't be used as rules.
//!
//! Rule: each message names what is wrong and says what to change. A refused file has no effect on the running rules.

use super::Trap;
use thiserror::Error;

/// Why a file can't be used as rules.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RulesError {
    /// It is neither a component nor a core module.
    #[error("this is not WebAssembly: {0}; give the .wasm file that the build of the rules has made")]
    NotWasm(String),
    /// It is a core module that does not say which WIT world it implements.
    #[error(
        "this core module carries no WIT types (no `component-type` section): build it with wit-bindgen or pelton-sdk \
         as a cdylib for wasm32-unknown-unknown, and keep its custom sections"
    )]
    NoTypes,
    /// It is a core module that can't be turned into a component.
    #[error("this core module can't be made a component: {0}; build it for wasm32-unknown-unknown, or as a component")]
    Module(String),
    /// Wasmtime refuses it.
    #[error("this component can't be compiled: {0}")]
    Component(String),
    /// It imports something that this version of the host does not have.
    #[error(
        "the rules import `{0}`, which Pelton doesn't have: rules get `pelton:rules/host` and nothing else (imports of \
         `wasi:` are linked, for languages that name them); remove what needs it"
    )]
    Import(String),
    /// An import has the wrong type.
    #[error("the imports of the rules are not those of pelton:rules@{served}: {0}; build them with this host's rules.wit", served = crate::wit::PACKAGE)]
    ImportType(String),
    /// It is made for another version of the WIT package.
    #[error(
        "the rules are built with pelton:rules@{found}, this host serves pelton:rules@{served}: build them with this host's \
         rules.wit", served = crate::wit::PACKAGE
    )]
    Package {
        /// The version that it names.
        found: String,
    },
    /// It lacks an export.
    #[error("the rules don't export `{0}`: they must implement the world `rules` of pelton:rules@{served}", served = crate::wit::PACKAGE)]
    Export(String),
    /// An export has the wrong type.
    #[error("the exports of the rules are not those of pelton:rules@{served}: {0}; build them with this host's rules.wit", served = crate::wit::PACKAGE)]
    ExportType(String),
    /// `describe` has trapped, or the rules can't start within their limits.
    #[error("the rules can't be started: {0}")]
    Start(Trap),
    /// `describe` has refused the settings.
    #[error("the rules don't accept their settings: {0}")]
    Settings(String),
    /// A name in the description is empty, or comes twice.
    #[error("{list} of the rules: {what}")]
    Names {
        /// The list that the name is in.
        list: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// A schema in the description is not valid Avro.
    #[error("{what} `{name}` of the rules has a schema that can't be used: {why}")]
    Schema {
        /// What it belongs to: input, output, store, request or reply of a lookup.
        what: &'static str,
        /// The name of what it belongs to.
        name: String,
        /// What is wrong with it.
        why: String,
    },
}
