//! Generates Rust types and codecs from Avro schemas, in a build script:
//!
//! ```no_run
//! // build.rs
//! pelton_avro::Schemas::new()
//!     .file("schemas/money-enriched-events.avsc")
//!     .union("WalletEvent", "schemas/wallet-events.avsc")
//!     .write()
//!     .unwrap();
//! ```
//!
//! and `pelton_sdk::include_schemas!();` in a module of the guest. Rule: what Avro allows is either generated exactly,
//! or refused with the file, the place in the schema, and what to do.
//!
//! | Avro | Rust |
//! |---|---|
//! | record | `struct`, `Copy`, with a lifetime when it holds text or bytes; fields in snake_case |
//! | enum | `enum`; `symbol()` is the name in the schema |
//! | union of null and T | `Option<T>` |
//! | other union in a field | `enum` named by record and field: `PaymentSource`; of array items `...Item`, of map values `...Value` |
//! | union at the top of a file | `enum` of the given name, or of the file's: `wallet-events.avsc` is `WalletEvent` |
//! | string, bytes, fixed | `&'a str`, `&'a [u8]`, `&'a [u8; N]` |
//! | array, map | `pelton_sdk::avro::{Array, Map}` |
//! | decimal | `pelton_sdk::avro::Decimal` |
//! | uuid, dates and times | as the type below them: text, i32, i64 |
//!
//! The names of a union's variants are those of its types, without the words that all of them begin or end with:
//! `PaymentEvent` is `WalletEvent::Payment` next to `TransactionEvent` and `KindOfWalletEvent`.
#![warn(missing_docs)]

mod builder;
mod default;
mod error;
mod name;
mod rust;
mod types;

pub use error::Error;

use builder::Builder;
use pelton_avro_schema::Parser;
use std::path::{Path, PathBuf};
use std::{env, fs};
use types::Types;

/// The schemas of a guest.
#[derive(Default)]
pub struct Schemas {
    sources: Vec<Source>,
}

struct Source {
    path: PathBuf,
    /// The schema, if it was given as text instead of a file.
    text: Option<String>,
    /// The name for the union at its top level.
    union: Option<String>,
}

impl Schemas {
    /// No schemas yet.
    pub fn new() -> Self {
        Schemas::default()
    }

    /// An `.avsc` file. Paths start at the package's folder. A file may name types of the files before it.
    pub fn file(self, path: impl AsRef<Path>) -> Self {
        self.source(path.as_ref(), None, None)
    }

    /// A file whose top level is a union, which becomes an enum of this name.
    pub fn union(self, name: &str, path: impl AsRef<Path>) -> Self {
        self.source(path.as_ref(), None, Some(name.into()))
    }

    /// A schema as text. `name` replaces the file in errors.
    pub fn text(self, name: &str, json: &str) -> Self {
        self.source(Path::new(name), Some(json.into()), None)
    }

    fn source(mut self, path: &Path, text: Option<String>, union: Option<String>) -> Self {
        self.sources.push(Source {
            path: path.into(),
            text,
            union,
        });
        self
    }

    /// Writes `$OUT_DIR/schema.rs` for `pelton_sdk::include_schemas!()`, and tells cargo which files it came from.
    pub fn write(&self) -> Result<(), Error> {
        for source in self.sources.iter().filter(|source| source.text.is_none()) {
            println!("cargo:rerun-if-changed={}", source.path.display());
        }
        let Some(folder) = env::var_os("OUT_DIR") else {
            return Err(Error::new(
                "OUT_DIR",
                "",
                "is not set: call `write` in a build script".into(),
            ));
        };
        let path = Path::new(&folder).join("schema.rs");
        fs::write(&path, self.rust()?).map_err(|e| Error::io(&path, &e))
    }

    /// The generated Rust code.
    pub fn rust(&self) -> Result<String, Error> {
        let (mut parser, mut types) = (Parser::default(), Types::default());
        for Source { path, text, union } in &self.sources {
            let text = match text {
                Some(text) => text.clone(),
                None => fs::read_to_string(path).map_err(|e| Error::io(path, &e))?,
            };
            let file = path.display().to_string();
            parser
                .read(&file, &text)
                .map_err(|invalid| Error::new(&file, &invalid.place, invalid.what))?;
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            Builder::new(parser.schema(), &file, &mut types).top(&stem, union.as_deref())?;
        }
        Ok(rust::all(&types, parser.schema()))
    }
}
