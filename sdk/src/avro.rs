//! Avro: types that are generated from `.avsc` files, read and written without allocations.
//!
//! A datum is decoded into one borrowed struct that is `Copy`. Its text and bytes point into the input. Whatever the
//! input is, reading it ends, never panics, and takes time in proportion to its length. The output is canonical: the
//! shortest varints and decimals, and one block for each array.

mod array;
mod decimal;
mod decoder;
mod field;
mod malformed;
mod map;
mod wire;

pub use array::Array;
pub use decimal::{Decimal, Unscaled};
pub use decoder::Decoder;
pub use malformed::Malformed;
pub use map::Map;
pub use wire::{NullLast, Wire, null_last, put_int, put_long};

/// A type that is generated from an `.avsc` file: one borrowed struct, `Copy`, without an owned counterpart. The
/// `'static` form of a generated type (`MoneyEnriched<'static>`) implements it.
pub trait Datum: 'static {
    /// The struct with the lifetime of the bytes that it was read from.
    type Of<'a>: Copy;
    /// The self-contained schema, as JSON.
    const SCHEMA: &'static str;
    /// Reads one datum, and advances.
    fn decode<'a>(from: &mut Decoder<'a>) -> Result<Self::Of<'a>, Malformed>;
    /// Appends the datum.
    fn encode(value: &Self::Of<'_>, out: &mut Vec<u8>);
}

/// Reads a datum that must be all of `bytes`.
#[inline]
pub fn decode_all<T: Datum>(bytes: &[u8]) -> Result<T::Of<'_>, Malformed> {
    let mut from = Decoder::new(bytes);
    let value = T::decode(&mut from)?;
    match from.is_empty() {
        true => Ok(value),
        false => Err(Malformed::new("the end: there are bytes after the datum")),
    }
}

/// Implements [`Datum`] through [`Wire`], for types without a generated schema.
macro_rules! datum {
    ($($name:ty, $of:ty, $schema:literal;)*) => {$(
        impl Datum for $name {
            type Of<'a> = $of;
            const SCHEMA: &'static str = $schema;
            #[inline]
            fn decode<'a>(from: &mut Decoder<'a>) -> Result<$of, Malformed> {
                Wire::read(from)
            }
            #[inline]
            fn encode(value: &Self::Of<'_>, out: &mut Vec<u8>) {
                value.write(out)
            }
        }
    )*};
}
datum! {
    (), (), r#""null""#;
    bool, bool, r#""boolean""#;
    i32, i32, r#""int""#;
    i64, i64, r#""long""#;
    f32, f32, r#""float""#;
    f64, f64, r#""double""#;
    &'static str, &'a str, r#""string""#;
    &'static [u8], &'a [u8], r#""bytes""#;
}

/// Includes the types that `pelton_avro::Schemas` has generated in the build script. Use it in a module of its own.
#[macro_export]
macro_rules! include_schemas {
    () => {
        include!(concat!(env!("OUT_DIR"), "/schema.rs"));
    };
}
